package signin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"gatehouse/idp/mfa"
	"gatehouse/idp/pool"
	"gatehouse/idp/risk"
	"gatehouse/internal/audit"
	"gatehouse/internal/keyring"
	"gatehouse/internal/opaque"
)

// ErrUsed is returned for a flow that has ended in a sign-in. The Pending that
// comes with it tells where to begin again.
var ErrUsed = errors.New("sign-in flow has been used")

// The kinds of flows this package keeps.
const (
	kindWaiting = "sign-in"
	kindUsed    = "signed-in"
)

// ACR is the acr value of a sign-in with a second factor, and the one that can
// be asked for.
const ACR = mfa.ACR

// Satisfies reports whether amr says that more than one factor was shown, and so
// whether ACR may stand beside it.
func Satisfies(amr []string) bool { return mfa.Satisfies(amr) }

// ForAccount is Ask.For of a person's own account pages.
const ForAccount = "account"

// Ask is what waits for a sign-in. Nothing in it is believed anew when the
// flow ends: it has been checked before, and it is sealed.
type Ask struct {
	// For says who waits: "" is an authorization request, ForAccount a page of
	// the person's own account, which Restart leads back to.
	For string `json:"for,omitempty"`
	// App is the name of the application, for the person to read; Client is the id
	// of its client, "" for a page of ours.
	App    string `json:"app"`
	Client string `json:"client,omitempty"`
	// Destination is the URI the browser goes to in the end; pages need its
	// origin.
	Destination string `json:"destination"`
	// Restart is a path with query on the issuer's host that asks the same
	// question again.
	Restart string `json:"restart"`
	// Hint fills in the name of the person; "" for none.
	Hint string `json:"hint,omitempty"`
	// Strong demands that a second factor is shown, whoever signs in.
	Strong bool `json:"strong,omitempty"`
	// Known is a session that is there already, so that only what it lacks is
	// asked for; nil asks for everything.
	Known *Known `json:"known,omitempty"`
	// Enrol is a kind of second factor to be set up, "" for none.
	Enrol mfa.Kind `json:"enrol,omitempty"`
	// Request belongs to who asked; opaque here.
	Request json.RawMessage `json:"request,omitempty"`
}

// Known is a session of the browser that a flow goes on from. Whoever finds or
// closes such a flow checks that the browser still has that session.
type Known struct {
	// Session and UserID are the ids of the session and its user.
	Session string `json:"session"`
	UserID  string `json:"user"`
	// AuthTime and AMR are those of the session.
	AuthTime time.Time `json:"auth_time"`
	AMR      []string  `json:"amr"`
}

// Config bounds sign-ins.
type Config struct {
	// Lifetime is how long a sign-in page may be answered. Default 10m.
	Lifetime time.Duration `yaml:"lifetime"`
	// FlowTries is how many answers one sign-in page takes before the person
	// begins again; answers with a second factor that is there are five in any
	// case. Default 10. It bounds a page, not an account: see AccountTries.
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

// Stolen looks up passwords in lists of stolen ones.
type Stolen interface {
	// Look tells what follows for u, whose right password this is. It records
	// what it has found, and answers NotStolen when nobody can be asked.
	Look(ctx context.Context, u pool.User, password string) Leak
}

// Leak is what follows from a right password that was looked up.
type Leak int

// The kinds.
const (
	// NotStolen: nothing, or no more than a record.
	NotStolen Leak = iota
	// StolenChange: it is replaced, after a second factor.
	StolenChange
	// StolenBlocked: it does not count any more.
	StolenBlocked
)

// Parts are what a Machine is made of. Notices, Stolen, Now and Log may be nil.
type Parts struct {
	Flows Flows
	// Guard stands before every guess of a password; whatever else takes one
	// counts there as well. NewGuard makes it.
	Guard   *risk.Guard
	Pool    *pool.Pool
	Factors *mfa.Factors
	Journal audit.Journal
	Sealer  *keyring.Sealer
	Notices Notices
	Stolen  Stolen
	// TemporaryTTL is how long a password works that somebody else has set; 0
	// for any time.
	TemporaryTTL time.Duration
	Now          func() time.Time
	Log          *slog.Logger
}

// Machine takes people through a sign-in. It is safe for concurrent use.
type Machine struct {
	Parts
	cfg     Config
	starts  *risk.Addresses
	figures figures
}

// New returns a machine; it starts nothing.
func New(cfg Config, p Parts) *Machine {
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	return &Machine{Parts: p, cfg: cfg, starts: risk.NewAddresses(cfg.AddressStarts, cfg.AddressWindow)}
}

// NewGuard returns what bounds guesses as cfg says. A nil now is time.Now.
func NewGuard(cfg Config, tries risk.Tries, now func() time.Time) *risk.Guard {
	return risk.New(risk.Limits{
		AccountTries: cfg.AccountTries, MaxWait: cfg.MaxWait, AddressTries: cfg.AddressTries, AddressWindow: cfg.AddressWindow,
	}, tries, now)
}

// CanBeStrong reports whether there are second factors here at all, so that an
// Ask for one can be met.
func (m *Machine) CanBeStrong() bool {
	anybody := mfa.Person{Email: "a@example.com", Phone: "+10000000"}
	return len(m.Factors.Enrollable(mfa.Set{}, anybody)) > 0
}

// Start begins a flow for a browser at address, which is known by a secret in a
// cookie of its own, and returns the flow's id. It returns a *LimitedError when
// the address has begun too many, ErrNoFactor or ErrUnmet when a Known session
// cannot be stepped up, and ErrFlowNotFound when its user may not sign in.
func (m *Machine) Start(ctx context.Context, browser string, address netip.Addr, ask Ask) (string, error) {
	if browser == "" {
		return "", errors.New("start sign-in: no browser")
	}
	if wait := m.starts.Take(address, m.Now()); wait > 0 {
		return "", &LimitedError{RetryAfter: wait}
	}
	id := opaque.New(16)
	st, err := m.first(ctx, id, ask)
	if err != nil {
		return "", fmt.Errorf("start sign-in: %w", err)
	}
	data, err := m.seal(id, saved{Ask: ask, State: st})
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

// first returns the state that a flow begins in.
func (m *Machine) first(ctx context.Context, id string, ask Ask) (state, error) {
	w := &walk{Pending: Pending{Ask: ask, ID: id, Step: StepPassword}}
	if ask.Known == nil {
		w.enter(StepPassword)
		return w.state, m.askAnybody(w)
	}
	user, err := m.Pool.Get(ctx, ask.Known.UserID)
	if errors.Is(err, pool.ErrNotFound) || err == nil && !user.Enabled {
		return state{}, ErrFlowNotFound
	}
	if err != nil {
		return state{}, err
	}
	if err := m.person(ctx, &w.Pending, user); err != nil {
		return state{}, err
	}
	st := &w.state
	st.UserID, st.PasswordSet, st.AMR = user.ID, user.PasswordSet, ask.Known.AMR
	if err := m.next(ctx, w); err != nil {
		return state{}, err
	}
	if w.done {
		return state{}, errors.New("nothing is missing")
	}
	return w.state, nil
}

// askAnybody lets a passkey alone answer, where that is allowed.
func (m *Machine) askAnybody(w *walk) error {
	if !m.Factors.PasskeySignIn() {
		return nil
	}
	c, err := m.Factors.AskAnybody()
	w.state.Options, w.state.Ceremony = c.Options, c.State
	return err
}

// Find returns the flow with that id if this browser began it and it has not
// expired, else ErrFlowNotFound. For a flow that has ended in a sign-in it
// returns the flow and ErrUsed.
func (m *Machine) Find(ctx context.Context, id, browser string) (Pending, error) {
	f, err := m.load(ctx, id, browser)
	if err != nil {
		return Pending{}, err
	}
	s, err := m.open(f)
	if err != nil {
		return Pending{}, fmt.Errorf("find sign-in: %w", err)
	}
	p := Pending{Ask: s.Ask, ID: f.ID, Created: f.Created, flow: f, state: s.State, Serial: s.State.Serial}
	if f.Kind == kindUsed {
		return p, ErrUsed
	}
	if err := m.view(ctx, &p); err != nil {
		return Pending{}, fmt.Errorf("find sign-in: %w", err)
	}
	return p, nil
}

// load returns the flow with that id, of this browser, that has not expired.
func (m *Machine) load(ctx context.Context, id, browser string) (Flow, error) {
	if len(id) != 22 || browser == "" {
		return Flow{}, ErrFlowNotFound
	}
	f, err := m.Flows.Find(ctx, id)
	if err != nil {
		return Flow{}, fmt.Errorf("find sign-in: %w", err)
	}
	mine := subtle.ConstantTimeCompare(f.BrowserHash, hash(browser)) == 1
	if !mine || !m.Now().Before(f.Expires) || f.Kind != kindWaiting && f.Kind != kindUsed {
		return Flow{}, ErrFlowNotFound
	}
	return f, nil
}

// Close ends the flow of a complete sign-in; of callers at once one gets nil and
// all others ErrUsed. ErrFlowNotFound when the person has been disabled or has
// another password since. It takes part in the transaction of ctx: what the sign-in
// brings about and the end of the flow happen together or not at all. What is
// left says only that the flow was used, so that the Back button gets a better
// answer than "unknown".
func (m *Machine) Close(ctx context.Context, done Done) error {
	p := done.Pending
	// Looked at again inside the transaction: the row of a used flow can be
	// deleted as well as that of a waiting one.
	f, err := m.load(ctx, p.ID, done.Browser)
	if err != nil {
		return err
	}
	if f.Kind == kindUsed {
		return ErrUsed
	}
	user, err := m.Pool.Get(ctx, done.User.ID)
	if errors.Is(err, pool.ErrNotFound) || err == nil && (!user.Enabled || !user.PasswordSet.Equal(done.User.PasswordSet)) {
		return ErrFlowNotFound
	}
	if err != nil {
		return fmt.Errorf("close sign-in: %w", err)
	}
	data, err := m.seal(p.ID, saved{Ask: p.Ask, State: state{Serial: p.state.Serial}})
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
	m.figures.add(signedIn)
	return nil
}

const sealPurpose = "sign-in flow"

func hash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}
