// Package store keeps the provider's rows: it is the only place with SQL.
//
// A [DB] is one SQLite file in WAL mode, shared by the server and the command
// line, or one PostgreSQL database, shared by any number of them; [Config] says
// which. It serves the store interfaces of the domain packages (DB.Users,
// DB.Codes, …), the journal of events and revocations, and transactions: what is
// called with the context that [DB.InTx] passes on is part of that transaction.
//
// There is one writer at a time, in all processes, and readers never wait for it.
// SQLite has it so by itself; on PostgreSQL each transaction takes an advisory
// lock first. So what a transaction looks at stays true until it ends, its
// function runs once, numbers of events have no gaps and appear in order, and
// writers do not dead-lock: whoever adds statements need not know the engine. They
// go through exec, one, returning and collect; a writing one outside a transaction
// is a transaction.
//
// Order of opening: the file and who owns it, or the server and what it proves;
// the schema's version, moved by one process at a time; what kind of store it is
// (demo or not), and whether the sealing key is the one it was made with. Each is
// refused with a sentence that says what to do.
//
// The SQL is one text for SQLite and PostgreSQL: parameters are $1, $2, … in
// order of first appearance, times are milliseconds since 1970 (0 is none),
// bytes are base64url, lists and maps JSON. Single use is one statement, DELETE …
// RETURNING. There is no rule of the domain in here: no `if user.Enabled`.
//
// A backup is lines of JSON, from the tables that the database says it has. Rows
// that end by themselves are in none: see survives, which names every table that
// has a column "expires".
package store
