package keys

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/jose"
	"gatehouse/internal/keyring"
)

var (
	// ErrRotating means that the newest key is still waiting to sign, so that
	// another rotation would only make a longer queue.
	ErrRotating = errors.New("a new token key is already waiting to sign")
	// ErrNoKey means that no key signs now; it cannot happen while the clock
	// runs forward.
	ErrNoKey = errors.New("no token-signing key")
)

// Row is a signing key as stored.
type Row struct {
	// ID is the kid.
	ID string
	// Alg is the JOSE algorithm, RS256.
	Alg string
	// Sealed is the PKCS #8 private key, sealed for this row.
	Sealed []byte
	// Created is when the key was made and published, Signs when it begins to
	// sign; it ends when the next key's Signs comes.
	Created, Signs time.Time
}

// Rows keeps signing keys. All methods take part in the transaction of their
// context.
type Rows interface {
	// Insert adds a key.
	Insert(ctx context.Context, r Row) error
	// List returns all keys ordered by Signs, the oldest first.
	List(ctx context.Context) ([]Row, error)
	// Reseal replaces Sealed of a key.
	Reseal(ctx context.Context, id string, sealed []byte) error
	// Delete removes a key.
	Delete(ctx context.Context, id string) error
}

// Parts are what a Ring is made of. The first three are required.
type Parts struct {
	Rows    Rows
	Sealer  *keyring.Sealer
	Journal audit.Journal
	// Ahead is how long a key is published before it signs. Default 10m.
	Ahead time.Duration
	// Longest is the longest life of a token. Default 24h, client.MaxTTL.
	Longest time.Duration
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Ring is the ring of token-signing keys. It is safe for concurrent use, by
// several processes on one store too.
type Ring struct {
	has Parts
	mu  sync.Mutex
	// opened remembers private keys by id: unsealing and parsing cost more than
	// signing. A key that leaves the store is no longer asked for.
	opened map[string]*jose.Key
}

// New returns a Ring; it makes no key yet.
func New(p Parts) *Ring {
	if p.Ahead == 0 {
		p.Ahead = 10 * time.Minute
	}
	if p.Longest == 0 {
		p.Longest = 24 * time.Hour
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	return &Ring{has: p, opened: map[string]*jose.Key{}}
}

// Signer returns the key that signs now, and makes the first one if there is none.
func (r *Ring) Signer(ctx context.Context) (*jose.Key, error) {
	rows, err := r.rows(ctx)
	if err != nil {
		return nil, err
	}
	now := r.has.Now()
	for _, row := range slices.Backward(rows) {
		if !row.Signs.After(now) {
			return r.open(row)
		}
	}
	return nil, ErrNoKey
}

// Public returns the keys that verify now: the one that signs, one that will, and
// those whose tokens may still be alive. It is what the JWKS endpoint serves.
func (r *Ring) Public(ctx context.Context) (*jose.KeySet, error) {
	rows, err := r.rows(ctx)
	if err != nil {
		return nil, err
	}
	var public []*jose.PublicKey
	for _, row := range r.alive(rows) {
		key, err := r.open(row)
		if err != nil {
			return nil, err
		}
		public = append(public, key.Public())
	}
	return jose.NewKeySet(public...), nil
}

// Rotate makes a new key, which signs from Ahead from now on, and removes those
// that nothing needs any more. ErrRotating.
func (r *Ring) Rotate(ctx context.Context) error {
	// Made before the transaction: it takes long and the store has one writer.
	key, err := newKey()
	if err != nil {
		return err
	}
	return r.has.Journal.InTx(ctx, func(ctx context.Context) error {
		rows, err := r.has.Rows.List(ctx)
		if err != nil {
			return fmt.Errorf("list token keys: %w", err)
		}
		now := r.has.Now()
		signs := now.Add(r.has.Ahead)
		if len(rows) == 0 {
			signs = now
		} else if rows[len(rows)-1].Signs.After(now) {
			return ErrRotating
		}
		for _, row := range rows {
			if !slices.ContainsFunc(r.alive(rows), func(a Row) bool { return a.ID == row.ID }) {
				if err := r.has.Rows.Delete(ctx, row.ID); err != nil {
					return fmt.Errorf("remove token key: %w", err)
				}
			}
		}
		return r.insert(ctx, key, signs)
	})
}

// Reseal seals every private key again with the newest sealing key; it is called
// after the sealing ring was rotated and before its oldest key is dropped.
func (r *Ring) Reseal(ctx context.Context) error {
	return r.has.Journal.InTx(ctx, func(ctx context.Context) error {
		rows, err := r.has.Rows.List(ctx)
		if err != nil {
			return fmt.Errorf("list token keys: %w", err)
		}
		for _, row := range rows {
			if r.has.Sealer.Newest(row.Sealed) {
				continue
			}
			der, err := r.unseal(row)
			if err != nil {
				return err
			}
			sealed, err := r.seal(row.ID, der)
			if err != nil {
				return err
			}
			if err := r.has.Rows.Reseal(ctx, row.ID, sealed); err != nil {
				return fmt.Errorf("reseal token key: %w", err)
			}
		}
		return nil
	})
}

// rows returns the stored keys, after making the first one where there is none.
func (r *Ring) rows(ctx context.Context) ([]Row, error) {
	rows, err := r.has.Rows.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list token keys: %w", err)
	}
	if len(rows) > 0 {
		return rows, nil
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	err = r.has.Journal.InTx(ctx, func(ctx context.Context) error {
		// Another caller may have been first while this one made its key.
		if rows, err = r.has.Rows.List(ctx); err != nil || len(rows) > 0 {
			return err
		}
		if err := r.insert(ctx, key, r.has.Now()); err != nil {
			return err
		}
		rows, err = r.has.Rows.List(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make the first token key: %w", err)
	}
	return rows, nil
}

// alive returns those of rows, ordered by Signs, that belong into the JWKS.
func (r *Ring) alive(rows []Row) []Row {
	var alive []Row
	for i, row := range rows {
		// A key signs until its successor does.
		if i == len(rows)-1 || r.has.Now().Before(rows[i+1].Signs.Add(r.has.Longest)) {
			alive = append(alive, row)
		}
	}
	return alive
}

func (r *Ring) insert(ctx context.Context, key *jose.Key, signs time.Time) error {
	der, err := key.MarshalPKCS8()
	if err != nil {
		return fmt.Errorf("marshal token key: %w", err)
	}
	sealed, err := r.seal(key.ID, der)
	if err != nil {
		return err
	}
	row := Row{ID: key.ID, Alg: string(key.Alg), Sealed: sealed, Created: r.has.Now(), Signs: signs}
	if err := r.has.Rows.Insert(ctx, row); err != nil {
		return fmt.Errorf("insert token key: %w", err)
	}
	return r.has.Journal.Append(ctx, audit.Event{Type: "key.created", Target: key.ID, Detail: map[string]string{"signs": signs.UTC().Format(time.RFC3339)}})
}

// open returns the private key of row, from memory where it has been opened.
func (r *Ring) open(row Row) (*jose.Key, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if key := r.opened[row.ID]; key != nil {
		return key, nil
	}
	der, err := r.unseal(row)
	if err != nil {
		return nil, err
	}
	key, err := jose.ParsePKCS8(row.ID, jose.Alg(row.Alg), der)
	if err != nil {
		return nil, fmt.Errorf("parse token key %s: %w", row.ID, err)
	}
	r.opened[row.ID] = key
	return key, nil
}

func (r *Ring) seal(id string, der []byte) ([]byte, error) {
	sealed, err := r.has.Sealer.Seal(der, "token-key", "token_key", "sealed", id)
	if err != nil {
		return nil, fmt.Errorf("seal token key: %w", err)
	}
	return sealed, nil
}

func (r *Ring) unseal(row Row) ([]byte, error) {
	der, err := r.has.Sealer.Open(row.Sealed, "token-key", "token_key", "sealed", row.ID)
	if err != nil {
		return nil, fmt.Errorf("unseal token key %s: %w", row.ID, err)
	}
	return der, nil
}

func newKey() (*jose.Key, error) {
	var id [16]byte
	rand.Read(id[:])
	key, err := jose.GenerateKey(jose.RS256, base64.RawURLEncoding.EncodeToString(id[:]))
	if err != nil {
		return nil, fmt.Errorf("make token key: %w", err)
	}
	return key, nil
}
