package account

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"gatehouse/idp/pool"
	"gatehouse/internal/opaque"
)

// tokenLength is the length of the token of a link: 256 random bits, base64url.
const tokenLength = 43

// newToken returns 256 random bits, base64url.
func newToken() string { return opaque.New(32) }

// newCode returns random digits, at most 18.
func newCode(digits int) string {
	bound := int64(1)
	for range digits {
		bound *= 10
	}
	// rand.Int fails only where crypto/rand.Read would end the program.
	n, err := rand.Int(rand.Reader, big.NewInt(bound))
	if err != nil {
		panic(fmt.Sprintf("account: random digits: %v", err))
	}
	return fmt.Sprintf("%0*d", digits, n)
}

// plainCode returns the digits of what somebody typed as a code: people copy
// spaces along.
func plainCode(typed string) string {
	return strings.Join(strings.FieldsFunc(typed, func(r rune) bool { return r == ' ' || r == '-' || r == '\u00a0' || r == '\n' || r == '\t' }), "")
}

// digest returns the HMAC-SHA256 of parts under the key that makes what is new.
func (a *Accounts) digest(parts ...string) []byte { return digestBy(a.has.Key, parts) }

// digests is digest under every key that may have made what was sent.
func (a *Accounts) digests(parts ...string) [][]byte {
	all := [][]byte{a.digest(parts...)}
	for _, key := range a.has.Held() {
		if !hmac.Equal(key, a.has.Key) {
			all = append(all, digestBy(key, parts))
		}
	}
	return all
}

// digestBy writes each part after its length, so that no other parts give the
// same text.
func digestBy(key []byte, parts []string) []byte {
	mac := hmac.New(sha256.New, key)
	for _, p := range parts {
		mac.Write([]byte(strconv.Itoa(len(p)) + ":" + p))
	}
	return mac.Sum(nil)
}

// proof is a code that was sent, or that somebody typed.
type proof struct {
	purpose Purpose
	// owner is whom it is for, target where it was sent.
	owner, target string
	code          string
}

// parts bind a code to its purpose, to whom it is for and to where it was sent.
func (p proof) parts() []string {
	return []string{"code", string(p.purpose), p.owner, p.target, p.code}
}

func (a *Accounts) hashCode(p proof) []byte { return a.digest(p.parts()...) }

// proves reports whether hash is that of the code.
func (a *Accounts) proves(p proof, hash []byte) bool {
	p.code = plainCode(p.code)
	return among(a.digests(p.parts()...), hash)
}

func linkParts(p Purpose, token string) []string { return []string{"link", string(p), token} }

func (a *Accounts) hashLink(p Purpose, token string) []byte {
	return a.digest(linkParts(p, token)...)
}

// findLink looks for a link under every key that may have made it, and returns
// what find does; ErrLink.
func findLink[T any](a *Accounts, p Purpose, token string, find func(hash []byte) (T, error)) (T, error) {
	if len(token) != tokenLength {
		return *new(T), ErrLink
	}
	for _, hash := range a.digests(linkParts(p, token)...) {
		if found, err := find(hash); !errors.Is(err, ErrLink) {
			return found, err
		}
	}
	return *new(T), ErrLink
}

// boundParts are an account's state that makes what was sent worthless once it
// changes: password and address.
func boundParts(p Purpose, u pool.User) []string {
	return []string{
		"bound", string(p), u.ID, strconv.FormatInt(u.PasswordSet.UnixMilli(), 10), u.Email, u.Phone,
		strconv.FormatBool(u.EmailVerified), strconv.FormatBool(u.PhoneVerified),
	}
}

func (a *Accounts) bind(p Purpose, u pool.User) []byte { return a.digest(boundParts(p, u)...) }

// bound reports whether u is still what c was sent for.
func (a *Accounts) bound(c Code, u pool.User) bool {
	return among(a.digests(boundParts(c.Purpose, u)...), c.Bound)
}

// among reports whether want is one of digests; none is nothing.
func among(digests [][]byte, want []byte) bool {
	return len(want) > 0 && slices.ContainsFunc(digests, func(got []byte) bool { return hmac.Equal(got, want) })
}

func hashBrowser(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// newID returns a random UUID (RFC 9562, version 4).
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
