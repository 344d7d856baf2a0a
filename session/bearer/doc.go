// Package bearer answers who presents an access token in an Authorization
// header: a JWT of a configured issuer, verified against that issuer's keys.
//
// It owns the rules of what makes a token believable (exact issuer, algorithm
// pinned to key, type, audience, time) and what it is believed about (person
// or machine, groups and scopes only from the claims named for that issuer),
// and the cached key sets.
//
// Order of events: the token is taken apart; its iss, unverified, picks one of
// the configured issuers and nothing else; that issuer's keys verify it, fetched
// again at most every 30 s for a kid nobody knows; then type, audience, time;
// then the identity. ID tokens, refresh tokens, logout tokens and assertions
// are refused even when their signature holds. Whether the identity has been
// revoked is for session.Feed to say.
//
// It must not know routes or rules, and speaks to issuers only through the
// *http.Client it is given, at addresses that come from the configuration or
// from the issuer's own discovery document, never from a token.
package bearer
