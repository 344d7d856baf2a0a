package mfa_test

import (
	"context"
	"encoding/base32"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"gatehouse/idp/mfa"
	"gatehouse/idp/pool"
	"gatehouse/idp/store"
	"gatehouse/idp/store/storetest"
	"gatehouse/internal/audit"
	"gatehouse/internal/keyring"
)

// outbox is a messenger that keeps what it was given.
type outbox struct {
	sent []mfa.Message
	// broken is returned instead of taking a message.
	broken error
}

func (o *outbox) Send(_ context.Context, m mfa.Message) error {
	if o.broken != nil {
		return o.broken
	}
	o.sent = append(o.sent, m)
	return nil
}

func (o *outbox) last() mfa.Message { return o.sent[len(o.sent)-1] }

// world is the second factors over a real store, with alice and bob in it.
type world struct {
	*testing.T
	db         *store.DB
	sealer     *keyring.Sealer
	clock      *storetest.Clock
	mail, sms  *outbox
	cfg        mfa.Config
	f          *mfa.Factors
	alice, bob mfa.Person
}

func newWorld(t *testing.T, edit ...func(*mfa.Config)) *world {
	t.Helper()
	w := &world{T: t, clock: storetest.NewClock(), mail: &outbox{}, sms: &outbox{}, sealer: storetest.Sealer(t)}
	w.db = storetest.Open(t, w.clock.Now)
	w.cfg.Defaults()
	w.cfg.Devices.Defaults()
	w.cfg.Factors = []mfa.Kind{mfa.TOTP, mfa.Passkey, mfa.Email, mfa.SMS, mfa.Recovery}
	w.cfg.Devices.Remember = mfa.RememberOptional
	for _, e := range edit {
		e(&w.cfg)
	}
	w.f = w.factors(w.sealer)
	w.alice = mfa.Person{ID: "alice-id", Name: "alice", Email: "alice@example.com", Phone: "+15550100"}
	w.bob = mfa.Person{ID: "bob-id", Name: "bob", Email: "bob@example.com", Phone: "+15550199"}
	for _, p := range []mfa.Person{w.alice, w.bob} {
		u := pool.User{ID: p.ID, Username: p.Name, Enabled: true, Status: pool.Confirmed}
		w.must(w.db.Users().Insert(t.Context(), u, []string{p.Name}))
	}
	return w
}

// factors returns another replica over the same store.
func (w *world) factors(sealer *keyring.Sealer) *mfa.Factors {
	issuer := &url.URL{Scheme: "https", Host: "login.test:8443"}
	return mfa.New(w.cfg, mfa.Parts{
		People: w.db.MFAPeople(), Secrets: w.db.MFASecrets(), Seals: w.db.MFASeals(), Recovery: w.db.MFARecovery(),
		Sent: w.db.MFASent(), Passkeys: w.db.MFAPasskeys(), Devices: w.db.MFADevices(), Counts: w.db.MFACounts(),
		Spent: w.db.MFASpent(), Ender: w.db, Journal: w.db, Sealer: sealer, Issuer: issuer,
		Mail: w.mail, SMS: w.sms, Now: w.clock.Now,
	})
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) want(what string, got, want error) {
	w.Helper()
	if !errors.Is(got, want) {
		w.Errorf("%s: error = %v, want %v", what, got, want)
	}
}

// waits demands a *mfa.WaitError.
func (w *world) waits(what string, err error, want time.Duration) {
	w.Helper()
	var wait *mfa.WaitError
	if !errors.As(err, &wait) || wait.RetryAfter != want {
		w.Errorf("%s: error = %v, want to wait %s", what, err, want)
	}
}

// enrol sets up an authenticator app for who, and returns its key. The clock
// moves on, so that the next code is another.
func (w *world) enrol(who mfa.Person) []byte {
	w.Helper()
	setup, err := w.f.BeginTOTP(who)
	w.must(err)
	key := w.secretOf(setup)
	_, err = w.f.ConfirmTOTP(w.Context(), who, setup.Artefact, w.code(key, 0), "phone")
	w.must(err)
	w.clock.Forward(time.Minute)
	return key
}

func (w *world) secretOf(setup mfa.TOTPSetup) []byte {
	w.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(setup.Secret)
	w.must(err)
	return key
}

// code is what an app with that key shows, some steps from now.
func (w *world) code(key []byte, steps int64) string {
	return mfa.TOTPCode(key, w.clock.Now().Unix()/30+steps)
}

// answer answers with a code.
func (w *world) answer(who mfa.Person, k mfa.Kind, code string) error {
	_, err := w.f.Check(w.Context(), mfa.Reply{Who: who, Kind: k, Challenge: "flow", Code: code})
	return err
}

// wrong is a code that is not right within the window of key.
func (w *world) wrong(key []byte) string {
	for i := range 10 {
		code := fmt.Sprintf("%06d", i)
		if !slices.Contains([]string{w.code(key, -1), w.code(key, 0), w.code(key, 1)}, code) {
			return code
		}
	}
	return ""
}

func (w *world) send(who mfa.Person, k mfa.Kind, p mfa.Purpose, flow string) (mfa.Sent, error) {
	return w.f.Send(w.Context(), mfa.Delivery{Who: who, Kind: k, Purpose: p, Challenge: flow})
}

// enrolMail makes e-mail a factor of who.
func (w *world) enrolMail(who mfa.Person) {
	w.Helper()
	_, err := w.send(who, mfa.Email, mfa.SetUp, "flow")
	w.must(err)
	_, err = w.f.ConfirmSent(w.Context(), mfa.Reply{Who: who, Kind: mfa.Email, Challenge: "flow", Code: w.mail.last().Code})
	w.must(err)
}

func (w *world) of(who mfa.Person) mfa.Set {
	w.Helper()
	set, err := w.f.Of(w.Context(), who.ID)
	w.must(err)
	return set
}

// events returns the types of all events.
func (w *world) events() []string {
	w.Helper()
	list, err := w.db.EventsSince(w.Context(), 0, 1000)
	w.must(err)
	var types []string
	for _, e := range list {
		types = append(types, e.Type)
	}
	return types
}

func (w *world) lastEvent() audit.Event {
	w.Helper()
	list, err := w.db.EventsSince(w.Context(), 0, 1000)
	w.must(err)
	return list[len(list)-1]
}

// atOnce runs do fifty times at once and returns how often it was nil; every
// other error must be one of allowed.
func (w *world) atOnce(do func(i int) error, allowed ...error) int {
	w.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	start, won := make(chan struct{}), 0
	for i := range storetest.Callers {
		wg.Go(func() {
			<-start
			err := do(i)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won++
			case !slices.ContainsFunc(allowed, func(a error) bool { return errors.Is(err, a) }):
				w.Errorf("caller %d: %v", i, err)
			}
		})
	}
	close(start)
	wg.Wait()
	return won
}
