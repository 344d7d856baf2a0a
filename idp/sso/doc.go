// Package sso answers one question: has this browser signed in at the provider
// already, and as whom?
//
// It owns the provider's own session: the cookie in the browser (a ticket of
// 256 random bits), the row in the store (the ticket's hash), when both end,
// and how the provider's cookies are named.
//
// Order of events: Load finds the session of a request, or none; after a
// sign-in Begin makes a new ticket, always, so that a ticket known before the
// sign-in is worth nothing after it; SetCookie hands it to the browser. A
// session ends by time, by sign-out here or at a gateway (token.Mint.EndSession
// or the revocation of its ID: one row less), or with its user.
//
// It must not know tokens, pages, passwords or OAuth.
package sso
