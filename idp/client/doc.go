// Package client owns the programs: app clients with their secrets, redirect
// URIs and grants, and the resource servers whose scopes they may be given.
//
// It answers who a program is (Authenticate), what it may do (the methods of
// [Client]), and which scopes it may have for whom (Scopes.Allowed). Secrets are
// kept as salted hashes; a secret is shown once, when it is made.
//
// The package knows no HTTP, no SQL, no token and no user: groups reach it as
// names. Its store interfaces are implemented by idp/store.
package client
