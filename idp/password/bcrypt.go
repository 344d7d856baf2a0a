package password

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// bcryptBytes is how much of a password bcrypt looks at.
const bcryptBytes = 72

// bcryptHash is a bcrypt hash in modular crypt format. The kinds 2a, 2b and 2y
// are one algorithm; 2x, the work of a bug, is none of them.
type bcryptHash struct {
	level int
	text  string // the whole of it, as kind 2b
	// key is the salt when the password goes through HMAC-SHA-256 first, as in
	// passlib's bcrypt-sha256, "" when it does not.
	key string
}

// parseBcrypt reads the cost, two digits, and 22 characters of salt with 31 of
// digest (16 and 23 bytes).
func parseBcrypt(rest []string) (stored, string) {
	if len(rest) != 2 || len(rest[0]) != 2 || len(rest[1]) != 53 {
		return nil, "not a bcrypt hash"
	}
	h, why := newBcrypt(strings.TrimPrefix(rest[0], "0"), rest[1])
	return h, why
}

// parseBcryptSHA256 reads v=2,t=2b,r=COST, salt and digest. Version 1 lets
// somebody with a list of SHA-256 digests try these, and is not taken.
func parseBcryptSHA256(rest []string) (stored, string) {
	if len(rest) != 3 || len(rest[1]) != 22 || len(rest[2]) != 31 {
		return nil, "not a bcrypt-sha256 hash"
	}
	level, ok := strings.CutPrefix(rest[0], "v=2,t=2b,r=")
	if !ok {
		return nil, "not version 2 of bcrypt-sha256"
	}
	h, why := newBcrypt(level, rest[1]+rest[2])
	h.key = rest[1]
	return h, why
}

func newBcrypt(level, text string) (bcryptHash, string) {
	n, ok := decimal(level)
	if !ok {
		return bcryptHash{}, "the cost is no number"
	}
	if why := outside(bound{"the cost", n, minBcryptCost, maxBcryptCost}); why != "" {
		return bcryptHash{}, why
	}
	for i := range len(text) {
		if !cryptCharacter(text[i]) {
			return bcryptHash{}, "not a bcrypt hash"
		}
	}
	return bcryptHash{level: int(n), text: fmt.Sprintf("$2b$%02d$%s", n, text)}, ""
}

// cryptCharacter tells whether c is of the alphabet of crypt(3).
func cryptCharacter(c byte) bool {
	return c == '.' || c == '/' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// memory is Blowfish's state and its key schedule, 4 KiB and little more.
func (h bcryptHash) memory() int64 { return 8 }

func (h bcryptHash) cost() string { return fmt.Sprintf("bcrypt %d", h.level) }

func (h bcryptHash) matches(text string) bool {
	if h.key != "" {
		mac := hmac.New(sha256.New, []byte(h.key))
		mac.Write([]byte(text)) // a hash never returns an error
		text = base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	// bcrypt would forget the rest, and take every password with the same
	// beginning; the work is done all the same.
	whole := len(text) <= bcryptBytes
	return bcrypt.CompareHashAndPassword([]byte(h.text), []byte(text)) == nil && whole
}
