// Package principal remembers who a credential speaks for, so that a request
// with one that was seen before is not verified, decided about and signed for
// again.
//
// It answers: was this very credential believed, under these very rules, and is
// it to be believed still? It owns the one cache on the way of a request. An
// entry is found by the SHA-256 of the whole credential and by its Scope, which
// names what verified it; it holds the identity, for a cookie the session, and
// what was worked out for it: decisions of the policy and identity headers, with
// the signed assertion among them. All of it lives and dies with the entry.
//
// An entry counts only at a Moment that agrees with it: before the credential
// ends, with the keys it was verified with, and with no revocation since that
// names it. A Moment is taken before the credential is verified, so what changes
// meanwhile is noticed at the next look. Nothing that failed is remembered.
//
// The cache is bounded in bytes, is cut into shards that evict one by one, and
// can be left out: a nil Cache remembers nothing, and every method of a nil Cache
// or Entry works.
//
// It must not verify anything itself, and knows neither requests nor routes but
// by their number.
package principal
