// Package pgserver runs a private PostgreSQL for tests: in a temporary
// directory, on a socket in it, as a user without rights, from the programs of
// Debian's package postgresql.
//
// Whoever starts it holds one end of a pipe. When that end closes, by [Server.Stop]
// or because the process is gone, however it went, the server ends and its
// directory is removed.
package pgserver
