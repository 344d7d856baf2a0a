// Package jose signs and verifies compact JSON Web Signatures, and reads and
// writes the public keys they are checked with.
//
// It answers one question: did the holder of one of these keys sign exactly
// these bytes? It owns the choice of algorithms (RS256, ES256, EdDSA, nothing
// else), the pinning of an algorithm to a key, and every limit on size and
// shape of what comes from outside. It is the only package that imports jwx,
// which is no longer maintained: its builders write a claim's name into JSON
// unescaped (GHSA-4cf7-xm37-g63h), so no caller's name reaches them here.
//
// Order of events when a token is verified: length, three parts, strict
// base64url, header (algorithm allowed, no crit), key by kid, algorithm equals
// the key's, signature, payload. What fails, fails before any key is used
// where that is possible; nothing in a token's header ever names a key's
// bytes or an address.
//
// It must not know what a claim means: issuer, audience and time are the
// caller's business.
package jose
