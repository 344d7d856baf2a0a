package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// Alg is a signature algorithm of RFC 7518 §3.1 or RFC 8037 §3.1.
type Alg string

// The algorithms of this package. There is no other way in: "none", the HMAC
// family and RSA-PSS are not known here.
const (
	RS256 Alg = "RS256" // RSASSA-PKCS1-v1_5 with SHA-256; keys of 2048 to 4096 bits
	ES256 Alg = "ES256" // ECDSA on P-256 with SHA-256
	EdDSA Alg = "EdDSA" // Ed25519
)

// Algs returns all algorithms, for callers that pin none.
func Algs() []Alg { return []Alg{RS256, ES256, EdDSA} }

// Valid tells whether a is one of the algorithms of this package.
func (a Alg) Valid() bool { return a == RS256 || a == ES256 || a == EdDSA }

const (
	rsaBits    = 2048 // of keys made here
	rsaMinBits = 2048
	rsaMaxBits = 4096
)

// ErrUnusableKey means that a key is of a kind or size this package refuses.
var ErrUnusableKey = errors.New("key is not RSA of 2048 to 4096 bits, P-256 or Ed25519")

// Key is a private key with its algorithm and name. It is immutable and safe
// for concurrent use; it prints as its ID only.
type Key struct {
	// ID is the kid of everything signed with the key.
	ID string
	// Alg is the only algorithm the key signs with.
	Alg     Alg
	private crypto.Signer
}

// GenerateKey makes a new key: RSA of 2048 bits, P-256 or Ed25519. id becomes
// its kid and must not be empty.
func GenerateKey(alg Alg, id string) (*Key, error) {
	var private crypto.Signer
	var err error
	switch alg {
	case RS256:
		private, err = rsa.GenerateKey(rand.Reader, rsaBits)
	case ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		return nil, fmt.Errorf("generate key: %w", ErrAlg)
	}
	if err != nil {
		return nil, fmt.Errorf("generate %s key: %w", alg, err)
	}
	return newKey(id, alg, private)
}

// ParsePKCS8 reads a private key in PKCS #8 DER (RFC 5958). It returns
// ErrUnusableKey when the key does not fit alg.
func ParsePKCS8(id string, alg Alg, der []byte) (*Key, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		// The cause may quote bytes of the key.
		return nil, errors.New("parse private key: not PKCS #8 DER")
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("parse private key %q: %w", id, ErrUnusableKey)
	}
	return newKey(id, alg, private)
}

func newKey(id string, alg Alg, private crypto.Signer) (*Key, error) {
	if id == "" {
		return nil, errors.New("new key: empty key id")
	}
	if fits, ok := algOf(private.Public()); !ok || fits != alg {
		return nil, fmt.Errorf("new key %q for %s: %w", id, alg, ErrUnusableKey)
	}
	return &Key{ID: id, Alg: alg, private: private}, nil
}

// Public returns the public half under the same ID.
func (k *Key) Public() *PublicKey {
	return &PublicKey{ID: k.ID, Alg: k.Alg, key: k.private.Public()}
}

// MarshalPKCS8 returns the private key as PKCS #8 DER, to be sealed and stored.
func (k *Key) MarshalPKCS8() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return nil, fmt.Errorf("marshal private key %q: %w", k.ID, err)
	}
	return der, nil
}

// String names the key and shows nothing of it.
func (k *Key) String() string { return string(k.Alg) + " key " + k.ID }

// GoString keeps %#v from showing the private key.
func (k *Key) GoString() string { return k.String() }

// PublicKey is a verification key pinned to one algorithm. It is immutable and
// safe for concurrent use.
type PublicKey struct {
	// ID is the kid; "" when its publisher gave none.
	ID string
	// Alg is the only algorithm the key verifies.
	Alg Alg
	key crypto.PublicKey // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

// NewPublicKey takes a key of crypto/rsa, crypto/ecdsa or crypto/ed25519. It
// returns ErrUnusableKey for anything else and for sizes refused.
func NewPublicKey(id string, key crypto.PublicKey) (*PublicKey, error) {
	alg, ok := algOf(key)
	if !ok {
		return nil, fmt.Errorf("new public key %q: %w", id, ErrUnusableKey)
	}
	return &PublicKey{ID: id, Alg: alg, key: key}, nil
}

// Crypto returns the key as the standard library knows it.
func (p *PublicKey) Crypto() crypto.PublicKey { return p.key }

// PEM returns the key as SubjectPublicKeyInfo in PEM (RFC 7468 §13).
func (p *PublicKey) PEM() []byte {
	der, err := x509.MarshalPKIXPublicKey(p.key)
	if err != nil {
		// Unreachable: algOf admits only types that marshal.
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// algOf returns the one algorithm a public key is used with.
func algOf(key crypto.PublicKey) (Alg, bool) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		bits := k.N.BitLen()
		return RS256, bits >= rsaMinBits && bits <= rsaMaxBits && k.E >= 3 && k.E%2 == 1
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return "", false
		}
		// ECDH refuses points off the curve and the point at infinity.
		_, err := k.ECDH()
		return ES256, err == nil
	case ed25519.PublicKey:
		return EdDSA, len(k) == ed25519.PublicKeySize
	}
	return "", false
}
