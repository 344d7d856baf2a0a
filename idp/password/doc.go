// Package password answers two questions: is this the password, and is this one
// good enough? It owns the hashing of passwords with argon2id, the kinds of
// hashes other systems made, the bounds on what a stored hash may demand of this
// machine, the queue in front of the work, and the policy of new passwords.
//
// Order of events in a check: the input's length and form (before any work), a
// place in the queue, memory for the hash, the hash, one comparison, and, once
// the store holds hashes of another cost than ours, a wait without place or
// memory until the floor has passed. An account that does not exist, or has no
// password, is checked against a hash made for the purpose, so that it costs the
// same.
//
// It knows no user and no tries: those are idp/pool's and idp/signin's.
package password
