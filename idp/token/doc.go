// Package token is the only mint: every access token, ID token, authorization
// code and refresh token of the provider is made, checked and ended here.
//
// Order of events: a finished sign-in becomes a code (IssueCode); the client
// redeems it once (RedeemCode) and thereby begins a family; each Refresh rotates
// the family's token; Revoke, EndSession, a second use of the code, a late reuse
// of a rotated token, and whatever ends the user or the client, end the family.
// Programs without a person use ClientCredentials. Every issuance gives what was
// granted ∩ what the client may have now ∩ what the user's groups give now.
//
// Codes and refresh tokens are 256 random bits of which only the SHA-256 is
// stored. The successor of a refresh token is an HMAC of it under a key outside
// the database: a client that lost the answer gets the same one again within its
// grace, and the database holds nothing that could be used.
//
// Tokens have Cognito's shape, see claims.go. The package knows no HTTP, no pages
// and no SQL.
package token
