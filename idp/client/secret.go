package client

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"fmt"
	"strings"
	"time"
)

// Secret is one secret of a confidential client, as stored.
type Secret struct {
	// ID names the secret to people: 8 characters, no part of it.
	ID string
	// Salt is 16 random bytes, Hash the SHA-256 of Salt and the secret. A slow
	// hash buys nothing here: a secret is random, never a password.
	Salt, Hash []byte
	Created    time.Time
}

// What a secret that an operator brings may be (Cognito's ClientSecretType
// starts at 24 characters as well).
const (
	minSecret = 24
	maxSecret = 512
)

var lower = base32.StdEncoding.WithPadding(base32.NoPadding)

// randomText returns n random bytes in lower-case base32.
func randomText(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return strings.ToLower(lower.EncodeToString(b))
}

// newSecret hashes value; ErrInvalid when it is too short to be random.
func newSecret(value string, now time.Time) (Secret, error) {
	if len(value) < minSecret || len(value) > maxSecret {
		return Secret{}, fmt.Errorf("%w: a secret has %d to %d characters", ErrInvalid, minSecret, maxSecret)
	}
	s := Secret{ID: randomText(5), Salt: make([]byte, 16), Created: now}
	rand.Read(s.Salt)
	s.Hash = secretHash(s.Salt, value)
	return s, nil
}

// is reports whether value is the secret, in constant time.
func (s Secret) is(value string) bool {
	return subtle.ConstantTimeCompare(s.Hash, secretHash(s.Salt, value)) == 1
}

func secretHash(salt []byte, value string) []byte {
	h := sha256.New()
	h.Write([]byte("gatehouse client secret\x00"))
	h.Write(salt)
	h.Write([]byte(value))
	return h.Sum(nil)
}
