package storetest

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/idp/sso"
	"gatehouse/idp/store"
	"gatehouse/internal/keyring"
)

// Sealer returns a Sealer with a fixed key.
func Sealer(tb testing.TB) *keyring.Sealer {
	tb.Helper()
	s, err := keyring.NewSealer(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// Open returns a new SQLite database in a temporary directory; now may be nil.
func Open(tb testing.TB, now func() time.Time) *store.DB {
	tb.Helper()
	db, err := store.Open(tb.Context(), filepath.Join(tb.TempDir(), "gatehouse.db"), store.Options{
		Create: true, Migrate: true, Sealer: Sealer(tb), Now: now,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Errorf("close database: %v", err)
		}
	})
	return db
}

// Session returns a provider session that lives for a day; its ticket hash is
// derived from id.
func Session(id, userID string) sso.Session {
	hash := sha256.Sum256([]byte(id))
	now := time.Now()
	return sso.Session{ID: id, TicketHash: hash[:], UserID: userID, AuthTime: now, Created: now, Seen: now, Expires: now.Add(24 * time.Hour)}
}

// Clock is a clock that tests move. It is not safe for concurrent use.
type Clock struct{ At time.Time }

// NewClock returns a clock that stands at a whole second.
func NewClock() *Clock { return &Clock{At: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)} }

// Now returns the time the clock stands at.
func (c *Clock) Now() time.Time { return c.At }

// Forward moves the clock.
func (c *Clock) Forward(d time.Duration) { c.At = c.At.Add(d) }

// Holds reports whether text stands anywhere in the database's files, the
// write-ahead log included.
func Holds(tb testing.TB, db *store.DB, text string) bool {
	tb.Helper()
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(db.Name() + suffix)
		if err != nil {
			tb.Fatal(err)
		}
		if bytes.Contains(data, []byte(text)) {
			return true
		}
	}
	return false
}
