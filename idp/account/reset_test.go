package account_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/idp/account"
	"gatehouse/idp/pool"
	"gatehouse/idp/store/storetest"
)

func (w *world) forgot(name string) {
	w.t.Helper()
	w.must(w.acc.Forgot(w.t.Context(), asks(name)))
}

// link asks for a link for alice and returns its token.
func (w *world) link() string {
	w.t.Helper()
	w.clock.Forward(2 * minute)
	w.forgot("alice")
	return w.only(account.ResetPassword)["token"]
}

func TestForgottenPasswordIsSetByTheLinkOnce(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	u := w.alice()
	w.must(w.db.Sessions().Insert(ctx, storetest.Session("s1", u.ID)))
	w.events()
	w.forgot("ALICE@example.com")
	m := w.only(account.ResetPassword)
	if m["to"] != "alice@example.com" || len(m["token"]) < 22 || m["code"] != "" {
		t.Fatalf("message = %v, want a link of at least 128 bits and no code", m)
	}
	for range 3 {
		// Looking, as a link scanner does, uses nothing up.
		if got, err := w.acc.CheckReset(ctx, m["token"]); err != nil || got.ID != u.ID {
			t.Fatalf("CheckReset = %v, %v", got.ID, err)
		}
	}
	w.must(failed(w.acc.Reset(ctx, m["token"], "a new long password")))
	if !w.signsIn("alice", "a new long password") || w.signsIn("alice", pass) {
		t.Error("the new password does not count, or the old one still does")
	}
	if all, _ := w.db.Sessions().OfUser(ctx, u.ID); len(all) != 0 {
		t.Error("a session outlived the reset")
	}
	if m := w.only(account.PasswordChanged); m["to"] != "alice@example.com" {
		t.Errorf("notice = %v", m)
	}
	w.want("second use", failed(w.acc.Reset(ctx, m["token"], "yet another password")), account.ErrLink)
}

func TestTheBrowserThatAskedForALinkGoesOn(t *testing.T) {
	w := newWorld(t)
	w.alice()
	q := asks("alice")
	q.Flow, q.Restart = "a-flow", "/authorize?x=1"
	w.must(w.acc.Forgot(t.Context(), q))
	asked, err := w.acc.Reset(t.Context(), w.only(account.ResetPassword)["token"], another)
	w.must(err)
	if asked.Flow != q.Flow {
		t.Errorf("asked on flow %q, want %q", asked.Flow, q.Flow)
	}
	for browser, want := range map[string]string{browser: q.Restart, "another": "", "": ""} {
		if got := asked.RestartIn(browser); got != want {
			t.Errorf("browser %q goes on to %q, want %q", browser, got, want)
		}
	}
	// What was asked for without a browser leads nobody on.
	q.Browser, q.Flow = "", ""
	mails := newWorld(t, func(c *account.Config, _ *pool.Config) { c.Recovery = []account.Channel{account.Email} })
	mails.alice()
	mails.must(mails.acc.Forgot(t.Context(), q))
	asked, err = mails.acc.Reset(t.Context(), mails.only(account.ResetPassword)["token"], another)
	mails.must(err)
	if got := asked.RestartIn(""); got != "" {
		t.Errorf("without a browser it goes on to %q", got)
	}
}

func TestTokensAreNotInTheStore(t *testing.T) {
	w := newWorld(t)
	u := w.alice()
	sent := &memory{}
	plain := account.New(w.cfg, account.Parts{
		Pool: w.pool, Hasher: w.hasher, Codes: w.db.AccountCodes(), SignUps: w.db.SignUps(), Limits: w.db.AccountLimits(), Journal: w.db,
		Messenger: sent, Factors: w.over, Key: []byte("k"), Held: none, Now: w.clock.Now,
	})
	ctx := t.Context()
	w.must(plain.Forgot(ctx, asks("alice")))
	w.tel()
	w.must(plain.Forgot(ctx, asks("tel")))
	_, err := plain.SignUp(ctx, wish("dana"))
	w.must(err)
	for _, m := range sent.all {
		for _, secret := range []string{m.Token, m.Code} {
			if secret != "" && storetest.Holds(t, w.db, secret) {
				t.Errorf("%s for %s: what was sent stands in the database", m.Kind, u.Username)
			}
		}
	}
	if len(sent.all) != 3 {
		t.Errorf("%d messages, want 3", len(sent.all))
	}
}

// memory is a Messenger that keeps messages out of the store.
type memory struct{ all []account.Message }

func (m *memory) Has(account.Channel) bool { return true }
func (m *memory) Send(_ context.Context, v account.Message) error {
	m.all = append(m.all, v)
	return nil
}
func (m *memory) Pretend(context.Context) error { return nil }

func TestResetLinkDies(t *testing.T) {
	for name, kill := range map[string]func(w *world, u pool.User){
		"by time":             func(w *world, _ pool.User) { w.clock.Forward(15 * minute) },
		"by a second request": func(w *world, _ pool.User) { w.clock.Forward(2 * minute); w.forgot("alice") },
		"by a sign-in":        func(w *world, u pool.User) { w.must(w.acc.SignedIn(w.t.Context(), u.ID)) },
		"by another password": func(w *world, u pool.User) {
			w.must(w.pool.SetPassword(w.t.Context(), u.ID, "changed by hand", pool.Confirmed))
		},
		"by another address": func(w *world, u pool.User) {
			w.must(w.pool.Change(w.t.Context(), u.ID, pool.Changes{Email: new("b@example.com"), EmailVerified: new(true)}))
		},
		"by disabling":         func(w *world, u pool.User) { w.must(w.pool.Disable(w.t.Context(), u.ID)) },
		"by deletion":          func(w *world, u pool.User) { w.must(w.pool.Delete(w.t.Context(), u.ID)) },
		"with recovery closed": func(w *world, _ pool.User) { w.cfg.Recovery = nil; w.open() },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			u := w.alice()
			w.events()
			token := w.link()
			w.clock.Forward(time.Second)
			kill(w, u)
			_, err := w.acc.CheckReset(t.Context(), token)
			w.want("CheckReset", err, account.ErrLink)
			w.want("Reset", failed(w.acc.Reset(t.Context(), token, "a new long password")), account.ErrLink)
			if w.signsIn("alice", "a new long password") {
				t.Error("the link set a password")
			}
		})
	}
}

func TestResetTokensAreBoundToTheirPurpose(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.alice()
	w.events()
	token := w.link()
	_, err := w.acc.CheckInvite(ctx, token)
	w.want("as an invitation", err, account.ErrLink)
	_, err = w.acc.PendingLink(ctx, token)
	w.want("as a confirmation", err, account.ErrLink)
	for _, bad := range []string{"", "x", token[1:], token + "A", strings.Repeat("A", 43), strings.Repeat("A", 5000)} {
		w.want(fmt.Sprintf("token %.10q", bad), failed(w.acc.Reset(ctx, bad, "a new long password")), account.ErrLink)
	}
}

func TestFiftyResetsSetOnePassword(t *testing.T) {
	w := newWorld(t)
	w.alice()
	w.events()
	token := w.link()
	// The queue before the hasher turns some away: they have used nothing up.
	if n := w.fifty(func() error { return failed(w.acc.Reset(t.Context(), token, "a new long password")) }, account.ErrLink, errBusy); n != 1 {
		t.Errorf("%d of fifty resets worked, want 1", n)
	}
}

func TestRefusedPasswordLeavesTheLink(t *testing.T) {
	w := newWorld(t)
	w.alice()
	w.events()
	token := w.link()
	w.want("short", failed(w.acc.Reset(t.Context(), token, "short")), pool.ErrInvalid)
	w.must(failed(w.acc.Reset(t.Context(), token, "a new long password")))
}

// Whoever asks learns nothing, by answer or by work; the owner alone hears of it.
func TestForgotIsTheSameForEverybody(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.alice()
	off := w.add(pool.NewUser{Username: "off", Email: "off@example.com", EmailVerified: true, Password: pass})
	w.must(w.pool.Disable(ctx, off.ID))
	w.add(pool.NewUser{Username: "unverified", Email: "u@example.com", Password: pass})
	w.add(pool.NewUser{Username: "nomail", Password: pass})
	w.events()
	want := w.work(func() { w.forgot("alice") })
	w.only(account.ResetPassword)
	for _, name := range []string{"stranger", "off", "unverified", "u@example.com", "nomail", "", strings.Repeat("x", 2000), "alice"} {
		if got := w.work(func() { w.forgot(name) }); got != want && name != "" && len(name) < 2000 {
			t.Errorf("Forgot(%.20q) = %v statements and hashes, want %v", name, got, want)
		}
		w.none(name)
	}
	w.clock.Forward(time.Hour)
	for i := range 7 {
		w.clock.Forward(minute)
		if got := w.work(func() { w.forgot("alice") }); got != want {
			t.Errorf("request %d: %v, want %v", i+1, got, want)
		}
	}
	if n := len(w.mail()); n != 5 {
		t.Errorf("%d messages in an hour, want 5", n)
	}
}

func TestOverLimitRequestLeavesTheLinkBefore(t *testing.T) {
	w := newWorld(t)
	w.alice()
	w.events()
	token := w.link()
	w.forgot("alice")
	w.none("a second click")
	w.must(failed(w.acc.Reset(t.Context(), token, "a new long password")))
}

func TestNetworkAsksSoOftenOnly(t *testing.T) {
	w := newWorld(t, func(c *account.Config, _ *pool.Config) { c.NetworkPerHour = 3 })
	ctx := t.Context()
	var limited *account.LimitedError
	ask := func(from string) error {
		return w.acc.Forgot(ctx, account.Forgotten{Name: "x", Browser: browser, From: netip.MustParseAddr(from)})
	}
	for range 3 {
		w.must(ask("2001:db8::1"))
	}
	if err := ask("2001:db8::ffff:1"); !errors.As(err, &limited) || limited.RetryAfter != time.Hour {
		t.Errorf("the same /64: %v, want to wait an hour", err)
	}
	w.must(ask("2001:db8:0:1::1"))
	w.must(ask("192.0.2.9"))
	w.must(ask("::ffff:192.0.2.9"))
	w.must(ask("192.0.2.9"))
	if err := ask("192.0.2.9"); !errors.As(err, &limited) {
		t.Errorf("the same IPv4 address: %v", err)
	}
	w.clock.Forward(time.Hour)
	w.must(ask("2001:db8::1"))
}

func TestResetRequiredEndsWithTheReset(t *testing.T) {
	w := newWorld(t)
	u := w.alice()
	w.must(w.pool.RequireReset(t.Context(), u.ID))
	w.events()
	w.must(failed(w.acc.Reset(t.Context(), w.link(), "a new long password")))
	if got := w.user(u.ID).Status; got != pool.Confirmed {
		t.Errorf("status = %s", got)
	}
}

// T232: whatever somebody is called, the messages to them are counted together.
func TestSpellingsOfANameAreOneAccount(t *testing.T) {
	w := newWorld(t)
	w.alice()
	w.events()
	for i, name := range []string{"alice", "ALICE", " alice ", "ａlice", "alice@example.com", "Alice@Example.COM", "alice"} {
		w.clock.Forward(minute)
		w.forgot(name)
		if n := len(w.mail()); n != 1 && i < 5 || n != 0 && i >= 5 {
			t.Errorf("request %d, as %q: %d messages", i+1, name, n)
		}
	}
}

// Whoever asks many times in a second sends one link, and does not keep the
// person from the next.
func TestHastyQuestionsDoNotUseUpTheLinks(t *testing.T) {
	w := newWorld(t)
	w.alice()
	w.events()
	for range 10 {
		w.must(w.acc.Forgot(t.Context(), asks("alice")))
	}
	w.only(account.ResetPassword)
	w.clock.Forward(2 * minute)
	w.must(w.acc.Forgot(t.Context(), asks("alice@example.com")))
	w.only(account.ResetPassword)
}
