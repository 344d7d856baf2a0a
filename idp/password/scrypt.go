package password

import (
	"crypto/subtle"
	"fmt"
	"strings"

	"golang.org/x/crypto/scrypt"
)

// scryptHash is a scrypt hash (RFC 7914).
type scryptHash struct {
	logN, r, p int
	salt       []byte
	digest     []byte
}

// parseScrypt reads ln=LOG2N,r=BLOCKS,p=LANES, salt and digest: the PHC string,
// which passlib writes too.
func parseScrypt(rest []string) (stored, string) {
	if len(rest) != 3 {
		return nil, "not a scrypt hash"
	}
	n, ok := numbers(rest[0], "ln=", "r=", "p=")
	if !ok {
		return nil, "parameters are not ln, r, p"
	}
	salt, digest, why := saltAndDigest(rest[1], rest[2])
	if why != "" {
		return nil, why
	}
	return newScrypt(n, salt, digest)
}

// parseScryptCrypt reads what crypt(3) calls $7$: one character of log2 N, five
// of r, five of p, the salt as it stands, then the digest of 32 bytes.
func parseScryptCrypt(rest []string) (stored, string) {
	if len(rest) != 2 || len(rest[0]) < 11 {
		return nil, "not a scrypt hash"
	}
	head, salt := rest[0][:11], rest[0][11:]
	var n []uint64
	for _, field := range []string{head[:1], head[1:6], head[6:]} {
		raw, ok := cryptNumber(field)
		if !ok {
			return nil, "parameters are not those of $7$"
		}
		n = append(n, raw)
	}
	digest, ok := cryptBytes(rest[1])
	if !ok {
		return nil, "the digest is not that of $7$"
	}
	if why := lengths([]byte(salt), digest); why != "" {
		return nil, why
	}
	return newScrypt(n, []byte(salt), digest)
}

func newScrypt(n []uint64, salt, digest []byte) (stored, string) {
	logN, r, p := n[0], n[1], n[2]
	// Each factor before the product, or it might wrap around.
	if why := outside(bound{"ln", logN, 1, 20}, bound{"r", r, 1, 1 << 10}, bound{"p", p, 1, maxLanes}); why != "" {
		return nil, why
	}
	if r<<logN > maxMemoryKiB<<3 {
		return nil, fmt.Sprintf("ln and r take %d KiB, want %d at most", r<<logN>>3, maxMemoryKiB)
	}
	return scryptHash{int(logN), int(r), int(p), salt, digest}, ""
}

// memory is 128·N·r bytes, and 128·r for each lane beside it.
func (h scryptHash) memory() int64 { return int64(h.r)<<h.logN>>3 + int64(h.r*(h.p+2))>>3 + 1 }

func (h scryptHash) cost() string { return fmt.Sprintf("scrypt ln=%d,r=%d,p=%d", h.logN, h.r, h.p) }

func (h scryptHash) matches(text string) bool {
	got, err := scrypt.Key([]byte(text), h.salt, 1<<h.logN, h.r, h.p, len(h.digest))
	return err == nil && subtle.ConstantTimeCompare(got, h.digest) == 1
}

const cryptAlphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// cryptNumber reads six bits for each character, the lowest first.
func cryptNumber(s string) (uint64, bool) {
	var n uint64
	for i := range len(s) {
		v := strings.IndexByte(cryptAlphabet, s[i])
		if v < 0 {
			return 0, false
		}
		n |= uint64(v) << (6 * i)
	}
	return n, true
}

// cryptBytes reads four characters as three bytes, the lowest first; a rest of
// two or three characters is one or two bytes.
func cryptBytes(s string) ([]byte, bool) {
	var out []byte
	for len(s) > 0 {
		group := s[:min(4, len(s))]
		s = s[len(group):]
		n, ok := cryptNumber(group)
		size := len(group) * 6 / 8
		if !ok || size == 0 || n>>(8*size) != 0 {
			return nil, false
		}
		for range size {
			out = append(out, byte(n))
			n >>= 8
		}
	}
	return out, true
}
