// Package storetest holds the promises of the provider's store as tests. Every
// store runs [Run]; each promise is one test, and those about callers at once run
// fifty of them.
//
// It gives tests of other packages a real database: [Open] one of SQLite,
// [Postgres] one of PostgreSQL, [Each] a subtest for both. PostgreSQL is a private
// server, which all packages share when withpostgres has started it (as make unit
// does) and each process starts for itself otherwise; a new database is a copy of
// a template. Where PostgreSQL is not installed such a test skips, and with
// GATEHOUSE_E2E=1 it fails.
package storetest
