package transfer_test

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/idp/mfa"
	"gatehouse/idp/password"
	"gatehouse/idp/pool"
	"gatehouse/idp/pool/transfer"
	"gatehouse/idp/store"
	"gatehouse/idp/store/storetest"
)

// hash is argon2id of something; twin is another.
const (
	hash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$c29tZWRpZ2VzdHNvbWVkaWdlc3Rzb21lZGlnZXN0MTI"
	twin = "$argon2id$v=19$m=19456,t=2,p=1$b3RoZXJzYWx0b3RoZXJz$b3RoZXJkaWdlc3RvdGhlcmRpZ2VzdG90aGVyZGlnZXM"
)

// world is a pool over a real store, with groups staff and admins and the custom
// attributes team, level (a number) and badge (set once).
type world struct {
	t       testing.TB
	db      *store.DB
	pool    *pool.Pool
	factors *mfa.Factors
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return worldOn(t, storetest.Open(t, nil))
}

func worldOn(t testing.TB, db *store.DB) *world {
	t.Helper()
	schema := pool.NewSchema(pool.Config{Custom: []pool.CustomAttribute{
		{Name: "team", Type: pool.TypeString, Mutable: true},
		{Name: "level", Type: pool.TypeNumber, Mutable: true},
		{Name: "badge", Type: pool.TypeString},
	}})
	var kinds mfa.Config
	kinds.Defaults()
	w := &world{t: t, db: db, pool: pool.New(pool.Parts{
		Users: db.Users(), Groups: db.Groups(), Members: db.Members(), Tombstones: db.Tombstones(), Hashes: db.Hashes(), Ender: db, Journal: db,
		Hasher: password.New(password.Options{}), Schema: schema,
	}), factors: factorsOn(t, db, kinds)}
	for _, g := range []string{"staff", "admins"} {
		if err := w.pool.AddGroup(t.Context(), pool.Group{Name: g}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// factorsOn returns the second factors over a store.
func factorsOn(t testing.TB, db *store.DB, cfg mfa.Config) *mfa.Factors {
	t.Helper()
	return factorsAt(t, db, cfg, nil)
}

func factorsAt(t testing.TB, db *store.DB, cfg mfa.Config, now func() time.Time) *mfa.Factors {
	t.Helper()
	return mfa.New(cfg, mfa.Parts{
		People: db.MFAPeople(), Secrets: db.MFASecrets(), Seals: db.MFASeals(), Recovery: db.MFARecovery(), Sent: db.MFASent(),
		Passkeys: db.MFAPasskeys(), Devices: db.MFADevices(), Counts: db.MFACounts(), Spent: db.MFASpent(),
		Ender: db, Journal: db, Sealer: storetest.Sealer(t), Issuer: &url.URL{Scheme: "https", Host: "login.test"}, Now: now,
	})
}

func (w *world) parts() transfer.Parts {
	return transfer.Parts{Pool: w.pool, Factors: w.factors, Rows: w.db.Bulk(), Marks: w.db.Marks(), Journal: w.db}
}

// outcome is what an import did.
type outcome struct {
	transfer.Result
	refused []string
	err     error
}

// try imports text and returns what became of it.
func (w *world) try(format, text string, o transfer.Options) outcome {
	w.t.Helper()
	return w.read(format, strings.NewReader(text), o)
}

func (w *world) read(format string, text io.Reader, o transfer.Options) outcome {
	w.t.Helper()
	var out outcome
	if o.Report == nil {
		o.Report = &transfer.Report{}
	}
	o.Report.Tell = func(r transfer.RowError) { out.refused = append(out.refused, r.Error()) }
	in, err := transfer.NewReader(text, format, w.pool.Schema())
	if err != nil {
		return outcome{err: err}
	}
	out.Result, out.err = transfer.NewImporter(w.parts(), o).Run(w.t.Context(), in)
	return out
}

// bring imports text, of which every row must go in.
func (w *world) bring(format, text string) {
	w.t.Helper()
	if out := w.try(format, text, transfer.Options{}); out.err != nil || out.Refused > 0 {
		w.t.Fatalf("import = %+v, want nothing refused", out)
	}
}

// export returns everybody as text.
func (w *world) export(format string, hashes bool) (string, transfer.Written) {
	w.t.Helper()
	var text strings.Builder
	e := w.exporter(format)
	e.Hashes = hashes
	done, err := e.Write(w.t.Context(), &text)
	if err != nil {
		w.t.Fatal(err)
	}
	return text.String(), done
}

func (w *world) exporter(format string) transfer.Exporter {
	return transfer.Exporter{Pool: w.pool, Factors: w.factors, Rows: w.db.Bulk(), Journal: w.db, Format: format}
}

func (w *world) find(name string) pool.User {
	w.t.Helper()
	u, err := w.pool.Find(w.t.Context(), name)
	if err != nil {
		w.t.Fatalf("find %s: %v", name, err)
	}
	return u
}

// count returns how many users there are, and how many events of a type.
func (w *world) count(event string) (users, events int) {
	w.t.Helper()
	for after := ""; ; {
		page, err := w.pool.List(w.t.Context(), after, 1000)
		if err != nil {
			w.t.Fatal(err)
		}
		if users += len(page); len(page) < 1000 {
			break
		}
		after = page[len(page)-1].Username
	}
	all, err := w.db.EventsSince(w.t.Context(), 0, 100000)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range all {
		if e.Type == event {
			events++
		}
	}
	return users, events
}

// crowd is n people as JSON lines.
func crowd(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"username":"user%d","email":"user%d@example.com","email_verified":true,"name":"User %d","attributes":{"custom:team":"t%d"},"groups":["staff"],"password_hash":%q}`+"\n", i, i, i, i%7, hash)
	}
	return b.String()
}

var errPulled = errors.New("the plug was pulled")

// pulled reads the first n bytes and then fails.
type pulled struct {
	r io.Reader
	n int
}

func (p *pulled) Read(b []byte) (int, error) {
	if p.n <= 0 {
		return 0, errPulled
	}
	n, err := p.r.Read(b[:min(len(b), p.n)])
	p.n -= n
	return n, err
}

func reportFile(t *testing.T) string { return filepath.Join(t.TempDir(), "refused.csv") }

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
