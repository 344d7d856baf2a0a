// Package session answers the first question of every request: who is asking?
//
// It owns Identity, the answer; Session, what a signed-in browser carries; the
// cookie that holds it, sealed; and Feed, which knows what has been revoked.
// Its children make identities: session/bearer from an access token,
// session/login from a sign-in at an issuer.
//
// Order of events on a request with a cookie: the Cookie header is scanned for
// our names; two cookies of one name count as none; the parts are joined,
// opened and decoded; purpose, host, boot and both time limits are checked; the
// feed is asked whether any handle of the identity has been revoked. What fails
// anywhere counts as absent, and is cleared.
//
// A revocation is durable before anybody is told it happened, and known in
// this process before Revoke returns. Where no durable journal exists, cookies
// carry the id of this run of the process, so that a restart ends them all:
// nothing that was signed out comes back.
//
// It must not know routes, rules, upstreams, SQL or how the issuer is reached.
package session
