package signin_test

import (
	"context"
	"encoding/base32"
	"errors"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"gatehouse/idp/mfa"
	"gatehouse/idp/password"
	"gatehouse/idp/pool"
	"gatehouse/idp/signin"
	"gatehouse/idp/store"
	"gatehouse/idp/store/storetest"
	"gatehouse/internal/testenv/authenticator"
)

// outbox is a messenger that keeps what it was given.
type outbox struct{ sent []mfa.Message }

func (o *outbox) Send(_ context.Context, m mfa.Message) error {
	o.sent = append(o.sent, m)
	return nil
}

// house is a machine over a real store, with second factors. alice has an
// authenticator app and recovery codes, bob nothing.
type house struct {
	*testing.T
	db       *store.DB
	clock    *storetest.Clock
	machine  *signin.Machine
	factors  *mfa.Factors
	people   *pool.Pool
	mail     *outbox
	key      []byte
	recovery []string
}

func newHouse(t *testing.T, edits ...func(*mfa.Config)) *house {
	t.Helper()
	h := &house{T: t, clock: storetest.NewClock(), mail: &outbox{}}
	h.db = storetest.Open(t, h.clock.Now)
	sealer := storetest.Sealer(t)
	h.people = h.pool(nil)
	var mc mfa.Config
	mc.Defaults()
	mc.Devices.Defaults()
	mc.Factors = []mfa.Kind{mfa.TOTP, mfa.Passkey, mfa.Email, mfa.Recovery}
	for _, edit := range edits {
		edit(&mc)
	}
	h.factors = mfa.New(mc, mfa.Parts{
		People: h.db.MFAPeople(), Secrets: h.db.MFASecrets(), Seals: h.db.MFASeals(), Recovery: h.db.MFARecovery(), Sent: h.db.MFASent(),
		Passkeys: h.db.MFAPasskeys(), Devices: h.db.MFADevices(), Counts: h.db.MFACounts(), Spent: h.db.MFASpent(),
		Ender: h.db, Journal: h.db, Sealer: sealer, Issuer: &url.URL{Scheme: "https", Host: "login.test"}, Mail: h.mail, Now: h.clock.Now,
	})
	var sc signin.Config
	sc.Defaults()
	sc.AddressTries, sc.AddressStarts, sc.AccountTries = 1_000_000, 1_000_000, 1_000_000
	h.machine = signin.New(sc, signin.Parts{
		Flows: h.db.Flows(), Guard: signin.NewGuard(sc, h.db.Tries(), h.clock.Now), Pool: h.people, Factors: h.factors, Journal: h.db, Sealer: sealer, Now: h.clock.Now,
	})
	for _, name := range []string{"alice", "bob"} {
		_, err := h.people.Add(t.Context(), pool.NewUser{Username: name, Email: name + "@example.com", EmailVerified: true, Password: right})
		h.must(err)
	}
	h.enrol()
	return h
}

// pool returns the people of the house, who sign in with those kinds of names;
// nil for every kind.
func (h *house) pool(names []string) *pool.Pool {
	return pool.New(pool.Parts{
		Users: h.db.Users(), Groups: h.db.Groups(), Members: h.db.Members(), Tombstones: h.db.Tombstones(), Hashes: h.db.Hashes(), Ender: h.db,
		Journal: h.db, Hasher: password.New(password.Options{}), SignInWith: names, Now: h.clock.Now,
	})
}

func (h *house) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *house) person(name string) mfa.Person {
	h.Helper()
	u, err := h.people.Find(h.Context(), name)
	h.must(err)
	return signin.Person(u, nil)
}

// enrol gives alice an app and recovery codes.
func (h *house) enrol() {
	h.Helper()
	who := h.person("alice")
	setup, err := h.factors.BeginTOTP(who)
	if errors.Is(err, mfa.ErrNotOffered) {
		return
	}
	h.must(err)
	h.key, err = base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(setup.Secret)
	h.must(err)
	_, err = h.factors.ConfirmTOTP(h.Context(), who, setup.Artefact, h.code(), "")
	h.must(err)
	h.recovery, err = h.factors.NewRecoveryCodes(h.Context(), who.ID)
	h.must(err)
}

// code is what alice's app shows, after a while: the next code is another.
func (h *house) code() string {
	h.clock.Forward(31 * time.Second)
	return authenticator.Code(h.key, h.clock.Now(), 0)
}

var here = signin.Browser{Secret: "browser", Agent: "test"}

func (h *house) start(ask signin.Ask) string {
	h.Helper()
	id, err := h.machine.Start(h.Context(), here.Secret, netip.Addr{}, ask)
	h.must(err)
	return id
}

func (h *house) find(id string) signin.Pending {
	h.Helper()
	p, err := h.machine.Find(h.Context(), id, here.Secret)
	h.must(err)
	return p
}

func (h *house) give(id string, a signin.Answer) (signin.Next, error) {
	h.Helper()
	return h.machine.Answer(h.Context(), h.find(id), here, a)
}

// to gives an answer that must lead to a step.
func (h *house) to(id string, a signin.Answer, want signin.Step) signin.Pending {
	h.Helper()
	n, err := h.give(id, a)
	if err != nil || n.Done != nil {
		h.Fatalf("%T = %+v, %v; want the step %s", a, n.Done, err, want)
	}
	p := h.find(id)
	if p.Step != want {
		h.Fatalf("%T leads to %s, want %s", a, p.Step, want)
	}
	return p
}

// done gives an answer that must end the sign-in.
func (h *house) done(id string, a signin.Answer) signin.Done {
	h.Helper()
	n, err := h.give(id, a)
	if err != nil || n.Done == nil {
		h.Fatalf("%T = %v, want a sign-in", a, err)
	}
	return *n.Done
}

func TestWalkOfAPersonWithFactors(t *testing.T) {
	h := newHouse(t)
	id := h.start(signin.Ask{})
	p := h.to(id, signin.Password{Username: "alice", Password: right}, signin.StepFactor)
	if p.Kind != mfa.TOTP || !slices.Equal(p.Kinds, []mfa.Kind{mfa.TOTP, mfa.Recovery}) || p.Username != "alice" {
		t.Errorf("asked for %s of %v as %q", p.Kind, p.Kinds, p.Username)
	}
	h.to(id, signin.Choose{Kind: mfa.Recovery}, signin.StepFactor)
	if _, err := h.give(id, signin.Code{Code: h.code()}); !errors.Is(err, signin.ErrWrongCode) {
		t.Errorf("a code of the app as a recovery code = %v", err)
	}
	d := h.done(id, signin.Code{Code: h.recovery[0]})
	if d.User.Username != "alice" || !slices.Equal(d.AMR, []string{"pwd", "otp", "mfa"}) || !d.AuthTime.Equal(h.clock.Now()) {
		t.Errorf("done = %s, %v, %v", d.User.Username, d.AMR, d.AuthTime)
	}
	h.must(h.machine.Close(t.Context(), d))
	if err := h.machine.Close(t.Context(), d); !errors.Is(err, signin.ErrUsed) {
		t.Errorf("closed twice = %v, want ErrUsed", err)
	}
}

func TestSentCodes(t *testing.T) {
	h := newHouse(t, func(c *mfa.Config) { c.Factors = []mfa.Kind{mfa.Email}; c.Mode = mfa.Required })
	id := h.start(signin.Ask{})
	p := h.to(id, signin.Password{Username: "bob", Password: right}, signin.StepSetUp)
	if p.Kind != mfa.Email || p.Sent == nil || p.Sent.To != "b•••@example.com" || len(h.mail.sent) != 1 {
		t.Fatalf("set-up by mail: %+v, %d mails", p.Sent, len(h.mail.sent))
	}
	p = h.to(id, signin.Resend{}, signin.StepSetUp)
	if len(h.mail.sent) != 1 || !p.Sent.Again.After(h.clock.Now()) || p.Sent.To == "" {
		t.Errorf("asked again at once: %d mails, %+v", len(h.mail.sent), p.Sent)
	}
	h.done(id, signin.Code{Code: h.mail.sent[0].Code})
	h.clock.Forward(2 * time.Minute)
	id = h.start(signin.Ask{})
	h.to(id, signin.Password{Username: "bob", Password: right}, signin.StepFactor)
	other := h.start(signin.Ask{})
	h.to(other, signin.Password{Username: "bob", Password: right}, signin.StepFactor)
	code := signin.Code{Code: h.mail.sent[1].Code}
	if _, err := h.give(other, code); len(h.mail.sent) != 2 || !errors.Is(err, signin.ErrWrongCode) {
		t.Errorf("the code of another flow = %v, %d mails", err, len(h.mail.sent))
	}
	h.done(id, code)
}

// A flow that goes on from a session sends nothing by itself, and whoever adds a
// factor shows the one there is.
func TestKnownSessionShowsWhatItLacks(t *testing.T) {
	h := newHouse(t)
	alice := h.person("alice").ID
	known := func() *signin.Known {
		return &signin.Known{Session: "s", UserID: alice, AuthTime: h.clock.Now().Add(-time.Minute), AMR: []string{"pwd"}}
	}
	k := known()
	id := h.start(signin.Ask{Known: k, Enrol: mfa.Email})
	if p := h.find(id); p.Step != signin.StepFactor || p.Kind != mfa.TOTP || p.Demands() != "s" || len(h.mail.sent) != 0 {
		t.Fatalf("adding a factor begins with %s %s", p.Step, p.Kind)
	}
	h.to(id, signin.Code{Code: h.code()}, signin.StepSetUp)
	h.to(id, signin.Resend{}, signin.StepSetUp)
	d := h.done(id, signin.Code{Code: h.mail.sent[0].Code})
	if !d.AuthTime.Equal(k.AuthTime) || d.Pending.Demands() != "" {
		t.Errorf("a factor made the sign-in younger: %v, want %v; demands %q", d.AuthTime, k.AuthTime, d.Pending.Demands())
	}
	if _, err := h.machine.Start(t.Context(), "b", netip.Addr{}, signin.Ask{Known: &signin.Known{Session: "s", UserID: alice, AMR: []string{"pwd", "otp", "mfa"}}, Strong: true}); err == nil {
		t.Error("a flow began that has nothing to ask")
	}
	h.must(h.people.Disable(t.Context(), alice))
	if _, err := h.machine.Start(t.Context(), "b", netip.Addr{}, signin.Ask{Known: known(), Strong: true}); !errors.Is(err, signin.ErrFlowNotFound) {
		t.Errorf("of a disabled person = %v", err)
	}
}

func TestOneStepIsTakenOnce(t *testing.T) {
	h := newHouse(t)
	p := h.find(h.start(signin.Ask{}))
	var mu sync.Mutex
	var wg sync.WaitGroup
	won := 0
	for range 8 {
		wg.Go(func() {
			n, err := h.machine.Answer(t.Context(), p, here, signin.Password{Username: "alice", Password: right})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && n.Done == nil:
				won++
			case !errors.Is(err, signin.ErrMoved):
				t.Errorf("answer = %+v, %v; want ErrMoved", n.Done, err)
			}
		})
	}
	wg.Wait()
	if won != 1 {
		t.Errorf("%d answers advanced one step, want 1", won)
	}
	// The old page, answered in another name, moves nothing.
	if _, err := h.machine.Answer(t.Context(), p, here, signin.Choose{Kind: mfa.Recovery}); !errors.Is(err, signin.ErrNotAsked) {
		t.Errorf("a choice on the first page = %v", err)
	}
}

func TestRefusalsAreRecorded(t *testing.T) {
	h := newHouse(t)
	id := h.start(signin.Ask{})
	_, _ = h.give(id, signin.Password{Username: "alice", Password: "wrong"})
	_, _ = h.give(id, signin.Password{Username: "nobody", Password: "wrong"})
	h.to(id, signin.Password{Username: "alice", Password: right}, signin.StepFactor)
	_, _ = h.give(id, signin.Code{Code: "1"})
	list, err := h.db.EventsSince(t.Context(), 0, 1000)
	h.must(err)
	var got []string
	for _, e := range list {
		if e.Type == "sign_in.refused" {
			got = append(got, e.Detail["reason"]+" "+e.Target)
		}
	}
	if want := []string{"wrong_password ", "wrong_password ", "wrong_factor " + h.person("alice").ID}; !slices.Equal(got, want) {
		t.Errorf("refusals = %q, want %q", got, want)
	}
}

// ledger is what was really proved in a flow, as the test knows it.
type ledger struct{ password, factor, setUp map[string]bool }

// Whatever is answered, in whatever order: a sign-in ends only in the name of
// somebody whose password was given in this flow, and with a factor that was
// shown or set up in it where one is needed.
func TestDoneOnlyWhenAllWasProved(t *testing.T) {
	for _, mode := range []string{mfa.Optional, mfa.Required} {
		t.Run(mode, func(t *testing.T) {
			h := newHouse(t, func(c *mfa.Config) {
				c.Mode = mode
				c.Factors = []mfa.Kind{mfa.TOTP, mfa.Recovery}
				c.AccountTries = 100
			})
			ends := 0
			for seed := range uint64(80) {
				r := rand.New(rand.NewPCG(seed, 7))
				id, l := h.start(signin.Ask{Strong: seed%5 == 0}), ledger{map[string]bool{}, map[string]bool{}, map[string]bool{}}
				old := h.find(id)
				for range 12 {
					p, err := h.machine.Find(t.Context(), id, here.Secret)
					h.must(err)
					if r.IntN(5) == 0 {
						p = old
					}
					old = h.find(id)
					n, err := h.machine.Answer(t.Context(), p, here, h.random(r, p, &l))
					if err == nil && n.Done != nil {
						ends++
						h.judge(seed, mode, *n.Done, l)
						break
					}
				}
				_ = h.db.MFACounts().Clear(t.Context(), "code:"+h.person("alice").ID)
			}
			if ends < 12 {
				t.Errorf("%d of 80 walks ended in a sign-in: the test sees too few", ends)
			}
		})
	}
}

// random is one answer of any kind, right or wrong, noted in l when it is right.
func (h *house) random(r *rand.Rand, p signin.Pending, l *ledger) signin.Answer {
	h.Helper()
	switch r.IntN(9) {
	case 0, 1:
		l.password["alice"] = true
		return signin.Password{Username: "alice", Password: right}
	case 2:
		l.password["bob"] = true
		return signin.Password{Username: "bob", Password: right}
	case 3:
		return signin.Password{Username: "alice", Password: "wrong"}
	case 4:
		return signin.Code{Code: "000000x"}
	case 5:
		return []signin.Answer{signin.Saved{}, signin.Resend{}, signin.NewPassword{Password: "x"}, signin.Passkey{Response: []byte("{}")}}[r.IntN(4)]
	case 6:
		return signin.Choose{Kind: []mfa.Kind{mfa.TOTP, mfa.Recovery, mfa.SMS, ""}[r.IntN(4)]}
	}
	if p.TOTP != nil {
		l.setUp[p.Username] = true
		key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(p.TOTP.Secret)
		h.must(err)
		mine := &house{T: h.T, clock: h.clock, key: key}
		return signin.Code{Code: mine.code()}
	}
	l.factor["alice"] = true
	return signin.Code{Code: h.code()}
}

func (h *house) judge(seed uint64, mode string, d signin.Done, l ledger) {
	h.Helper()
	name := d.User.Username
	if !l.password[name] {
		h.Errorf("walk %d: %s signed in without a password", seed, name)
	}
	shown := l.factor[name] || l.setUp[name]
	if (name == "alice" || mode == mfa.Required || d.Pending.Strong) && !shown {
		h.Errorf("walk %d: %s signed in without a second factor", seed, name)
	}
	if slices.Contains(d.AMR, "mfa") && !shown || !slices.Contains(d.AMR, "pwd") {
		h.Errorf("walk %d: %s has amr %v; a factor was shown: %t", seed, name, d.AMR, shown)
	}
	// bob is to have none again.
	if l.setUp["bob"] {
		h.must(h.factors.Reset(h.Context(), h.person("bob").ID))
	}
}

// list is a list of stolen passwords that has the one of everybody.
type list struct{ leak signin.Leak }

func (l list) Look(_ context.Context, _ pool.User, password string) signin.Leak {
	if password != right {
		return signin.NotStolen
	}
	return l.leak
}

// Whoever holds a stolen password does not choose the next one by it alone.
func TestStolenPasswordIsReplacedWithAFactor(t *testing.T) {
	h := newHouse(t)
	h.machine.Stolen = list{signin.StolenChange}
	for name, pass := range map[string]string{"alice": "wrong", "bob": "wrong"} {
		if _, err := h.give(h.start(signin.Ask{}), signin.Password{Username: name, Password: pass}); !errors.Is(err, signin.ErrRefused) {
			t.Errorf("%s, wrong password = %v, want ErrRefused", name, err)
		}
	}
	if _, err := h.give(h.start(signin.Ask{}), signin.Password{Username: "bob", Password: right}); !errors.Is(err, signin.ErrResetRequired) {
		t.Errorf("bob, without a factor = %v, want ErrResetRequired", err)
	}
	id := h.start(signin.Ask{})
	h.to(id, signin.Password{Username: "alice", Password: right}, signin.StepFactor)
	if p := h.to(id, signin.Code{Code: h.code()}, signin.StepNewPassword); !p.Leaked {
		t.Error("the page does not know why a password is asked for")
	}
	if _, err := h.give(id, signin.NewPassword{Password: right}); !errors.Is(err, signin.ErrPassword) {
		t.Errorf("the stolen one again = %v, want ErrPassword", err)
	}
	d := h.done(id, signin.NewPassword{Password: "another good password"})
	h.must(h.machine.Close(t.Context(), d))
	id = h.start(signin.Ask{})
	h.to(id, signin.Password{Username: "alice", Password: "another good password"}, signin.StepFactor)

	h = newHouse(t)
	h.machine.Stolen = list{signin.StolenBlocked}
	if _, err := h.give(h.start(signin.Ask{}), signin.Password{Username: "alice", Password: right}); !errors.Is(err, signin.ErrResetRequired) {
		t.Errorf("blocked = %v, want ErrResetRequired", err)
	}
}

func TestPasswordSetByOthersEnds(t *testing.T) {
	h := newHouse(t)
	h.machine.TemporaryTTL = 24 * time.Hour
	bob := h.person("bob").ID
	h.must(h.people.SetPassword(t.Context(), bob, "temporary password", pool.ForceChangePassword))
	h.clock.Forward(24*time.Hour - time.Second)
	h.to(h.start(signin.Ask{}), signin.Password{Username: "bob", Password: "temporary password"}, signin.StepNewPassword)
	h.clock.Forward(time.Second)
	if _, err := h.give(h.start(signin.Ask{}), signin.Password{Username: "bob", Password: "temporary password"}); !errors.Is(err, signin.ErrResetRequired) {
		t.Errorf("after a day = %v, want ErrResetRequired", err)
	}
}

// The password that somebody else has set is not chosen again, whatever people
// sign in with.
func TestGivenPasswordIsNotChosenAgain(t *testing.T) {
	for _, names := range [][]string{nil, {pool.ByEmail}} {
		h := newHouse(t)
		h.people = h.pool(names)
		h.machine.Pool = h.people
		h.must(h.people.SetPassword(t.Context(), h.person("bob").ID, "temporary password", pool.ForceChangePassword))
		id := h.start(signin.Ask{})
		h.to(id, signin.Password{Username: "bob@example.com", Password: "temporary password"}, signin.StepNewPassword)
		if _, err := h.give(id, signin.NewPassword{Password: "temporary password"}); !errors.Is(err, signin.ErrPassword) {
			t.Errorf("signing in with %v, the given one again = %v, want ErrPassword", names, err)
		}
	}
}

func TestFiguresCountOutcomes(t *testing.T) {
	h := newHouse(t)
	d := h.done(h.start(signin.Ask{}), signin.Password{Username: "bob", Password: right})
	h.must(h.machine.Close(t.Context(), d))
	_, _ = h.give(h.start(signin.Ask{}), signin.Password{Username: "bob", Password: "wrong"})
	if got := h.machine.Figures(); got["signed_in"] != 1 || got["wrong_password"] != 1 || len(got) != 2 {
		t.Errorf("figures = %v", got)
	}
}
