package opaque

import (
	"crypto/rand"
	"encoding/base64"
)

// New returns n random bytes as Encode spells them: 16 are 22 characters, 32 are
// 43.
func New(n int) string {
	b := make([]byte, n)
	// crypto/rand.Read never fails: it ends the program instead.
	_, _ = rand.Read(b)
	return Encode(b)
}

// Encode returns b in base64url without padding (RFC 4648 §5).
func Encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
