// Package keys owns the keys that tokens are signed with: RSA 2048 for RS256,
// which every client library knows.
//
// It answers which key signs now (Ring.Signer) and which keys verify (Ring.Public,
// the JWKS). A new key is published for ten minutes before it signs, so that
// nobody meets a token of a key they have not seen, and an old one is published
// until the longest token it may have signed has ended. The very first key signs
// at once, for there is nobody yet who could have read the set without it.
//
// Private keys are kept in the database, sealed with a key that is not in it.
// The package knows no HTTP, no SQL and no token.
package keys
