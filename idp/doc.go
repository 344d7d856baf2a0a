// Package idp answers one question: who are the people and the programs, and
// how do they prove it? It is the embedded OpenID Connect provider.
//
// It owns the assembly of the provider from its parts, its configuration, the
// table of its paths, and what the configuration puts into the store at start.
// Every rule belongs to a package below: pool and client (people, programs),
// password and signin (proof), sso (the provider's own session), keys and token
// (what is minted), oidc and ui (what is said to programs and to people).
//
// Order of events: NewDomain puts the parts together that need no HTTP, which
// is all the command line wants; New adds the endpoints and starts nothing;
// Bootstrap brings the store in line with the configuration; ServeHTTP answers
// what lies below the issuer URL.
//
// It must not know the gateway: to it, the gateway is a client like any other.
package idp
