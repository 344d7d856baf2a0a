package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrOpen means that a sealed value was made by another key, for another place,
// or was changed. It says no more.
var ErrOpen = errors.New("sealed value cannot be opened")

// sealVersion begins every sealed value.
const sealVersion = 1

// Sealer seals what must not stand in the database in clear, and derives keys
// that must not stand there at all. It is safe for concurrent use.
type Sealer struct{ ring *Ring }

// OpenSealing returns the Sealer of this installation. env, the value of
// GATEHOUSE_SEALING_KEY, wins over the file when it is not empty: up to three
// keys with commas between them, newest first, each of 32 bytes in base64,
// base64url or hex. Otherwise the ring at path is read; when there is
// none it is made only if fresh is true (there is no database yet), else the
// error is ErrNoKey, for a new key would open nothing of an old database.
func OpenSealing(path string, fresh bool, env string) (*Sealer, error) {
	if env = strings.TrimSpace(env); env != "" {
		return sealerOf(strings.Split(env, ","))
	}
	ring, err := OpenRing(path, Sealing, fresh)
	if err != nil {
		return nil, err
	}
	return &Sealer{ring: ring}, nil
}

// sealerOf returns a Sealer with the keys of the environment, newest first.
func sealerOf(texts []string) (*Sealer, error) {
	if len(texts) > maxKeys {
		return nil, fmt.Errorf("%w: more than %d sealing keys in the environment", ErrMalformed, maxKeys)
	}
	ring := &Ring{purpose: Sealing}
	for _, text := range texts {
		secret, err := decodeKey(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		ring.keys = append(ring.keys, sealingKey(secret))
	}
	return &Sealer{ring: ring}, nil
}

// NewSealer returns a Sealer with one key of 32 bytes. Its key id is derived from
// the key, so that the same key has the same id everywhere.
func NewSealer(secret []byte) (*Sealer, error) {
	if len(secret) != secretSize(Sealing) {
		return nil, fmt.Errorf("%w: a sealing key has 32 bytes", ErrMalformed)
	}
	return &Sealer{ring: &Ring{purpose: Sealing, keys: []RingKey{sealingKey(secret)}}}, nil
}

func sealingKey(secret []byte) RingKey {
	id := sha256.Sum256(append([]byte("gatehouse sealing key id\x00"), secret...))
	return RingKey{ID: hex.EncodeToString(id[:8]), Secret: slices.Clone(secret)}
}

// decodeKey reads 32 bytes in hex or any base64; the error never holds the key.
func decodeKey(s string) ([]byte, error) {
	if b, err := hex.DecodeString(s); err == nil && len(b) == 32 {
		return b, nil
	}
	for _, enc := range []*base64.Encoding{base64.RawURLEncoding, base64.RawStdEncoding} {
		if b, err := enc.DecodeString(strings.TrimRight(s, "=")); err == nil && len(b) == 32 {
			return b, nil
		}
	}
	return nil, fmt.Errorf("%w: the sealing key from the environment is not 32 bytes in base64 or hex", ErrMalformed)
}

// Seal returns plain encrypted and authenticated with AES-256-GCM under the
// newest key, bound to purpose, table, column and row:
//
//	version(1) len(kid)(1) kid nonce(12) ciphertext tag(16)
func (s *Sealer) Seal(plain []byte, purpose, table, column, row string) ([]byte, error) {
	key := s.newest()
	aead, err := gcm(key, purpose)
	if err != nil {
		return nil, err
	}
	head := append([]byte{sealVersion, byte(len(key.ID))}, key.ID...)
	return aead.Seal(head, nil, plain, aad(head, purpose, table, column, row)), nil
}

// Open returns what Seal was given for the same purpose, table, column and row,
// under any key of the ring; ErrOpen in every other case.
func (s *Sealer) Open(sealed []byte, purpose, table, column, row string) ([]byte, error) {
	if len(sealed) < 2 || sealed[0] != sealVersion || len(sealed) < 2+int(sealed[1]) {
		return nil, ErrOpen
	}
	head, body := sealed[:2+int(sealed[1])], sealed[2+int(sealed[1]):]
	key, ok := s.find(string(head[2:]))
	if !ok {
		return nil, ErrOpen
	}
	aead, err := gcm(key, purpose)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, body, aad(head, purpose, table, column, row))
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}

// Newest reports whether sealed was made by the newest key, and so need not be
// sealed again after a rotation.
func (s *Sealer) Newest(sealed []byte) bool {
	return len(sealed) > 2 && len(sealed) >= 2+int(sealed[1]) && string(sealed[2:2+int(sealed[1])]) == s.newest().ID
}

func (s *Sealer) newest() RingKey { return s.ring.Keys()[0] }

// find returns the key with that id. An unknown one may be newer than what this
// process has read: the command line rotates while the server runs.
func (s *Sealer) find(id string) (RingKey, bool) {
	for range 2 {
		keys := s.ring.Keys()
		if i := slices.IndexFunc(keys, func(k RingKey) bool { return k.ID == id }); i >= 0 {
			return keys[i], true
		}
		if s.ring.path == "" || s.ring.Reload() != nil {
			break
		}
	}
	return RingKey{}, false
}

// Derive returns n bytes that only the newest sealing key and purpose determine
// (HKDF-SHA256, RFC 5869). n is at most 8,160.
func (s *Sealer) Derive(purpose string, n int) []byte {
	return derive(s.newest(), "derive", purpose, n)
}

// DeriveAll is Derive for every key of the ring, newest first: for whoever must
// recognise what was derived before a rotation, or after one, by a process that
// knows the new key already.
func (s *Sealer) DeriveAll(purpose string, n int) [][]byte {
	s.ring.follow()
	var all [][]byte
	for _, k := range s.ring.Keys() {
		all = append(all, derive(k, "derive", purpose, n))
	}
	return all
}

// derive keeps sealing and deriving apart, and every purpose from every other.
func derive(k RingKey, use, purpose string, n int) []byte {
	out, err := hkdf.Key(sha256.New, k.Secret, nil, "gatehouse\x00"+use+"\x00"+purpose, n)
	if err != nil {
		// Only a length beyond RFC 5869's limit ends here: a mistake of ours.
		panic(fmt.Sprintf("keyring: derive %d bytes: %v", n, err))
	}
	return out
}

func gcm(k RingKey, purpose string) (cipher.AEAD, error) {
	block, err := aes.NewCipher(derive(k, "seal", purpose, 32))
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	return aead, nil
}

// aad joins the parts with their lengths, so that no two places look alike.
func aad(head []byte, parts ...string) []byte {
	out := slices.Clone(head)
	for _, p := range parts {
		out = binary.BigEndian.AppendUint32(out, uint32(len(p)))
		out = append(out, p...)
	}
	return out
}
