package account_test

import (
	"errors"
	"testing"
	"time"

	"gatehouse/idp/account"
	"gatehouse/idp/pool"
	"gatehouse/idp/store/storetest"
)

// ask asks for a new address for u and returns what went to it.
func (w *world) ask(u pool.User, email string) map[string]string {
	w.t.Helper()
	w.events()
	w.must(w.acc.AskEmail(w.t.Context(), u, email))
	for _, m := range w.mail() {
		if m["to"] == email {
			return m
		}
	}
	w.t.Fatalf("no message to %s", email)
	return nil
}

func TestAddressChangesWhenItIsVerified(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	u := w.alice()
	w.must(w.db.Sessions().Insert(ctx, storetest.Session("s1", u.ID)))
	w.events()
	w.must(w.acc.AskEmail(ctx, u, "new@example.com"))
	mail := w.mail()
	if len(mail) != 2 || mail[0]["kind"] != string(account.ConfirmEmail) || mail[0]["to"] != "new@example.com" ||
		mail[1]["kind"] != string(account.EmailChangeRequested) || mail[1]["to"] != "alice@example.com" || mail[1]["new"] != "new@example.com" {
		t.Fatalf("messages = %v, want a code to the new address and a notice to the old", mail)
	}
	if got := w.user(u.ID); got.Email != "alice@example.com" || !got.EmailVerified {
		t.Fatalf("changed before it was verified: %+v", got)
	}
	code := mail[0]["code"]
	w.want("wrong", w.acc.ConfirmEmail(ctx, u, wrong(code)), account.ErrWrongCode)
	bob := w.add(pool.NewUser{Username: "bob"})
	w.want("another person", w.acc.ConfirmEmail(ctx, bob, code), account.ErrWrongCode)
	w.want("as a phone number", w.acc.ConfirmPhone(ctx, u, code), account.ErrWrongCode)
	w.events()
	w.must(w.acc.ConfirmEmail(ctx, u, code))
	if got := w.user(u.ID); got.Email != "new@example.com" || !got.EmailVerified {
		t.Errorf("user = %+v", got)
	}
	to := map[string]bool{}
	for _, m := range w.mail() {
		if m["kind"] != string(account.EmailChanged) || m["old"] != "alice@example.com" || m["new"] != "new@example.com" {
			t.Errorf("notice = %v", m)
		}
		to[m["to"]] = true
	}
	if !to["new@example.com"] || !to["alice@example.com"] || len(to) != 2 {
		t.Errorf("told %v, want both addresses", to)
	}
	if all, _ := w.db.Sessions().OfUser(ctx, u.ID); len(all) != 0 {
		t.Error("a session outlived the change")
	}
	w.want("second use", w.acc.ConfirmEmail(ctx, w.user(u.ID), code), account.ErrWrongCode)
}

func TestCodeToAnAddressDies(t *testing.T) {
	for name, kill := range map[string]func(w *world, u pool.User){
		"by time": func(w *world, _ pool.User) { w.clock.Forward(24 * time.Hour) },
		"by another password": func(w *world, u pool.User) {
			w.must(w.pool.SetPassword(w.t.Context(), u.ID, "changed by hand", pool.Confirmed))
		},
		"by disabling": func(w *world, u pool.User) { w.must(w.pool.Disable(w.t.Context(), u.ID)) },
		"by another address": func(w *world, u pool.User) {
			w.must(w.pool.Change(w.t.Context(), u.ID, pool.Changes{Email: new("b@example.com")}))
		},
		"by asking for another": func(w *world, u pool.User) { w.ask(u, "other@example.com") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			u := w.alice()
			code := w.ask(u, "new@example.com")["code"]
			w.clock.Forward(time.Second)
			kill(w, u)
			w.want("ConfirmEmail", w.acc.ConfirmEmail(t.Context(), u, code), account.ErrWrongCode)
			if w.user(u.ID).Email == "new@example.com" {
				t.Error("the address was changed")
			}
		})
	}
}

func TestTriesOfANewAddressAreCounted(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	u := w.alice()
	code := w.ask(u, "new@example.com")["code"]
	w.fifty(func() error { return w.acc.ConfirmEmail(ctx, u, wrong(code)) }, account.ErrWrongCode, account.ErrTooManyTries)
	w.want("the right one, too late", w.acc.ConfirmEmail(ctx, u, code), account.ErrTooManyTries)
	// A new code is not ten new tries.
	code = w.ask(u, "new@example.com")["code"]
	w.open()
	w.want("with a new code", w.acc.ConfirmEmail(ctx, u, code), account.ErrTooManyTries)
	w.clock.Forward(time.Hour)
	w.must(w.acc.ConfirmEmail(ctx, u, code))
}

// Nobody learns by asking for an address whose it is: its owner is told.
func TestSomebodyElsesAddress(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	u := w.alice()
	w.add(pool.NewUser{Username: "bob", Email: "bob@example.com", EmailVerified: true})
	w.events()
	known := w.work(func() { w.must(w.acc.AskEmail(ctx, u, "Bob@example.com")) })
	if mail := w.mail(); mail[0]["kind"] != string(account.AlreadyRegistered) || mail[0]["code"] != "" || len(mail) != 2 {
		t.Errorf("messages = %v", mail)
	}
	w.want("any code", w.acc.ConfirmEmail(ctx, u, "000000"), account.ErrWrongCode)
	if unknown := w.work(func() { w.must(w.acc.AskEmail(ctx, u, "free@example.com")) }); unknown != known {
		t.Errorf("a free address costs %v, somebody's %v", unknown, known)
	}
}

func TestTheFirstToVerifyAnAddressHasIt(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	u := w.alice()
	code := w.ask(u, "shared@example.com")["code"]
	w.add(pool.NewUser{Username: "bob", Email: "Shared@example.com", EmailVerified: true})
	w.want("the second", w.acc.ConfirmEmail(ctx, u, code), account.ErrAddressTaken)
	if got := w.user(u.ID); got.Email != "alice@example.com" {
		t.Errorf("user = %+v", got)
	}
}

func TestFiftyConfirmOneAddressOnce(t *testing.T) {
	w := newWorld(t)
	u := w.alice()
	code := w.ask(u, "new@example.com")["code"]
	n := w.fifty(func() error { return w.acc.ConfirmEmail(t.Context(), u, code) }, account.ErrWrongCode, account.ErrTooManyTries)
	if n != 1 {
		t.Errorf("%d of fifty confirmed", n)
	}
}

func TestNewAddressesAreAskedForSoOften(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	u := w.alice()
	var limited *account.LimitedError
	for range 5 {
		w.must(w.acc.AskEmail(ctx, u, "new@example.com"))
	}
	if err := w.acc.AskEmail(ctx, u, "new@example.com"); !errors.As(err, &limited) {
		t.Errorf("sixth: %v", err)
	}
	w.mail()
	// The recipient has had five as well, whoever asks.
	bob := w.add(pool.NewUser{Username: "bob"})
	w.must(w.acc.AskEmail(ctx, bob, "New@example.com"))
	w.none("a sixth message to one address")
	for _, bad := range []string{"", "x", "a@b.c,d@e.f", "A <a@b.c>"} {
		var field *account.FieldError
		if err := w.acc.AskEmail(ctx, bob, bad); !errors.As(err, &field) || field.Field != "email" {
			t.Errorf("AskEmail(%q) = %v", bad, err)
		}
	}
}

func TestAddressThatIsTheUsernameStays(t *testing.T) {
	w := newWorld(t)
	u := w.add(pool.NewUser{Username: "a@example.com", Email: "a@example.com"})
	var field *account.FieldError
	if err := w.acc.AskEmail(t.Context(), u, "b@example.com"); !errors.As(err, &field) {
		t.Errorf("AskEmail = %v", err)
	}
	w.must(w.acc.ConfirmEmail(t.Context(), u, w.ask(u, "a@example.com")["code"]))
	if !w.user(u.ID).EmailVerified {
		t.Error("the own address is not verified")
	}
	if err := w.acc.AskEmail(t.Context(), w.user(u.ID), "a@example.com"); !errors.As(err, &field) {
		t.Errorf("an address that is verified already: %v", err)
	}
}

func TestPhoneNumberChangesWhenItIsVerified(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	u := w.alice()
	w.events()
	w.must(w.acc.AskPhone(ctx, u, "+41 79 123 45 67"))
	m := w.only(account.VerifyPhone)
	if m["to"] != "+41791234567" {
		t.Fatalf("message = %v", m)
	}
	w.must(w.acc.ConfirmPhone(ctx, u, m["code"]))
	if got := w.user(u.ID); got.Phone != "+41791234567" || !got.PhoneVerified {
		t.Errorf("user = %+v", got)
	}
	w.post.only = []account.Channel{account.Email}
	w.want("without text messages", w.acc.AskPhone(ctx, u, "+41791234568"), account.ErrClosed)
}
