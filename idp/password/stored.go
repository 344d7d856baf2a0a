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
	maxMemoryKiB  = 128 << 10
	maxPasses     = 10
	maxLanes      = 4
	minIterations = 1_000
	maxIterations = 2_000_000
	minBcryptCost = 4
	maxBcryptCost = 14
	minSalt       = 8
	maxSalt       = 64
	minDigest     = 16
	maxDigest     = 64
	maxHash       = 512
)

// stored is a hash that was read and lies within the bounds.
type stored interface {
	// memory is what one comparison takes, in KiB.
	memory() int64
	// matches computes the digest of text and compares it in constant time.
	matches(text string) bool
	// cost names the kind and what makes it dear: hashes of one cost take the
	// same time.
	cost() string
}

// parse reads a stored hash strictly and checks the bounds; every failure is
// ErrHash, with a reason that holds no byte of salt or digest.
func parse(s string) (stored, error) {
	if len(s) > maxHash {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrHash, maxHash)
	}
	parts := strings.Split(s, "$")
	if len(parts) < 4 || parts[0] != "" {
		return nil, fmt.Errorf("%w: not of the form $kind$parameters$salt$digest", ErrHash)
	}
	h, why := parseKind(parts[1], parts[2:])
	if why != "" {
		return nil, fmt.Errorf("%w: %s", ErrHash, why)
	}
	return h, nil
}

// parseKind returns the hash, or why it cannot be used.
func parseKind(kind string, rest []string) (stored, string) {
	switch kind {
	case "argon2id", "argon2i":
		return parseArgon2(kind, rest)
	case "2a", "2b", "2y":
		return parseBcrypt(rest)
	case "bcrypt-sha256":
		return parseBcryptSHA256(rest)
	case "scrypt":
		return parseScrypt(rest)
	case "7":
		return parseScryptCrypt(rest)
	case "pbkdf2", "pbkdf2-sha1", "pbkdf2-sha256", "pbkdf2-sha512":
		return parsePBKDF2(kind, rest)
	}
	return nil, "of an unknown kind"
}

// saltAndDigest decodes the two last parts of a PHC string and checks their
// length; it returns why they cannot be used.
func saltAndDigest(salt, digest string) (s, d []byte, why string) {
	enc := base64.RawStdEncoding.Strict()
	s, err := enc.DecodeString(salt)
	if err != nil {
		return nil, nil, "the salt is no base64 without padding"
	}
	d, err = enc.DecodeString(digest)
	if err != nil {
		return nil, nil, "the digest is no base64 without padding"
	}
	return s, d, lengths(s, d)
}

// lengths returns which of salt and digest is too short or too long, "" for none.
func lengths(salt, digest []byte) string {
	switch {
	case len(salt) < minSalt || len(salt) > maxSalt:
		return fmt.Sprintf("the salt has %d bytes, want %d to %d", len(salt), minSalt, maxSalt)
	case len(digest) < minDigest || len(digest) > maxDigest:
		return fmt.Sprintf("the digest has %d bytes, want %d to %d", len(digest), minDigest, maxDigest)
	}
	return ""
}

// bound is a number of a hash and what it may be.
type bound struct {
	name               string
	found, least, most uint64
}

// outside returns the first number that lies outside its bounds, and the bounds;
// "" if none does.
func outside(list ...bound) string {
	for _, b := range list {
		if b.found < b.least || b.found > b.most {
			return fmt.Sprintf("%s is %d, want %d to %d", b.name, b.found, b.least, b.most)
		}
	}
	return ""
}

// numbers reads comma-separated decimals that follow prefixes, in their order.
func numbers(s string, prefixes ...string) ([]uint64, bool) {
	parts := strings.Split(s, ",")
	if len(parts) != len(prefixes) {
		return nil, false
	}
	list := make([]uint64, len(parts))
	for i, prefix := range prefixes {
		digits, ok := strings.CutPrefix(parts[i], prefix)
		if !ok {
			return nil, false
		}
		if list[i], ok = decimal(digits); !ok {
			return nil, false
		}
	}
	return list, true
}

// decimal reads the one spelling of a number of at most 32 bits.
func decimal(s string) (uint64, bool) {
	if s == "" || s[0] == '+' || len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 32)
	return n, err == nil
}
