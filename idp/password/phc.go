package password

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
)

// The bounds on a stored hash, both ways: more would let a row exhaust the
// machine (or make x/crypto panic), less would match by chance.
const (
	maxMemoryKiB = 128 << 10
	maxPasses    = 10
	maxLanes     = 4
	minSalt      = 8
	maxSalt      = 64
	minDigest    = 16
	maxDigest    = 64
	maxPHC       = 512
)

// phc is an argon2id hash in the PHC string format.
type phc struct {
	memory uint32 // KiB
	passes uint32
	lanes  uint8
	salt   []byte
	digest []byte
}

// String returns the PHC string; base64 without padding.
func (p phc) String() string {
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", p.memory, p.passes, p.lanes,
		base64.RawStdEncoding.EncodeToString(p.salt), base64.RawStdEncoding.EncodeToString(p.digest))
}

// parse reads a PHC string strictly and checks the bounds; every failure is
// ErrHash, with a reason that holds nothing of the hash.
func parse(s string) (phc, error) {
	bad := func(why string) (phc, error) { return phc{}, fmt.Errorf("%w: %s", ErrHash, why) }
	parts := strings.Split(s, "$")
	if len(s) > maxPHC || len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v=19" {
		return bad("not argon2id version 19")
	}
	params := strings.Split(parts[3], ",")
	if len(params) != 3 {
		return bad("parameters are not m, t, p")
	}
	var p phc
	m, okM := number(params[0], "m=")
	t, okT := number(params[1], "t=")
	l, okP := number(params[2], "p=")
	if !okM || !okT || !okP {
		return bad("parameters are not m, t, p")
	}
	if t < 1 || t > maxPasses || l < 1 || l > maxLanes || m < 8*l || m > maxMemoryKiB {
		return bad("work is out of bounds")
	}
	p.memory, p.passes, p.lanes = uint32(m), uint32(t), uint8(l)
	var err error
	if p.salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4]); err != nil || len(p.salt) < minSalt || len(p.salt) > maxSalt {
		return bad("salt is out of bounds")
	}
	if p.digest, err = base64.RawStdEncoding.Strict().DecodeString(parts[5]); err != nil || len(p.digest) < minDigest || len(p.digest) > maxDigest {
		return bad("digest is out of bounds")
	}
	return p, nil
}

// number reads the decimal after prefix.
func number(s, prefix string) (uint64, bool) {
	digits, ok := strings.CutPrefix(s, prefix)
	if !ok || digits == "" || digits[0] == '+' || len(digits) > 1 && digits[0] == '0' {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	return n, err == nil
}
