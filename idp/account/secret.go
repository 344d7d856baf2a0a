package account

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"gatehouse/idp/pool"
)

// tokenLength is the length of the token of a link: 256 random bits, base64url.
const tokenLength = 43

// newToken returns 256 random bits, base64url.
func newToken() string { return random(32) }

func random(n int) string {
	b := make([]byte, n)
	// crypto/rand.Read never fails: it ends the program instead.
	_, _ = rand.Read(b)
	return encode(b)
}

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

// digest returns the HMAC-SHA256 of parts, each after its length, so that no
// other parts give the same text.
func (a *Accounts) digest(parts ...string) []byte {
	mac := hmac.New(sha256.New, a.has.Key)
	for _, p := range parts {
		mac.Write([]byte(strconv.Itoa(len(p)) + ":" + p))
	}
	return mac.Sum(nil)
}

// hashCode binds a code to its purpose, to whom it is for and to where it was
// sent.
func (a *Accounts) hashCode(p Purpose, owner, target, code string) []byte {
	return a.digest("code", string(p), owner, target, code)
}

func (a *Accounts) hashLink(p Purpose, token string) []byte {
	return a.digest("link", string(p), token)
}

// bind is the digest of an account's state that makes what was sent worthless
// once it changes: password and address.
func (a *Accounts) bind(p Purpose, u pool.User) []byte {
	return a.digest("bound", string(p), u.ID, strconv.FormatInt(u.PasswordSet.UnixMilli(), 10), u.Email, u.Phone,
		strconv.FormatBool(u.EmailVerified), strconv.FormatBool(u.PhoneVerified))
}

// same compares digests; nothing is the same as none.
func same(got, want []byte) bool { return len(want) > 0 && hmac.Equal(got, want) }

func hashBrowser(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// newID returns a random UUID (RFC 9562, version 4).
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
