package password

import (
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"fmt"
	"hash"
	"strings"
)

// pbkdf2Hash is a PBKDF2 hash with HMAC (RFC 8018 §5.2).
type pbkdf2Hash struct {
	kind       string
	new        func() hash.Hash
	iterations int
	salt       []byte
	digest     []byte
}

// parsePBKDF2 reads the PHC string, i=ITERATIONS or i=ITERATIONS,l=LENGTH, salt
// and digest; or passlib's form, the bare number, with "." where base64 has "+".
// passlib's name for the one over SHA-1 is pbkdf2.
func parsePBKDF2(kind string, rest []string) (stored, string) {
	if len(rest) != 3 {
		return nil, "not a PBKDF2 hash"
	}
	n, ok := numbers(rest[0], "i=")
	if !ok {
		n, ok = numbers(rest[0], "i=", "l=")
	}
	if !ok {
		if n, ok = numbers(rest[0], ""); !ok || strings.Contains(rest[1]+rest[2], "+") {
			return nil, "parameters are not the number of iterations"
		}
		dots := strings.NewReplacer(".", "+")
		rest = []string{rest[0], dots.Replace(rest[1]), dots.Replace(rest[2])}
	}
	salt, digest, why := saltAndDigest(rest[1], rest[2])
	if why != "" {
		return nil, why
	}
	h := pbkdf2Hash{kind: kind, salt: salt, digest: digest}
	switch kind {
	case "pbkdf2", "pbkdf2-sha1":
		h.kind, h.new = "pbkdf2-sha1", sha1.New
	case "pbkdf2-sha256":
		h.new = sha256.New
	case "pbkdf2-sha512":
		h.new = sha512.New
	}
	if len(n) == 2 && n[1] != uint64(len(digest)) {
		return nil, fmt.Sprintf("the digest has %d bytes, and l is %d", len(digest), n[1])
	}
	// Each block of digest costs all iterations again.
	if n[0] < minIterations || n[0]*h.blocks() > maxIterations {
		return nil, fmt.Sprintf("%d iterations for each block of the digest (%d), want %d to %d in all", n[0], h.blocks(), minIterations, maxIterations)
	}
	h.iterations = int(n[0])
	return h, ""
}

func (h pbkdf2Hash) blocks() uint64 {
	size := h.new().Size()
	return uint64((len(h.digest) + size - 1) / size)
}

func (h pbkdf2Hash) memory() int64 { return 1 }

func (h pbkdf2Hash) cost() string {
	return fmt.Sprintf("%s i=%d", h.kind, uint64(h.iterations)*h.blocks())
}

func (h pbkdf2Hash) matches(text string) bool {
	got, err := pbkdf2.Key(h.new, text, h.salt, h.iterations, len(h.digest))
	return err == nil && subtle.ConstantTimeCompare(got, h.digest) == 1
}
