// Package login is the relying party: it sends people to an OpenID issuer and
// turns what comes back into a session.
//
// It answers how a browser becomes signed in, stays so, and stops being so. It
// owns sign-in attempts (state, nonce, PKCE, the page first asked for), the
// verification of ID tokens, the renewal of sessions, and signing out. Every
// issuer is reached by the *http.Client it is given; the embedded provider is
// one like any other, besides the names of its claims.
//
// Order of events. Begin seals an attempt into a cookie of its own, so that
// ten tabs sign in without knowing of each other, and names the issuer's page.
// Callback finds the attempt that the answer's state names, checks who answers
// (RFC 9207), uses the attempt up, exchanges the code, verifies the ID token
// and seals a session with a new id. Refresh renews it when the access token
// ends: once per session however many requests ask, whoever of them goes away.
// SignOut revokes durably first and tells the issuer afterwards.
//
// A StepUp asks for more than any sign-in: a second factor, a class, a recent
// one (RFC 9470). Of somebody who is signed in it is demanded: only the ID token
// of that very attempt counts, of the same issuer and subject, and the session
// stays as it was until everything is there. What failed is told to the person
// once; nothing is sent round in circles.
//
// An issuer that is down blocks neither start nor reload: it is probed in the
// background, and until a probe succeeds Begin returns ErrIssuerDown.
//
// It must not know routes, rules or pages, and nothing of the provider's
// inside. With several foreign issuers of which one does not send iss (RFC
// 9207), a dishonest one among them could swap codes: list only issuers you
// would trust alone.
package login
