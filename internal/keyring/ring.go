package keyring

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Purpose is what the keys of a ring are for; a ring has one.
type Purpose string

const (
	// Sealing: 32 bytes, from which all keys at rest are derived.
	Sealing Purpose = "sealing"
	// Cookie: 96 bytes, 64 for HMAC-SHA256 and then 32 for AES-256.
	Cookie Purpose = "cookie"
	// Assertion: an ES256 private key as PKCS #8 DER; its ID is a UUID.
	Assertion Purpose = "assertion"
)

// maxKeys is how many keys a ring keeps: the newest signs or seals, the others
// only open what they made.
const maxKeys = 3

// RingKey is one key of a ring.
type RingKey struct {
	// ID is the kid: letters, digits and hyphens.
	ID      string
	Created time.Time
	// Secret is the key itself, in the form its Purpose says.
	Secret []byte
}

// Ring is a file of keys of one purpose. It is safe for concurrent use.
type Ring struct {
	path    string
	purpose Purpose
	mu      sync.RWMutex
	keys    []RingKey
	file    fs.FileInfo // what the keys were read from
}

// OpenRing reads the ring at path. When there is none it makes one with a first
// key if create is true, and returns ErrNoKey otherwise. ErrUnsafe, ErrMalformed.
func OpenRing(path string, purpose Purpose, create bool) (*Ring, error) {
	r := &Ring{path: path, purpose: purpose}
	err := r.Reload()
	if !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	if !create {
		return nil, fmt.Errorf("open %s keys %s: %w", purpose, path, ErrNoKey)
	}
	key, err := newKey(purpose)
	if err != nil {
		return nil, err
	}
	err = write(path, format([]RingKey{key}), false)
	// Another process that started at the same time may have made it: use that.
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("open %s keys: %w", purpose, err)
	}
	return r, r.Reload()
}

// Keys returns one to three keys, newest first.
func (r *Ring) Keys() []RingKey {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Clone(r.keys)
}

// Reload reads the file again, after another process rotated it. On any error
// the ring stays as it was.
func (r *Ring) Reload() error {
	text, file, err := read(r.path)
	if err != nil {
		return fmt.Errorf("open %s keys: %w", r.purpose, err)
	}
	keys, err := parse(text, r.purpose)
	if err != nil {
		return fmt.Errorf("open %s keys %s: %w", r.purpose, r.path, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys, r.file = keys, file
	return nil
}

// follow reloads a ring whose file another process has replaced. When that fails
// the keys that are held go on.
func (r *Ring) follow() {
	if r.path == "" {
		return // of the environment
	}
	file, err := os.Lstat(r.path)
	if err != nil {
		return
	}
	r.mu.RLock()
	same := os.SameFile(file, r.file) && file.ModTime().Equal(r.file.ModTime())
	r.mu.RUnlock()
	if !same {
		_ = r.Reload()
	}
}

// Rotate puts a new key in front and drops all but three. What the dropped key
// made can no longer be opened.
func (r *Ring) Rotate() error {
	if err := r.Reload(); err != nil {
		return err
	}
	key, err := newKey(r.purpose)
	if err != nil {
		return err
	}
	keys := append([]RingKey{key}, r.Keys()...)
	keys = keys[:min(len(keys), maxKeys)]
	if err := write(r.path, format(keys), true); err != nil {
		return fmt.Errorf("rotate %s keys: %w", r.purpose, err)
	}
	return r.Reload()
}

// newKey makes a key of the purpose's kind.
func newKey(purpose Purpose) (RingKey, error) {
	k := RingKey{Created: time.Now().UTC().Truncate(time.Second)}
	var id [16]byte
	rand.Read(id[:])
	switch purpose {
	case Sealing, Cookie:
		k.ID = hex.EncodeToString(id[:8])
		k.Secret = make([]byte, secretSize(purpose))
		rand.Read(k.Secret)
		return k, nil
	case Assertion:
		id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
		k.ID = fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return k, fmt.Errorf("make assertion key: %w", err)
		}
		if k.Secret, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
			return k, fmt.Errorf("make assertion key: %w", err)
		}
		return k, nil
	}
	return k, fmt.Errorf("make key: unknown purpose %q", purpose)
}

// secretSize is the exact size of a symmetric key; 0 for PKCS #8.
func secretSize(purpose Purpose) int {
	switch purpose {
	case Sealing:
		return 32
	case Cookie:
		return 96
	}
	return 0
}

var kidPattern = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

// format is the text of a ring.
func format(keys []RingKey) []byte {
	var b bytes.Buffer
	for _, k := range keys {
		fmt.Fprintf(&b, "%s %s %s\n", k.ID, k.Created.UTC().Format(time.RFC3339), base64.RawURLEncoding.EncodeToString(k.Secret))
	}
	return b.Bytes()
}

// parse reads the text of a ring strictly; errors name the line, never the key.
func parse(text []byte, purpose Purpose) ([]RingKey, error) {
	var keys []RingKey
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		bad := func(why string) error { return fmt.Errorf("%w: line %d: %s", ErrMalformed, i+1, why) }
		f := strings.Fields(line)
		if len(f) != 3 {
			return nil, bad("want `kid created key`")
		}
		k := RingKey{ID: f[0]}
		if !kidPattern.MatchString(k.ID) || slices.ContainsFunc(keys, func(o RingKey) bool { return o.ID == k.ID }) {
			return nil, bad("key id is not letters, digits and hyphens, or stands twice")
		}
		var err error
		if k.Created, err = time.Parse(time.RFC3339, f[1]); err != nil {
			return nil, bad("time is not RFC 3339")
		}
		if k.Secret, err = base64.RawURLEncoding.Strict().DecodeString(f[2]); err != nil {
			return nil, bad("key is not base64url without padding")
		}
		if err := checkSecret(k.Secret, purpose); err != nil {
			return nil, bad(err.Error())
		}
		keys = append(keys, k)
	}
	if len(keys) > maxKeys {
		return nil, fmt.Errorf("%w: more than %d keys", ErrMalformed, maxKeys)
	}
	return keys, nil
}

// checkSecret refuses a key of another purpose.
func checkSecret(secret []byte, purpose Purpose) error {
	if n := secretSize(purpose); n != 0 {
		if len(secret) != n {
			return fmt.Errorf("a %s key has %d bytes", purpose, n)
		}
		return nil
	}
	key, err := x509.ParsePKCS8PrivateKey(secret)
	if ec, ok := key.(*ecdsa.PrivateKey); err != nil || !ok || ec.Curve != elliptic.P256() {
		return errors.New("not a P-256 private key")
	}
	return nil
}
