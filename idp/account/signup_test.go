package account_test

import (
	"errors"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"gatehouse/idp/account"
	"gatehouse/idp/password"
	"gatehouse/idp/pool"
)

var errBusy = password.ErrBusy

const browser = "browser-secret-0123456789"

func wish(name string) account.Wish {
	return account.Wish{Username: name, Email: name + "@example.com", Password: pass, Browser: browser, Restart: "/r?x=1", From: here}
}

// signUp signs dana up and returns the id and what was sent.
func (w *world) signUp(v account.Wish) (string, map[string]string) {
	w.t.Helper()
	w.events()
	id, err := w.acc.SignUp(w.t.Context(), v)
	w.must(err)
	return id, w.only(account.ConfirmSignUp)
}

func (w *world) confirm(c account.Confirmation) error {
	_, _, err := w.acc.Confirm(w.t.Context(), c)
	return err
}

func TestSignUpIsConfirmedByCode(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	v := wish("dana")
	v.Attributes = map[string]string{"name": "Dana D"}
	id, m := w.signUp(v)
	if m["to"] != "dana@example.com" || len(m["code"]) != 6 || len(m["token"]) < 22 {
		t.Fatalf("message = %v", m)
	}
	if _, err := w.pool.Find(ctx, "dana"); !errors.Is(err, pool.ErrNotFound) {
		t.Fatalf("a sign-up is a user: %v", err)
	}
	waiting, err := w.acc.Waiting(ctx, "", 10)
	if err != nil || len(waiting) != 1 || waiting[0].Status() != pool.Unconfirmed {
		t.Errorf("Waiting = %v, %v", waiting, err)
	}
	w.want("in another browser", w.confirm(account.Confirmation{ID: id, Browser: "another", Code: m["code"]}), account.ErrLink)
	w.want("in none", w.confirm(account.Confirmation{ID: id, Code: m["code"]}), account.ErrLink)
	u, s, err := w.acc.Confirm(ctx, account.Confirmation{ID: id, Browser: browser, Code: m["code"][:3] + " " + m["code"][3:]})
	w.must(err)
	if u.Username != "dana" || !u.EmailVerified || u.Name != "Dana D" || u.Status != pool.Confirmed || s.Restart != "/r?x=1" {
		t.Errorf("user = %+v", u)
	}
	if !w.signsIn("dana@example.com", pass) {
		t.Error("the password of the sign-up does not count")
	}
	types := map[string]bool{}
	for _, e := range w.events() {
		types[e.Type] = true
	}
	if !types["user.created"] || !types["user.signed_up"] {
		t.Errorf("events = %v", types)
	}
	w.want("second use", w.confirm(account.Confirmation{ID: id, Browser: browser, Code: m["code"]}), account.ErrLink)
}

// Whoever signs up with somebody else's address must not have it confirmed by a
// click of its owner.
func TestLinkInAnotherBrowserAsksForThePassword(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	_, m := w.signUp(wish("dana"))
	for range 3 {
		if _, err := w.acc.PendingLink(ctx, m["token"]); err != nil {
			t.Fatalf("looking used the link up: %v", err)
		}
	}
	w.want("no password", w.confirm(account.Confirmation{Token: m["token"]}), account.ErrWrongPassword)
	w.want("wrong password", w.confirm(account.Confirmation{Token: m["token"], Browser: "x", Password: "wrong"}), account.ErrWrongPassword)
	w.must(w.confirm(account.Confirmation{Token: m["token"], Browser: "x", Password: pass}))
	_, m = w.signUp(wish("erin"))
	w.must(w.confirm(account.Confirmation{Token: m["token"], Browser: browser}))
	_, m = w.signUp(wish("finn"))
	for range 5 {
		w.want("wrong", w.confirm(account.Confirmation{Token: m["token"], Password: "wrong"}), account.ErrWrongPassword)
	}
	w.want("after five", w.confirm(account.Confirmation{Token: m["token"], Password: pass}), account.ErrTooManyTries)
}

func TestTriesSurviveResendAndRestart(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id, m := w.signUp(wish("dana"))
	for range 3 {
		w.want("wrong", w.confirm(account.Confirmation{ID: id, Browser: browser, Code: wrong(m["code"])}), account.ErrWrongCode)
	}
	w.clock.Forward(2 * minute)
	w.must(w.acc.Resend(ctx, id, browser))
	m = w.only(account.ConfirmSignUp)
	w.open()
	for range 2 {
		w.want("wrong", w.confirm(account.Confirmation{ID: id, Browser: browser, Code: wrong(m["code"])}), account.ErrWrongCode)
	}
	w.want("right, too late", w.confirm(account.Confirmation{ID: id, Browser: browser, Code: m["code"]}), account.ErrTooManyTries)
	// The link cannot be guessed.
	w.must(w.confirm(account.Confirmation{Token: m["token"], Browser: browser}))
}

// S22: six digits are guessed by whoever may guess at many sign-ups, each from
// another network for another address of one domain. All wrong codes of an hour
// count together; then links alone confirm.
func TestCodesSprayedOverManySignUps(t *testing.T) {
	w := newWorld(t, func(c *account.Config, _ *pool.Config) { c.NetworkPerHour = 1 })
	var id string
	var m map[string]string
	next := netip.MustParseAddr("2001:db8::1")
	another := func(n int) {
		v := wish("dana" + strconv.Itoa(n))
		b := next.As16()
		b[6], b[7] = byte(n>>8), byte(n)
		v.From = netip.AddrFrom16(b)
		id, m = w.signUp(v)
	}
	n := 0
	for err := error(nil); !errors.Is(err, account.ErrTooManyTries); n++ {
		if n%5 == 0 {
			another(n / 5)
		}
		if err = w.confirm(account.Confirmation{ID: id, Browser: browser, Code: wrong(m["code"])}); err == nil || n > 300 {
			t.Fatalf("guess %d at the codes of an hour = %v, want ErrTooManyTries", n, err)
		}
	}
	another(1000)
	w.want("the right code of another", w.confirm(account.Confirmation{ID: id, Browser: browser, Code: m["code"]}), account.ErrTooManyTries)
	w.must(w.confirm(account.Confirmation{Token: m["token"], Browser: browser}))
	another(1001)
	w.clock.Forward(61 * minute)
	w.must(w.confirm(account.Confirmation{ID: id, Browser: browser, Code: m["code"]}))
}

func TestResendIsBoundedSilently(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id, first := w.signUp(wish("dana"))
	w.must(w.acc.Resend(ctx, id, browser))
	w.none("at once")
	w.want("in another browser", w.acc.Resend(ctx, id, "another"), account.ErrLink)
	sent := 0
	for range 20 {
		w.clock.Forward(minute)
		w.must(w.acc.Resend(ctx, id, browser))
		sent += len(w.mail())
	}
	if sent != 4 {
		t.Errorf("%d messages after the first in twenty minutes, want 4: five an hour for the address", sent)
	}
	w.want("the first code", w.confirm(account.Confirmation{ID: id, Browser: browser, Code: first["code"]}), account.ErrWrongCode)
	// Another sign-up cannot be used to write to the same person.
	other := wish("dana")
	other.Browser, other.Email = "eve", "DANA@example.com"
	sneaky, err := w.acc.SignUp(ctx, other)
	w.must(err)
	w.none("many sign-ups for one address")
	for i := range 5 {
		err := w.confirm(account.Confirmation{ID: sneaky, Browser: "eve", Code: strconv.Itoa(100000 + i)})
		w.want("what was not sent", err, account.ErrWrongCode)
	}
}

func TestUnsentResendLeavesTheCodeBefore(t *testing.T) {
	w := newWorld(t, func(c *account.Config, _ *pool.Config) { c.PerHour = 1 })
	id, m := w.signUp(wish("dana"))
	w.clock.Forward(2 * minute)
	w.must(w.acc.Resend(t.Context(), id, browser))
	w.none("over the limit")
	w.must(w.confirm(account.Confirmation{ID: id, Browser: browser, Code: m["code"]}))
}

func TestSignUpExpiresAndReservesNothing(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id, m := w.signUp(wish("dana"))
	w.add(pool.NewUser{Username: "other", Email: "other@example.com"})
	w.clock.Forward(24 * time.Hour)
	w.want("by code", w.confirm(account.Confirmation{ID: id, Browser: browser, Code: m["code"]}), account.ErrLink)
	w.want("by link", w.confirm(account.Confirmation{Token: m["token"], Browser: browser}), account.ErrLink)
	w.want("resend", w.acc.Resend(ctx, id, browser), account.ErrLink)
	w.must(w.db.Sweep(ctx))
	_, m = w.signUp(wish("dana"))
	w.add(pool.NewUser{Username: "dana"})
	var taken *account.NameTakenError
	if err := w.confirm(account.Confirmation{Token: m["token"], Browser: browser}); !errors.As(err, &taken) {
		t.Errorf("a sign-up reserved its name: %v", err)
	}
}

func TestTakenNameIsToldAfterTheProofAlone(t *testing.T) {
	w := newWorld(t)
	w.add(pool.NewUser{Username: "dana", Email: "first@example.com", EmailVerified: true})
	v := wish("dana")
	v.Email = "second@example.com"
	id, m := w.signUp(v)
	var taken *account.NameTakenError
	err := w.confirm(account.Confirmation{ID: id, Browser: browser, Code: wrong(m["code"])})
	if errors.As(err, &taken) {
		t.Fatal("a wrong code learns that the name is taken")
	}
	if err := w.confirm(account.Confirmation{ID: id, Browser: browser, Code: m["code"]}); !errors.As(err, &taken) {
		t.Fatalf("Confirm = %v, want a NameTakenError", err)
	}
	token := taken.Token
	for range 8 { // more than there are tries of a code
		if err := w.confirm(account.Confirmation{Token: token, Browser: browser, Username: "Dana"}); !errors.As(err, &taken) {
			t.Fatalf("another taken name: %v", err)
		}
	}
	var field *account.FieldError
	if err := w.confirm(account.Confirmation{Token: token, Browser: browser, Username: "a b"}); !errors.As(err, &field) || field.Field != "username" {
		t.Errorf("a bad name: %v", err)
	}
	w.must(w.confirm(account.Confirmation{Token: token, Browser: browser, Username: "dana2"}))
	if !w.signsIn("dana2", pass) {
		t.Error("the chosen name does not count")
	}
}

// One address that was shown is no key to the list of all usernames.
func TestTakenNamesAreNotListed(t *testing.T) {
	w := newWorld(t)
	w.alice()
	_, m := w.signUp(wish("dana"))
	told := 0
	for range 50 {
		var taken *account.NameTakenError
		if err := w.confirm(account.Confirmation{Token: m["token"], Browser: browser, Username: "alice"}); errors.As(err, &taken) {
			told++
		} else if !errors.Is(err, account.ErrTooManyTries) {
			t.Fatalf("a taken name = %v", err)
		}
	}
	if told != 20 {
		t.Errorf("told of %d taken names in an hour, want 20", told)
	}
	w.clock.Forward(61 * minute)
	w.must(w.confirm(account.Confirmation{Token: m["token"], Browser: browser, Username: "dana2"}))
}

// Rules that name somebody who was deleted are not met by the next who signs up.
func TestNameOfTheDeletedIsNotForTheTaking(t *testing.T) {
	w := newWorld(t)
	w.must(w.pool.Delete(t.Context(), w.alice().ID))
	v := wish("ALICE")
	v.Email = "eve@example.com"
	_, m := w.signUp(v)
	var taken *account.NameTakenError
	if err := w.confirm(account.Confirmation{Token: m["token"], Browser: browser}); !errors.As(err, &taken) {
		t.Errorf("the name of somebody who was deleted = %v, want a NameTakenError", err)
	}
	w.must(w.confirm(account.Confirmation{Token: m["token"], Browser: browser, Username: "eve"}))
	// An address is shown to be the person's.
	dana := w.add(pool.NewUser{Username: "dana@example.com", Email: "dana@example.com", EmailVerified: true})
	w.must(w.pool.Delete(t.Context(), dana.ID))
	v = wish("dana")
	v.Username = v.Email
	_, m = w.signUp(v)
	w.must(w.confirm(account.Confirmation{Token: m["token"], Browser: browser}))
}

func TestAddressThatWasVerifiedMeanwhileIsTaken(t *testing.T) {
	w := newWorld(t)
	id, m := w.signUp(wish("dana"))
	w.add(pool.NewUser{Username: "quick", Email: "dana@example.com", EmailVerified: true})
	w.want("Confirm", w.confirm(account.Confirmation{ID: id, Browser: browser, Code: m["code"]}), account.ErrAddressTaken)
}

func TestFiftyConfirmationsMakeOneUser(t *testing.T) {
	w := newWorld(t)
	_, m := w.signUp(wish("dana"))
	if n := w.fifty(func() error { return w.confirm(account.Confirmation{Token: m["token"], Browser: browser}) }, account.ErrLink); n != 1 {
		t.Errorf("%d of fifty confirmations made a user", n)
	}
	all, err := w.pool.List(t.Context(), "", 10)
	if err != nil || len(all) != 1 {
		t.Errorf("%d users, %v", len(all), err)
	}
}

func TestFiftySignUpsForOneAddressMakeOneUser(t *testing.T) {
	w := newWorld(t, func(c *account.Config, _ *pool.Config) { c.PerHour = 4 })
	var tokens []string
	for n := range 4 {
		_, m := w.signUp(account.Wish{Email: "dana@example.com", Password: pass, Browser: browser, Restart: "/" + strconv.Itoa(n), From: here})
		tokens = append(tokens, m["token"])
	}
	i := make(chan int, 50)
	for n := range 50 {
		i <- n
	}
	n := w.fifty(func() error {
		return w.confirm(account.Confirmation{Token: tokens[<-i%4], Browser: browser})
	}, account.ErrLink, account.ErrAddressTaken)
	if n != 1 {
		t.Errorf("%d sign-ups for one address made a user", n)
	}
}

// One hash, one message, one row, and as many statements either way.
func TestSignUpIsTheSameForKnownAddresses(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.alice()
	w.events()
	var id string
	sign := func(v account.Wish) func() {
		return func() {
			var err error
			id, err = w.acc.SignUp(ctx, v)
			w.must(err)
		}
	}
	unknown := w.work(sign(wish("dana")))
	w.only(account.ConfirmSignUp)
	v := wish("someone")
	v.Email = "Alice@Example.com"
	known := w.work(sign(v))
	m := w.only(account.AlreadyRegistered)
	if m["to"] != "alice@example.com" || m["code"] != "" || m["token"] != "" {
		t.Errorf("notice = %v", m)
	}
	v = wish("alice")
	v.Email = "new@example.com"
	name := w.work(sign(v))
	w.only(account.ConfirmSignUp)
	if unknown[1] != 1 || known != unknown || name != unknown {
		t.Errorf("statements and hashes: unknown %v, known address %v, taken name %v", unknown, known, name)
	}
	// The page of a known address looks like any other.
	v = wish("someone")
	v.Email = "alice@example.com"
	sign(v)()
	w.want("a code", w.confirm(account.Confirmation{ID: id, Browser: browser, Code: "123456"}), account.ErrWrongCode)
	w.mail()
	w.clock.Forward(2 * minute)
	again := w.work(func() { w.must(w.acc.Resend(ctx, id, browser)) })
	w.only(account.AlreadyRegistered)
	idDana, _ := w.signUp(wish("erin"))
	w.clock.Forward(2 * minute)
	if fresh := w.work(func() { w.must(w.acc.Resend(ctx, idDana, browser)) }); fresh != again {
		t.Errorf("Resend: unknown %v, known %v", fresh, again)
	}
}

// T231, T243: an address that only reads like somebody's may be another mailbox;
// who has it learns neither that there is an account nor its name.
func TestTheOwnerIsToldAtTheOwnAddress(t *testing.T) {
	w := newWorld(t)
	w.alice()
	bob := w.add(pool.NewUser{Username: "bob", Email: "bob@example.com", EmailVerified: true, Password: pass})
	w.events()
	v := wish("eve")
	for _, twin := range []string{"ALICE@example.com", "\uff41lice@example.com", "alice@e\uff58ample.com"} {
		v.Email = twin
		_, err := w.acc.SignUp(t.Context(), v)
		w.must(err)
		if m := w.only(account.AlreadyRegistered); m["to"] != "alice@example.com" {
			t.Errorf("a sign-up with %q told %q", twin, m["to"])
		}
	}
	w.must(w.acc.AskEmail(t.Context(), bob, "\uff41lice@example.com"))
	for _, m := range w.mail() {
		if m["kind"] == string(account.AlreadyRegistered) && m["to"] != "alice@example.com" {
			t.Errorf("a change of address told %q", m["to"])
		}
	}
}

func TestSignUpObeysTheSwitch(t *testing.T) {
	for _, mode := range []account.SignUpMode{account.Off, account.InviteOnly} {
		w := newWorld(t)
		id, m := w.signUp(wish("dana"))
		w.cfg.SignUp = mode
		w.open()
		_, err := w.acc.SignUp(t.Context(), wish("erin"))
		w.want("SignUp", err, account.ErrClosed)
		w.want("code", w.confirm(account.Confirmation{ID: id, Browser: browser, Code: m["code"]}), account.ErrClosed)
		w.want("link", w.confirm(account.Confirmation{Token: m["token"], Browser: browser}), account.ErrClosed)
		w.want("Resend", w.acc.Resend(t.Context(), id, browser), account.ErrClosed)
		w.none(string(mode))
	}
}

func TestSignUpRefusesWhatItMayNotWrite(t *testing.T) {
	w := newWorld(t, func(_ *account.Config, p *pool.Config) { p.Required = []string{"email", "custom:team"} })
	for what, c := range map[string]struct {
		edit  func(*account.Wish)
		field string
	}{
		"a custom attribute":   {func(v *account.Wish) { v.Attributes["custom:role"] = "admin" }, "custom:role"},
		"verified":             {func(v *account.Wish) { v.Attributes["email_verified"] = "true" }, "email_verified"},
		"groups":               {func(v *account.Wish) { v.Attributes["groups"] = "admins" }, "groups"},
		"an address":           {func(v *account.Wish) { v.Attributes["email"] = "eve@example.com" }, "email"},
		"not on the list":      {func(v *account.Wish) { v.Attributes["nickname"] = "d"; v.Write = []string{"name"} }, "nickname"},
		"no required one":      {func(v *account.Wish) { delete(v.Attributes, "custom:team") }, "custom:team"},
		"no address":           {func(v *account.Wish) { v.Email = "" }, "email"},
		"bad address":          {func(v *account.Wish) { v.Email = "x" }, "email"},
		"bad username":         {func(v *account.Wish) { v.Username = "a b" }, "username"},
		"another's address":    {func(v *account.Wish) { v.Username = "eve@example.com" }, "username"},
		"a line in a name":     {func(v *account.Wish) { v.Attributes["name"] = "a\nb" }, "name"},
		"bad phone":            {func(v *account.Wish) { v.Phone = "0123" }, "phone_number"},
		"control in attribute": {func(v *account.Wish) { v.Attributes["custom:team"] = "a\x01" }, "custom:team"},
	} {
		v := wish("dana")
		v.Attributes = map[string]string{"custom:team": "blue"}
		c.edit(&v)
		_, err := w.acc.SignUp(t.Context(), v)
		var field *account.FieldError
		if !errors.As(err, &field) || field.Field != c.field {
			t.Errorf("%s: %v, want the field %s named", what, err, c.field)
		}
	}
	v := wish("dana")
	v.Attributes = map[string]string{"custom:team": "blue"}
	v.Password = "short"
	_, err := w.acc.SignUp(t.Context(), v)
	w.want("short password", err, pool.ErrInvalid)
	w.none("refused sign-ups")
}

func TestAddressAloneIsEnoughToSignUp(t *testing.T) {
	w := newWorld(t)
	v := wish("")
	v.Email = "dana@example.com"
	_, m := w.signUp(v)
	u, _, err := w.acc.Confirm(t.Context(), account.Confirmation{Token: m["token"], Browser: browser})
	w.must(err)
	if u.Username != u.ID || !w.signsIn("DANA@example.com", pass) {
		t.Errorf("user = %q %q", u.Username, u.ID)
	}
	names := newWorld(t, func(_ *account.Config, p *pool.Config) { p.SignInWith = []string{pool.ByUsername} })
	var field *account.FieldError
	if _, err := names.acc.SignUp(t.Context(), v); !errors.As(err, &field) || field.Field != "username" {
		t.Errorf("without a name where names sign in: %v", err)
	}
}

func TestSignUpByPhone(t *testing.T) {
	w := newWorld(t, func(_ *account.Config, p *pool.Config) { p.Required, p.SignInWith = nil, []string{pool.ByPhone} })
	v := account.Wish{Phone: "+41791234567", Password: pass, Browser: browser, From: here}
	id, m := w.signUp(v)
	if m["channel"] != "phone" || m["to"] != v.Phone {
		t.Fatalf("message = %v", m)
	}
	w.must(w.confirm(account.Confirmation{ID: id, Browser: browser, Code: m["code"]}))
	if !w.signsIn("+41 79 123 45 67", pass) {
		t.Error("the number does not sign in")
	}
	w.mail()
	if _, err := w.acc.SignUp(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	w.only(account.AlreadyRegistered)
}

// Whoever signs up with somebody's address again and again has no more tries for
// it; its owner has the link.
func TestTriesOfAnAddressAreCountedOverAllSignUps(t *testing.T) {
	w := newWorld(t)
	for n := range 2 {
		v := wish("eve")
		v.Email, v.Restart = "dana@example.com", "/"+strconv.Itoa(n)
		id, m := w.signUp(v)
		for range 5 {
			w.want("a guess", w.confirm(account.Confirmation{ID: id, Browser: browser, Code: wrong(m["code"])}), account.ErrWrongCode)
		}
	}
	id, m := w.signUp(wish("dana"))
	w.want("the right code", w.confirm(account.Confirmation{ID: id, Browser: browser, Code: m["code"]}), account.ErrTooManyTries)
	w.must(w.confirm(account.Confirmation{Token: m["token"], Browser: browser}))
}
