// Package oidc answers one question: what does the provider say to programs?
//
// It owns the protocol endpoints of OAuth 2.0 and OpenID Connect: discovery,
// keys, authorize, token, userinfo, revoke, introspect, logout; a file for each
// endpoint and each grant. What is minted, rotated and revoked is token's, who
// is who is pool's and client's.
//
// Order of events of a sign-in: authorize checks client and redirect URI (until
// then nothing is redirected), then the rest of the request; next, in
// authorize.go, is the one place that decides between "sign in first" and
// "here is a code"; what must wait is kept in a signin flow, and Finish comes
// back to next when the flow is complete. The code is exchanged at the token
// endpoint, in the file of its grant.
//
// It must not know passwords, HTML, cookies' names or SQL; pages are asked of
// Pages.
package oidc
