package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"gatehouse/idp/pool"
	"gatehouse/internal/keyring"
)

// ErrUsed is returned for a flow that has ended in a sign-in. The Pending that
// comes with it tells where to begin again.
var ErrUsed = errors.New("sign-in flow has been used")

// The kinds of flows this package keeps.
const (
	kindWaiting = "sign-in"
	kindUsed    = "signed-in"
)

// ForAccount is Ask.For of a person's own account pages.
const ForAccount = "account"

// Ask is what waits for a sign-in. Nothing in it is believed anew when the
// flow ends: it has been checked before, and it is sealed.
type Ask struct {
	// For says who waits: "" is an authorization request, ForAccount a page of
	// the person's own account, which Restart leads back to.
	For string `json:"for,omitempty"`
	// App is the name of the application, for the person to read.
	App string `json:"app"`
	// Destination is the URI the browser goes to in the end; pages need its
	// origin.
	Destination string `json:"destination"`
	// Restart is a path with query on the issuer's host that asks the same
	// question again.
	Restart string `json:"restart"`
	// Hint fills in the name of the person; "" for none.
	Hint string `json:"hint,omitempty"`
	// Request belongs to who asked; opaque here.
	Request json.RawMessage `json:"request,omitempty"`
}

// Pending is a flow that a browser has begun.
type Pending struct {
	Ask
	ID      string
	Created time.Time
}

// Config bounds sign-ins.
type Config struct {
	// Lifetime is how long a sign-in page may be answered. Default 10m.
	Lifetime time.Duration `yaml:"lifetime"`
	// FlowTries is how many answers one sign-in page takes before the person
	// begins again. Default 10. It bounds a page, not an account: see
	// AccountTries.
	FlowTries int `yaml:"flow_tries"`
	// AccountTries is how many wrong passwords an account takes before each
	// further one makes it wait: 1 s, 2 s, 4 s and so on, up to MaxWait.
	// Default 5.
	AccountTries int `yaml:"account_tries"`
	// MaxWait is the longest an account waits after a wrong password.
	// Default 15m.
	MaxWait time.Duration `yaml:"max_wait"`
	// AddressTries is how many wrong passwords may come from one IPv4 address,
	// or one IPv6 /64, in AddressWindow before the address is told to wait.
	// Default 20.
	AddressTries int `yaml:"address_tries"`
	// AddressStarts is how many sign-in pages one address may open in
	// AddressWindow; each is a row in the store. Default 600.
	AddressStarts int `yaml:"address_starts"`
	// AddressWindow is the time over which AddressTries and AddressStarts are
	// counted. Default 10m.
	AddressWindow time.Duration `yaml:"address_window"`
}

// Defaults sets what absent keys mean.
func (c *Config) Defaults() {
	*c = Config{
		Lifetime: 10 * time.Minute, FlowTries: 10, AccountTries: 5, MaxWait: 15 * time.Minute,
		AddressTries: 20, AddressStarts: 600, AddressWindow: 10 * time.Minute,
	}
}

// Parts are what a Machine is made of. Now and Log may be nil.
type Parts struct {
	Flows  Flows
	Tries  Tries
	Pool   *pool.Pool
	Sealer *keyring.Sealer
	Now    func() time.Time
	Log    *slog.Logger
}

// Machine takes people through a sign-in. It is safe for concurrent use.
type Machine struct {
	Parts
	cfg      Config
	failures *addresses
	starts   *addresses
	turns    *turns
}

// New returns a machine; it starts nothing.
func New(cfg Config, p Parts) *Machine {
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	return &Machine{
		Parts: p, cfg: cfg, failures: newAddresses(cfg.AddressTries, cfg.AddressWindow),
		starts: newAddresses(cfg.AddressStarts, cfg.AddressWindow), turns: newTurns(),
	}
}

// Start begins a flow for a browser at address, which is known by a secret in a
// cookie of its own, and returns the flow's id. It returns a *LimitedError when
// the address has begun too many.
func (m *Machine) Start(ctx context.Context, browser string, address netip.Addr, ask Ask) (string, error) {
	if browser == "" {
		return "", errors.New("start sign-in: no browser")
	}
	if wait := m.starts.take(address, m.Now()); wait > 0 {
		return "", &LimitedError{RetryAfter: wait}
	}
	id := random(16)
	data, err := m.seal(id, ask)
	if err != nil {
		return "", fmt.Errorf("start sign-in: %w", err)
	}
	now := m.Now()
	f := Flow{ID: id, Kind: kindWaiting, Data: data, BrowserHash: hash(browser), Created: now, Expires: now.Add(m.cfg.Lifetime)}
	if err := m.Flows.Insert(ctx, f); err != nil {
		return "", fmt.Errorf("start sign-in: %w", err)
	}
	return id, nil
}

// Find returns the flow with that id if this browser began it and it has not
// expired, else ErrFlowNotFound. For a flow that has ended in a sign-in it
// returns the flow and ErrUsed.
func (m *Machine) Find(ctx context.Context, id, browser string) (Pending, error) {
	if len(id) != 22 || browser == "" {
		return Pending{}, ErrFlowNotFound
	}
	f, err := m.Flows.Find(ctx, id)
	if err != nil {
		return Pending{}, fmt.Errorf("find sign-in: %w", err)
	}
	mine := subtle.ConstantTimeCompare(f.BrowserHash, hash(browser)) == 1
	if !mine || !m.Now().Before(f.Expires) || f.Kind != kindWaiting && f.Kind != kindUsed {
		return Pending{}, ErrFlowNotFound
	}
	ask, err := m.open(f)
	if err != nil {
		return Pending{}, fmt.Errorf("find sign-in: %w", err)
	}
	p := Pending{Ask: ask, ID: f.ID, Created: f.Created}
	if f.Kind == kindUsed {
		return p, ErrUsed
	}
	return p, nil
}

// Close ends the flow of a complete sign-in; of callers at once one gets nil and
// all others ErrUsed. It takes part in the transaction of ctx: what the sign-in
// brings about and the end of the flow happen together or not at all. What is
// left says only that the flow was used, so that the Back button gets a better
// answer than "unknown".
func (m *Machine) Close(ctx context.Context, done Done) error {
	p := done.Pending
	// Looked at again inside the transaction: the row of a used flow can be
	// deleted as well as that of a waiting one.
	if _, err := m.Find(ctx, p.ID, done.Browser); err != nil {
		return err
	}
	data, err := m.seal(p.ID, p.Ask)
	if err != nil {
		return fmt.Errorf("close sign-in: %w", err)
	}
	was, err := m.Flows.Delete(ctx, p.ID)
	if err != nil {
		return fmt.Errorf("close sign-in: %w", err)
	}
	if !was {
		return ErrUsed
	}
	used := Flow{
		ID: p.ID, Kind: kindUsed, Data: data, BrowserHash: hash(done.Browser), Created: p.Created,
		Expires: p.Created.Add(m.cfg.Lifetime),
	}
	if err := m.Flows.Insert(ctx, used); err != nil {
		return fmt.Errorf("close sign-in: %w", err)
	}
	return nil
}

const sealPurpose = "sign-in flow"

func (m *Machine) seal(id string, ask Ask) ([]byte, error) {
	plain, err := json.Marshal(ask)
	if err != nil {
		return nil, fmt.Errorf("encode flow: %w", err)
	}
	return m.Sealer.Seal(plain, sealPurpose, "flow", "data", id)
}

func (m *Machine) open(f Flow) (Ask, error) {
	plain, err := m.Sealer.Open(f.Data, sealPurpose, "flow", "data", f.ID)
	if err != nil {
		return Ask{}, fmt.Errorf("open flow: %w", err)
	}
	var ask Ask
	if err := json.Unmarshal(plain, &ask); err != nil {
		return Ask{}, fmt.Errorf("decode flow: %w", err)
	}
	return ask, nil
}

func hash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

func random(n int) string {
	b := make([]byte, n)
	// crypto/rand.Read never fails: it ends the program instead.
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}
