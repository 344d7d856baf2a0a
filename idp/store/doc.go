// Package store keeps the provider's rows: it is the only place with SQL.
//
// A [DB] is one SQLite file in WAL mode, shared by the server and the command
// line. It serves the store interfaces of the domain packages (DB.Users,
// DB.Codes, …), the journal of events and revocations, and transactions: what is
// called with the context that [DB.InTx] passes on is part of that transaction.
// There is one writer at a time; readers never wait for it.
//
// Order of opening: the file and who owns it, the schema's version, what kind of
// store it is (demo or not), and whether the sealing key is the one it was made
// with. Each is refused with a sentence that says what to do.
//
// The SQL is one text for SQLite and PostgreSQL: parameters are $1, $2, … in
// order of first appearance, times are milliseconds since 1970 (0 is none),
// bytes are base64url, lists and maps JSON. Single use is one statement, DELETE …
// RETURNING. There is no rule of the domain in here: no `if user.Enabled`.
package store
