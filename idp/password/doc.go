// Package password answers one question: is this the password? It owns the
// hashing of passwords with argon2id, the bounds on what a stored hash may
// demand of this machine, and the queue in front of the work.
//
// Order of events in a check: the input's length and form (before any work), a
// place in the queue, memory for the hash, the hash, one comparison. An account
// that does not exist, or has no password, is checked against a hash made for
// the purpose, so that it costs the same.
//
// It knows no user, no policy of how good a password must be, and no tries:
// those are idp/pool's and idp/signin's.
package password
