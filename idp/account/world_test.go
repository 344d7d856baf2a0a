package account_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/idp/account"
	"gatehouse/idp/password"
	"gatehouse/idp/pool"
	"gatehouse/idp/risk"
	"gatehouse/idp/store"
	"gatehouse/idp/store/storetest"
	"gatehouse/internal/audit"
)

const pass = "correct horse battery"

var here = netip.MustParseAddr("192.0.2.1")

// post keeps the promise of a Messenger: a message is there when the transaction
// commits. It writes them as events.
type post struct {
	db   *store.DB
	only []account.Channel
}

func (p *post) Has(c account.Channel) bool {
	for _, o := range p.only {
		if o == c {
			return true
		}
	}
	return false
}

func (p *post) Send(ctx context.Context, m account.Message) error {
	if !p.Has(m.Channel) || m.To == "" {
		return errors.New("no such channel or recipient")
	}
	// The outbox writes a row besides.
	if _, _, err := p.db.AccountLimits().Raise(ctx, "message", time.Now(), time.Hour); err != nil {
		return err
	}
	return p.db.Append(ctx, audit.Event{Type: "test.message", Target: m.UserID, Detail: map[string]string{
		"kind": string(m.Kind), "channel": string(m.Channel), "to": m.To, "code": m.Code, "token": m.Token, "old": m.Old, "new": m.New,
		"locale": m.Locale,
	}})
}

func (p *post) Pretend(ctx context.Context) error { return p.db.PretendMessage(ctx) }

// counted tells how often a try was counted.
type counted struct {
	risk.Tries
	n atomic.Int64
}

func (c *counted) Count(ctx context.Context, t risk.Try) (time.Duration, error) {
	c.n.Add(1)
	return c.Tries.Count(ctx, t)
}

// key is that of all HMACs.
const key = "0123456789abcdef0123456789abcdef"

// none is no further key.
func none() [][]byte { return nil }

// factors are the channels of people's second factors, by their id.
type factors map[string][]account.Channel

func (f factors) Over(_ context.Context, userID string) ([]account.Channel, error) {
	return f[userID], nil
}

func asks(name string) account.Forgotten {
	return account.Forgotten{Name: name, Browser: browser, From: here}
}

type world struct {
	t      *testing.T
	db     *store.DB
	clock  *storetest.Clock
	hasher *password.Hasher
	pool   *pool.Pool
	post   *post
	tries  *counted
	over   factors
	cfg    account.Config
	acc    *account.Accounts
	read   int
	// key and held are the keys that open gives the Accounts.
	key  string
	held func() [][]byte
}

func newWorld(t *testing.T, edit ...func(*account.Config, *pool.Config)) *world {
	w := &world{t: t, clock: storetest.NewClock(), hasher: password.New(password.Options{}), key: key, held: none}
	var people pool.Config
	people.Defaults()
	w.cfg.Defaults()
	w.cfg.SignUp, w.cfg.Recovery, w.cfg.NetworkPerHour = account.Open, []account.Channel{account.Email, account.Phone}, 1000
	people.Custom = []pool.CustomAttribute{
		{Name: "team", Type: pool.TypeString, Mutable: true}, {Name: "badge", Type: pool.TypeString}, {Name: "role", Type: pool.TypeString, Mutable: true},
	}
	for _, e := range edit {
		e(&w.cfg, &people)
	}
	w.db = open(t, w.clock.Now)
	w.openPool(people)
	w.post = &post{db: w.db, only: []account.Channel{account.Email, account.Phone}}
	w.tries, w.over = &counted{Tries: w.db.Tries()}, factors{}
	w.open()
	return w
}

// openPool makes the pool anew, as a restart with another configuration does.
func (w *world) openPool(people pool.Config) {
	w.pool = pool.New(pool.Parts{
		Users: w.db.Users(), Groups: w.db.Groups(), Members: w.db.Members(), Tombstones: w.db.Tombstones(), Hashes: w.db.Hashes(), Ender: w.db, Journal: w.db,
		Hasher: w.hasher, Schema: pool.NewSchema(people), SignInWith: people.SignInWith, Now: w.clock.Now,
	})
}

// open makes the Accounts anew, as another replica or a restart does.
func (w *world) open() {
	bounds := risk.Limits{AccountTries: 5, MaxWait: time.Hour, AddressTries: 1000, AddressWindow: time.Hour}
	w.acc = account.New(w.cfg, account.Parts{
		Pool: w.pool, Hasher: w.hasher, SignUps: w.db.SignUps(), Unconfirmed: w.db.Unconfirmed(), Codes: w.db.AccountCodes(),
		Limits: w.db.AccountLimits(), Journal: w.db, Messenger: w.post, Guard: risk.New(bounds, w.tries, w.clock.Now), Factors: w.over,
		Key: []byte(w.key), Held: w.held, Now: w.clock.Now,
	})
}

// failed is the error of a call that returns something besides.
func failed[T any](_ T, err error) error { return err }

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) want(what string, got, want error) {
	w.t.Helper()
	if !errors.Is(got, want) {
		w.t.Errorf("%s: error = %v, want %v", what, got, want)
	}
}

func (w *world) add(n pool.NewUser) pool.User {
	w.t.Helper()
	u, err := w.pool.Add(w.t.Context(), n)
	w.must(err)
	return u
}

// alice is somebody with a password and a verified address.
func (w *world) alice() pool.User {
	w.t.Helper()
	return w.add(pool.NewUser{Username: "alice", Email: "alice@example.com", EmailVerified: true, Password: pass})
}

func (w *world) user(id string) pool.User {
	w.t.Helper()
	u, err := w.pool.Get(w.t.Context(), id)
	w.must(err)
	return u
}

// events returns what happened since the last call.
func (w *world) events() []audit.Event {
	w.t.Helper()
	all, err := w.db.EventsSince(w.t.Context(), int64(w.read), 1000)
	w.must(err)
	w.read += len(all)
	return all
}

// mail returns the messages since the last call.
func (w *world) mail() []map[string]string {
	w.t.Helper()
	var all []map[string]string
	for _, e := range w.events() {
		if e.Type == "test.message" {
			all = append(all, e.Detail)
		}
	}
	return all
}

// only returns the one message since the last call, of that kind.
func (w *world) only(kind account.Kind) map[string]string {
	w.t.Helper()
	all := w.mail()
	if len(all) != 1 || all[0]["kind"] != string(kind) {
		w.t.Fatalf("messages = %v, want one %s", all, kind)
	}
	return all[0]
}

func (w *world) none(what string) {
	w.t.Helper()
	if all := w.mail(); len(all) != 0 {
		w.t.Errorf("%s: messages = %v, want none", what, all)
	}
}

// signsIn reports whether name and password belong together.
func (w *world) signsIn(name, pass string) bool {
	w.t.Helper()
	_, err := w.pool.CheckPassword(w.t.Context(), name, pass)
	if err != nil && !errors.Is(err, pool.ErrWrongPassword) {
		w.t.Fatal(err)
	}
	return err == nil
}

// work returns how many statements and hashes do costs.
func (w *world) work(do func()) [2]int64 {
	s, h := w.db.Statements(), w.hasher.Calls()
	do()
	return [2]int64{w.db.Statements() - s, w.hasher.Calls() - h}
}

// wrong returns a code that is not the right one.
func wrong(code string) string {
	if code == "000000" {
		return "000001"
	}
	return "000000"
}

// fifty runs do fifty times at once and returns how many got nil; all others must
// have got one of these errors.
func (w *world) fifty(do func() error, others ...error) int {
	w.t.Helper()
	var wg sync.WaitGroup
	errs := make(chan error, storetest.Callers)
	for range storetest.Callers {
		wg.Go(func() { errs <- do() })
	}
	wg.Wait()
	close(errs)
	n := 0
	for err := range errs {
		fine := err == nil
		for _, o := range others {
			fine = fine || errors.Is(err, o)
		}
		if !fine {
			w.t.Errorf("one of fifty: %v", err)
		}
		if err == nil {
			n++
		}
	}
	return n
}

const minute = time.Minute
