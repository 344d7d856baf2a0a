package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// Limits of a key set from outside.
const (
	// MaxKeySet is the largest JWK Set accepted, in bytes.
	MaxKeySet = 256 << 10
	// MaxKeys is the largest number of keys in it.
	MaxKeys = 50
)

// ErrKeySet means that a text is no JWK Set or exceeds a limit.
var ErrKeySet = errors.New("not a JWK Set within limits")

// KeySet is an immutable list of public keys (RFC 7517 §5), safe for
// concurrent use.
type KeySet struct {
	keys []*PublicKey
	byID map[string]*PublicKey
}

// NewKeySet returns a set of the keys in the given order. Of two keys with one
// ID the first counts.
func NewKeySet(keys ...*PublicKey) *KeySet {
	s := &KeySet{byID: make(map[string]*PublicKey, len(keys))}
	for _, k := range keys {
		if k.ID != "" && s.byID[k.ID] != nil {
			continue
		}
		s.keys = append(s.keys, k)
		if k.ID != "" {
			s.byID[k.ID] = k
		}
	}
	return s
}

// Equal tells whether both sets hold the same keys, under the same IDs and for
// the same algorithms. A nil set equals nil and no other.
func (s *KeySet) Equal(other *KeySet) bool {
	if s == nil || other == nil {
		return s == other
	}
	return s.covers(other) && other.covers(s)
}

// covers tells whether s holds every key of other.
func (s *KeySet) covers(other *KeySet) bool {
	strange := func(k *PublicKey) bool { return !slices.ContainsFunc(s.keys, k.equal) }
	return !slices.ContainsFunc(other.keys, strange)
}

// equal tells whether p and other are the same in all that counts.
func (p *PublicKey) equal(other *PublicKey) bool {
	same, ok := p.key.(interface{ Equal(crypto.PublicKey) bool })
	return ok && p.ID == other.ID && p.Alg == other.Alg && same.Equal(other.key)
}

// ParseKeySet reads a JWK Set of at most MaxKeySet bytes and MaxKeys keys.
// Keys that cannot verify here (other algorithms, symmetric or private keys,
// use or key_ops that exclude verifying) are skipped, as RFC 7517 §5 asks; the
// set may therefore be empty. The error is ErrKeySet.
func ParseKeySet(text []byte) (*KeySet, error) {
	if len(text) > MaxKeySet {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrKeySet, MaxKeySet)
	}
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &doc); err != nil || doc.Keys == nil {
		return nil, fmt.Errorf("%w: no list of keys", ErrKeySet)
	}
	if len(doc.Keys) > MaxKeys {
		return nil, fmt.Errorf("%w: more than %d keys", ErrKeySet, MaxKeys)
	}
	var keys []*PublicKey
	for _, raw := range doc.Keys {
		if k, ok := parseKey(raw); ok {
			keys = append(keys, k)
		}
	}
	return NewKeySet(keys...), nil
}

// parseKey reads one JWK; ok is false for one that must not be used.
func parseKey(raw json.RawMessage) (key *PublicKey, ok bool) {
	var about struct {
		Type    string   `json:"kty"`
		ID      string   `json:"kid"`
		Alg     string   `json:"alg"`
		Use     string   `json:"use"`
		Ops     []string `json:"key_ops"`
		Private any      `json:"d"`
		Secret  any      `json:"k"`
	}
	if json.Unmarshal(raw, &about) != nil {
		return nil, false
	}
	switch {
	case about.Type != "RSA" && about.Type != "EC" && about.Type != "OKP",
		// A publisher that shows a private key has lost it to everybody.
		about.Private != nil, about.Secret != nil,
		about.Use != "" && about.Use != "sig",
		about.Ops != nil && !slices.Contains(about.Ops, "verify"):
		return nil, false
	}
	public, err := rawKey(raw)
	if err != nil {
		return nil, false
	}
	k, err := NewPublicKey(about.ID, public)
	if err != nil || about.Alg != "" && Alg(about.Alg) != k.Alg {
		return nil, false
	}
	return k, true
}

// rawKey lets jwx read the numbers of a JWK and normalises the result.
func rawKey(raw json.RawMessage) (key crypto.PublicKey, err error) {
	defer func() {
		// The parser is unmaintained and the text is a stranger's.
		if p := recover(); p != nil {
			err = ErrUnusableKey
		}
	}()
	parsed, err := jwk.ParseKey(raw)
	if err != nil {
		return nil, ErrUnusableKey
	}
	var any any
	if err := parsed.Raw(&any); err != nil {
		return nil, ErrUnusableKey
	}
	switch k := any.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
		return k, nil
	case rsa.PublicKey:
		return &k, nil
	case ecdsa.PublicKey:
		return &k, nil
	}
	return nil, ErrUnusableKey
}

// Find returns the key with the given ID.
func (s *KeySet) Find(id string) (*PublicKey, bool) {
	if s == nil || id == "" {
		return nil, false
	}
	k, ok := s.byID[id]
	return k, ok
}

// Keys returns the keys in order; the caller must not change the slice.
func (s *KeySet) Keys() []*PublicKey {
	if s == nil {
		return nil
	}
	return s.keys
}

// Len returns the number of keys; 0 for nil.
func (s *KeySet) Len() int { return len(s.Keys()) }

// only returns the single key of the set that verifies alg, for tokens without
// kid: among several there is no telling, and trying them all would let a
// retired key live on.
func (s *KeySet) only(alg Alg) (*PublicKey, bool) {
	var found *PublicKey
	for _, k := range s.Keys() {
		if k.Alg != alg {
			continue
		}
		if found != nil {
			return nil, false
		}
		found = k
	}
	return found, found != nil
}

// MarshalJSON writes the set as a JWK Set with use "sig" and the algorithm of
// each key.
func (s *KeySet) MarshalJSON() ([]byte, error) {
	list := make([]map[string]string, 0, s.Len())
	for _, k := range s.Keys() {
		list = append(list, k.jwk())
	}
	return json.Marshal(map[string]any{"keys": list})
}

// jwk returns the members of RFC 7517 §4, RFC 7518 §6 and RFC 8037 §2.
func (p *PublicKey) jwk() map[string]string {
	m := map[string]string{"alg": string(p.Alg), "use": "sig"}
	if p.ID != "" {
		m["kid"] = p.ID
	}
	b64 := base64.RawURLEncoding.EncodeToString
	switch k := p.key.(type) {
	case *rsa.PublicKey:
		m["kty"], m["n"] = "RSA", b64(k.N.Bytes())
		m["e"] = b64(big.NewInt(int64(k.E)).Bytes())
	case *ecdsa.PublicKey:
		// Bytes is the uncompressed point of SEC 1: 4, X, Y, 32 bytes each.
		point, err := k.Bytes()
		if err != nil || len(point) != 65 {
			return m
		}
		m["kty"], m["crv"] = "EC", "P-256"
		m["x"], m["y"] = b64(point[1:33]), b64(point[33:])
	case ed25519.PublicKey:
		m["kty"], m["crv"], m["x"] = "OKP", "Ed25519", b64(k)
	}
	return m
}
