package session

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gorilla/securecookie"
)

// CookieKey is one key of the cookie ring: 64 bytes for HMAC-SHA256 and 32 for
// AES-256.
type CookieKey struct {
	Hash  []byte
	Block []byte
}

const (
	hashSize  = 64
	blockSize = 32
	maxKeys   = 3
)

// Box seals small values that a browser keeps: encrypted, authenticated, and
// bound to one purpose and one host. Values of one purpose open under no
// other, for each has keys of its own. It is safe for concurrent use.
type Box struct {
	purpose   string
	maxLength int                          // of a value
	codecs    []*securecookie.SecureCookie // the first one seals
}

// newBox derives the keys of a purpose from the ring, newest first. Limits and
// both keys are explicit: securecookie without a block key encrypts nothing,
// and its limits have defaults nobody chose.
func newBox(keys []CookieKey, purpose string, maxLength int, maxAge time.Duration) (*Box, error) {
	if len(keys) == 0 || len(keys) > maxKeys {
		return nil, fmt.Errorf("new cookie box: %d keys, want 1 to %d", len(keys), maxKeys)
	}
	if maxLength <= 0 || maxAge < time.Second {
		return nil, errors.New("new cookie box: no limits")
	}
	b := &Box{purpose: purpose, maxLength: maxLength}
	for _, k := range keys {
		if len(k.Hash) != hashSize || len(k.Block) != blockSize {
			return nil, fmt.Errorf("new cookie box: a key has %d and %d bytes, want %d and %d", len(k.Hash), len(k.Block), hashSize, blockSize)
		}
		hash, err := hkdf.Key(sha256.New, k.Hash, nil, "gatehouse cookie hash "+purpose, hashSize)
		if err != nil {
			return nil, fmt.Errorf("derive cookie key: %w", err)
		}
		block, err := hkdf.Key(sha256.New, k.Block, nil, "gatehouse cookie block "+purpose, blockSize)
		if err != nil {
			return nil, fmt.Errorf("derive cookie key: %w", err)
		}
		codec := securecookie.New(hash, block).
			MaxLength(longLength(maxLength)).
			MaxAge(int(maxAge / time.Second)).
			SetSerializer(raw{})
		b.codecs = append(b.codecs, codec)
	}
	return b, nil
}

// raw is the serializer under securecookie: bytes as they are. It hands out a
// copy, for securecookie encrypts in place what it is given.
type raw struct{}

// Serialize implements securecookie.Serializer for a []byte.
func (raw) Serialize(src any) ([]byte, error) {
	b, ok := src.([]byte)
	if !ok {
		return nil, fmt.Errorf("seal %T: want bytes", src)
	}
	return slices.Clone(b), nil
}

// Deserialize implements securecookie.Serializer for a *[]byte.
func (raw) Deserialize(src []byte, dst any) error {
	b, ok := dst.(*[]byte)
	if !ok {
		return fmt.Errorf("open into %T: want bytes", dst)
	}
	*b = src
	return nil
}

// name is what the MAC covers besides the value. Neither part can hold a "|",
// which separates it from the rest.
func (b *Box) name(host string) string { return b.purpose + " " + host }

// Seal returns plain as a cookie value that only Open with the same host opens.
func (b *Box) Seal(host string, plain []byte) (string, error) {
	long, err := b.codecs[0].Encode(b.name(host), plain)
	if err != nil {
		// The cause would print lengths only, but it is not ours to promise.
		return "", fmt.Errorf("seal %s: %w", b.purpose, ErrTooLarge)
	}
	value, ok := shorten(long)
	if !ok {
		return "", fmt.Errorf("seal %s: securecookie writes in another form", b.purpose)
	}
	if len(value) > b.maxLength {
		return "", fmt.Errorf("seal %s: %w", b.purpose, ErrTooLarge)
	}
	return value, nil
}

// Open returns what was sealed under any key of the ring. ok is false for
// everything else: there is no use in telling why.
func (b *Box) Open(host, value string) (plain []byte, ok bool) {
	if len(value) > b.maxLength {
		return nil, false
	}
	long, ok := lengthen(value)
	if !ok {
		return nil, false
	}
	name := b.name(host)
	for _, codec := range b.codecs {
		if codec.Decode(name, long, &plain) == nil {
			return plain, true
		}
	}
	return nil, false
}

// equalKeys tells whether two keys share a part, which a ring never has.
func equalKeys(a, b CookieKey) bool {
	return bytes.Equal(a.Hash, b.Hash) || bytes.Equal(a.Block, b.Block)
}
