package password

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"

	"golang.org/x/crypto/argon2"
)

// argonHash is an argon2id or argon2i hash of version 19 (RFC 9106).
type argonHash struct {
	kind   string
	kib    uint32
	passes uint32
	lanes  uint8
	salt   []byte
	digest []byte
}

// ours returns an argon2id hash of today's cost with a new salt and no digest.
func ours() argonHash {
	h := argonHash{kind: "argon2id", kib: memoryKiB, passes: passes, lanes: lanes, salt: make([]byte, saltBytes)}
	rand.Read(h.salt)
	return h
}

// parseArgon2 reads v=19, m=KiB,t=PASSES,p=LANES, salt and digest.
func parseArgon2(kind string, rest []string) (stored, string) {
	if len(rest) != 4 || rest[0] != "v=19" {
		return nil, "not argon2 version 19"
	}
	n, ok := numbers(rest[1], "m=", "t=", "p=")
	if !ok {
		return nil, "parameters are not m, t, p"
	}
	m, t, p := n[0], n[1], n[2]
	why := outside(bound{"t", t, 1, maxPasses}, bound{"p", p, 1, maxLanes}, bound{"m", m, 8 * p, maxMemoryKiB})
	if why != "" {
		return nil, why
	}
	salt, digest, why := saltAndDigest(rest[2], rest[3])
	return argonHash{kind, uint32(m), uint32(t), uint8(p), salt, digest}, why
}

// String returns the PHC string; base64 without padding.
func (h argonHash) String() string {
	b := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$%s$v=19$m=%d,t=%d,p=%d$%s$%s", h.kind, h.kib, h.passes, h.lanes, b(h.salt), b(h.digest))
}

func (h argonHash) memory() int64 { return int64(h.kib) }

func (h argonHash) cost() string {
	return fmt.Sprintf("%s m=%d,t=%d,p=%d", h.kind, h.kib, h.passes, h.lanes)
}

func (h argonHash) matches(text string) bool {
	return subtle.ConstantTimeCompare(h.derive(text, len(h.digest)), h.digest) == 1
}

func (h argonHash) derive(text string, size int) []byte {
	if h.kind == "argon2i" {
		return argon2.Key([]byte(text), h.salt, h.passes, h.kib, h.lanes, uint32(size))
	}
	return argon2.IDKey([]byte(text), h.salt, h.passes, h.kib, h.lanes, uint32(size))
}
