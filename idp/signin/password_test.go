package signin_test

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/idp/mfa"
	"gatehouse/idp/password"
	"gatehouse/idp/pool"
	"gatehouse/idp/risk"
	"gatehouse/idp/signin"
	"gatehouse/idp/store/storetest"
)

const right = "correct horse battery"

// watched counts what is asked of the counts of accounts; while hold is set, a
// question waits until it is closed.
type watched struct {
	risk.Tries
	asked atomic.Int64
	hold  atomic.Pointer[chan struct{}]
}

func (w *watched) Count(ctx context.Context, t risk.Try) (time.Duration, error) {
	w.asked.Add(1)
	if hold := w.hold.Load(); hold != nil {
		<-*hold
	}
	return w.Tries.Count(ctx, t)
}

// world is a machine over a real store, with alice and bob in the pool. In a
// synctest bubble its time stands still unless somebody waits.
type world struct {
	t       *testing.T
	machine *signin.Machine
	tries   *watched
	hasher  *password.Hasher
}

func newWorld(t *testing.T) *world {
	db := storetest.Open(t, nil)
	w := &world{t: t, tries: &watched{Tries: db.Tries()}, hasher: password.New(password.Options{})}
	people := pool.New(pool.Parts{
		Users: db.Users(), Groups: db.Groups(), Members: db.Members(), Tombstones: db.Tombstones(), Hashes: db.Hashes(), Ender: db,
		Journal: db, Hasher: w.hasher,
	})
	for _, name := range []string{"alice", "bob"} {
		if _, err := people.Add(t.Context(), pool.NewUser{Username: name, Email: name + "@example.com", EmailVerified: true, Password: right}); err != nil {
			t.Fatal(err)
		}
	}
	var cfg signin.Config
	cfg.Defaults()
	cfg.AddressTries = 1000
	var factors mfa.Config
	factors.Defaults()
	factors.Devices.Defaults()
	sealer := storetest.Sealer(t)
	w.machine = signin.New(cfg, signin.Parts{
		Flows: db.Flows(), Guard: signin.NewGuard(cfg, w.tries, nil), Pool: people, Journal: db, Sealer: sealer,
		Factors: mfa.New(factors, mfa.Parts{
			People: db.MFAPeople(), Secrets: db.MFASecrets(), Seals: db.MFASeals(), Recovery: db.MFARecovery(), Sent: db.MFASent(),
			Passkeys: db.MFAPasskeys(), Devices: db.MFADevices(), Counts: db.MFACounts(), Spent: db.MFASpent(),
			Ender: db, Journal: db, Sealer: sealer, Issuer: &url.URL{Scheme: "https", Host: "login.test"},
		}),
	})
	return w
}

// answer opens a page and answers it.
func (w *world) answer(name, pass string) error {
	ctx := w.t.Context()
	id, err := w.machine.Start(ctx, "browser", netip.Addr{}, signin.Ask{Request: []byte("{}")})
	if err != nil {
		return err
	}
	p, err := w.machine.Find(ctx, id, "browser")
	if err != nil {
		return err
	}
	_, err = w.machine.Answer(ctx, p, signin.Browser{Secret: "browser"}, signin.Password{Username: name, Password: pass})
	return err
}

// Which address belongs to which username must not show in how long an answer
// takes, or in what it costs.
func TestTimeDoesNotTellWhoIsWho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		// Now alice has to wait for a second.
		for range 5 {
			if err := w.answer("alice", "wrong"); !errors.Is(err, signin.ErrRefused) {
				t.Fatalf("a wrong password = %v, want ErrRefused", err)
			}
		}
		for _, name := range []string{"alice", "ALICE", "alice@example.com", "bob", "bob@example.com", "mallory", "mallory@example.com"} {
			for _, pass := range []string{"wrong", right} {
				if pass == right && (name == "bob" || name == "bob@example.com") {
					continue // a sign-in
				}
				begun, hashes, asked := time.Now(), w.hasher.Calls(), w.tries.asked.Load()
				err := w.answer(name, pass)
				hashes, asked = w.hasher.Calls()-hashes, w.tries.asked.Load()-asked
				if !errors.Is(err, signin.ErrRefused) || time.Since(begun) != 0 || hashes != 1 || asked != 1 {
					t.Errorf("%s, %s: %v after a wait of %v, %d hashes, %d counts; want ErrRefused at once, 1 and 1",
						name, pass, err, time.Since(begun), hashes, asked)
				}
			}
		}
		time.Sleep(time.Second)
		if err := w.answer("Alice@example.com", right); err != nil {
			t.Errorf("after the wait: %v", err)
		}
	})
}

// Answers wait for each other by what was typed, not by whom it names.
func TestAnswersQueueByTheNameAsTyped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		hold := make(chan struct{})
		w.tries.hold.Store(&hold)
		ended := make(chan string, 4)
		begin := func(name string) {
			go func() {
				if err := w.answer(name, right); err != nil {
					t.Errorf("%q = %v", name, err)
				}
				ended <- name
			}()
			synctest.Wait()
		}
		begin("alice")
		begin(" ALICE")
		if n := w.tries.asked.Load(); n != 1 {
			t.Errorf("%d answers under one name are being counted, want 1", n)
		}
		w.tries.hold.Store(nil)
		begin("alice@example.com")
		if n := len(ended); n != 1 {
			t.Fatalf("%d answers ended, want the one under another name", n)
		}
		<-ended
		close(hold)
		<-ended
		<-ended
	})
}
