// Package pool owns the people: users and the groups they are in.
//
// It answers who somebody is (by username or e-mail, in any spelling), whether a
// password is theirs, and what they belong to; and it is the only place that
// changes any of it. A change that takes something away (disable, delete, a new
// password, a group joined or left) ends the person's sessions and refresh
// families, records an event and revokes what was issued before, all in the
// transaction of the change.
//
// A name is compared in its canonical form, see [Canonical]; usernames and
// e-mail addresses share one name space, so that nobody can be called what
// somebody else signs in with.
//
// The package knows no HTTP, no SQL and no token. Its store interfaces are
// implemented by idp/store.
package pool
