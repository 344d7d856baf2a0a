package jose

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// MaxToken is the longest compact token accepted, in bytes.
const MaxToken = 8 << 10

// Why a token is refused. Verify returns exactly one of them, wrapped with
// words that quote nothing of the token.
var (
	// ErrMalformed: not three parts of strict base64url around JSON objects,
	// too long, or with a critical header extension.
	ErrMalformed = errors.New("malformed token")
	// ErrAlg: an algorithm that is unknown, not among those asked for, or not
	// the one the key is pinned to.
	ErrAlg = errors.New("algorithm not allowed")
	// ErrKey: no key of the set has the token's kid, or it has none and the
	// set does not hold exactly one key of its algorithm.
	ErrKey = errors.New("unknown signing key")
	// ErrSignature: the signature is not one of this key over these bytes.
	ErrSignature = errors.New("signature does not verify")
)

// Token is a verified JWS. Numbers are json.Number.
type Token struct {
	Header map[string]any
	Claims map[string]any
}

// Unverified is a token that was taken apart and checked for form only. What
// it says may choose which keys to try, nothing else.
type Unverified struct {
	token     Token
	alg       Alg
	kid       string
	signed    []byte // header.payload, the bytes under the signature
	signature []byte
}

// strict refuses stray bits in the last character; line breaks, which the
// decoder skips, are refused by part.
var strict = base64.RawURLEncoding.Strict()

// Parse takes a compact token of at most MaxToken bytes apart. It returns
// ErrMalformed or ErrAlg.
func Parse(compact string) (*Unverified, error) {
	if len(compact) > MaxToken {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrMalformed, MaxToken)
	}
	header, rest, ok1 := strings.Cut(compact, ".")
	payload, signature, ok2 := strings.Cut(rest, ".")
	if !ok1 || !ok2 || strings.Contains(signature, ".") {
		return nil, fmt.Errorf("%w: not three parts", ErrMalformed)
	}
	u := &Unverified{signed: []byte(compact[:len(header)+1+len(payload)])}
	rawHeader, err := part(header)
	if err != nil {
		return nil, err
	}
	if u.token.Header, err = object(rawHeader); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if err := u.readHeader(); err != nil {
		return nil, err
	}
	if u.signature, err = part(signature); err != nil {
		return nil, err
	}
	rawPayload, err := part(payload)
	if err != nil {
		return nil, err
	}
	if u.token.Claims, err = object(rawPayload); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	return u, nil
}

// readHeader checks the header parameters that change how a token is read
// (RFC 7515 §4.1). jwk, jku, x5u and x5c are not looked at: a token does not
// choose its own key.
func (u *Unverified) readHeader() error {
	h := u.token.Header
	for _, name := range []string{"crit", "b64", "enc", "zip"} {
		if _, found := h[name]; found {
			return fmt.Errorf("%w: header %s", ErrMalformed, name)
		}
	}
	alg, _ := h["alg"].(string)
	u.alg = Alg(alg)
	if !u.alg.Valid() {
		return ErrAlg
	}
	kid, found := h["kid"]
	if u.kid, _ = kid.(string); found && u.kid == "" {
		return fmt.Errorf("%w: kid is not a string", ErrMalformed)
	}
	return nil
}

// Claim returns an unverified claim, nil when absent. It may choose an issuer
// among configured ones and must decide nothing.
func (u *Unverified) Claim(name string) any { return u.token.Claims[name] }

// KeyID returns the kid, "" when there is none.
func (u *Unverified) KeyID() string { return u.kid }

// Verify checks the signature. algs are the algorithms allowed; none means
// none is. It returns ErrAlg, ErrKey or ErrSignature.
func (u *Unverified) Verify(keys *KeySet, algs ...Alg) (*Token, error) {
	if !slices.Contains(algs, u.alg) {
		return nil, ErrAlg
	}
	key, ok := keys.Find(u.kid)
	if u.kid == "" {
		key, ok = keys.only(u.alg)
	}
	if !ok {
		return nil, ErrKey
	}
	// The key says which algorithm it is for, never the token: otherwise a
	// public key becomes an HMAC secret.
	if key.Alg != u.alg {
		return nil, ErrAlg
	}
	verifier, err := jws.NewVerifier(jwa.SignatureAlgorithm(key.Alg))
	if err != nil {
		return nil, ErrAlg
	}
	if err := verifier.Verify(u.signed, u.signature, key.key); err != nil {
		return nil, ErrSignature
	}
	token := u.token
	return &token, nil
}

// Verify takes a compact token apart and checks its signature against the key
// of the set that its kid names; see Parse and Unverified.Verify for what is
// refused. Issuer, audience, time and type are left to the caller.
func Verify(compact string, keys *KeySet, algs ...Alg) (*Token, error) {
	u, err := Parse(compact)
	if err != nil {
		return nil, err
	}
	return u.Verify(keys, algs...)
}

// part decodes one part of a compact token. One token has one spelling: what
// decodes to the same bytes but looks different is refused.
func part(s string) ([]byte, error) {
	if s == "" || strings.ContainsAny(s, "\r\n") {
		return nil, fmt.Errorf("%w: not base64url", ErrMalformed)
	}
	b, err := strict.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%w: not base64url", ErrMalformed)
	}
	return b, nil
}

// object decodes one JSON object and nothing after it. A member that appears
// twice is refused (RFC 7515 §4, RFC 7519 §4): the next reader might take the
// other one.
func object(text []byte) (map[string]any, error) {
	bad := fmt.Errorf("%w: not one JSON object with distinct members", ErrMalformed)
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, bad
	}
	m := map[string]any{}
	for dec.More() {
		t, err := dec.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return nil, bad
		}
		if _, twice := m[name]; twice {
			return nil, bad
		}
		var value any
		if err := dec.Decode(&value); err != nil {
			return nil, bad
		}
		m[name] = value
	}
	if _, err := dec.Token(); err != nil || dec.More() || dec.InputOffset() != int64(len(bytes.TrimRight(text, " \t\r\n"))) {
		return nil, bad
	}
	return m, nil
}
