package account_test

import (
	"testing"

	"gatehouse/idp/account"
	"gatehouse/idp/pool"
)

// A double click is one sign-up and one message: what that brings counts on the
// page that the second click leads to.
func TestSameWishIsOneSignUp(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id, first := w.signUp(wish("dana"))
	for range 10 {
		again, err := w.acc.SignUp(ctx, wish("dana"))
		w.must(err)
		if again != id {
			t.Fatalf("the same wish has the id %s, want %s", again, id)
		}
	}
	w.none("the same wish")
	w.clock.Forward(2 * minute)
	w.must(w.acc.Resend(ctx, id, browser))
	second := w.only(account.ConfirmSignUp) // the second clicks counted for nothing
	if first["code"] != second["code"] {
		w.want("the first code", w.confirm(account.Confirmation{ID: id, Browser: browser, Code: first["code"]}), account.ErrWrongCode)
	}
	w.must(w.confirm(account.Confirmation{ID: id, Browser: browser, Code: second["code"]}))
}

func TestFiftyEqualWishesAreOneSignUp(t *testing.T) {
	w := newWorld(t)
	n := w.fifty(func() error { _, err := w.acc.SignUp(t.Context(), wish("dana")); return err }, errBusy)
	w.only(account.ConfirmSignUp)
	if n < 2 {
		t.Errorf("%d of fifty were answered", n)
	}
}

// The one that is kept is the one that counts, whichever came first.
func TestFiftyEqualWishesAreOneMessage(t *testing.T) {
	w := newWorld(t, func(c *account.Config, _ *pool.Config) { c.PerHour = 1 })
	w.fifty(func() error { _, err := w.acc.SignUp(t.Context(), wish("dana")); return err }, errBusy)
	w.only(account.ConfirmSignUp)
}

// Whoever goes back and types something else has signed up anew, and so has
// another browser.
func TestAnotherWishIsAnotherSignUp(t *testing.T) {
	w := newWorld(t, func(c *account.Config, _ *pool.Config) { c.PerHour = 100 })
	seen := map[string]bool{}
	for name, edit := range map[string]func(*account.Wish){
		"the wish":     func(*account.Wish) {},
		"browser":      func(v *account.Wish) { v.Browser = "another" },
		"username":     func(v *account.Wish) { v.Username = "erin" },
		"password":     func(v *account.Wish) { v.Password = another },
		"address":      func(v *account.Wish) { v.Email = "erin@example.com" },
		"number":       func(v *account.Wish) { v.Phone = number },
		"way on":       func(v *account.Wish) { v.Restart = "/elsewhere" },
		"an attribute": func(v *account.Wish) { v.Attributes = map[string]string{"name": "D"} },
	} {
		v := wish("dana")
		edit(&v)
		id, _ := w.signUp(v)
		if seen[id] || len(id) != 22 {
			t.Errorf("%s: the id %q is that of another wish, or of another length", name, id)
		}
		seen[id] = true
	}
}

func TestSecondClickIsTheSameForKnownAddresses(t *testing.T) {
	w := newWorld(t)
	w.alice()
	w.events()
	_, err := w.acc.SignUp(t.Context(), wish("alice"))
	w.must(err)
	w.only(account.AlreadyRegistered)
	w.signUp(wish("dana"))
	twice := func(name string) [2]int64 {
		return w.work(func() { _, err := w.acc.SignUp(t.Context(), wish(name)); w.must(err) })
	}
	if known, unknown := twice("alice"), twice("dana"); known != unknown {
		t.Errorf("the second click costs %v for a known address, %v for another", known, unknown)
	}
	w.none("second clicks")
}
