// Package keyring holds the keys of this installation that live in files: the
// sealing key, the gateway's cookie keys and its assertion keys. Every ring is
// one text file, a key a line, newest first:
//
//	<kid> <created RFC3339> <base64url without padding>
//
// Each key has one purpose. What is sealed or derived is bound to its purpose by
// HKDF, and to the row it belongs to by the cipher's associated data, so that an
// artefact of one purpose, table or row opens nothing else.
//
// Files are 0600 in directories 0700, made with O_EXCL and opened with
// O_NOFOLLOW; a file that others may read or that somebody else owns is refused.
// Token-signing keys live in the provider's database, sealed: see idp/keys.
package keyring
