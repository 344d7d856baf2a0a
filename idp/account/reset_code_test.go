package account_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/idp/account"
	"gatehouse/idp/pool"
	"gatehouse/idp/store/storetest"
)

const (
	number  = "+41791234567"
	another = "another password, and long"
)

// tel is somebody with a password, a verified number and no mail.
func (w *world) tel() pool.User {
	w.t.Helper()
	return w.add(pool.NewUser{Username: "tel", Phone: number, PhoneVerified: true, Password: pass})
}

// code asks for a code for tel and returns it.
func (w *world) code() string {
	w.t.Helper()
	w.clock.Forward(2 * minute)
	w.forgot("tel")
	m := w.only(account.ResetPassword)
	if m["channel"] != "phone" || m["to"] != number || len(m["code"]) != 8 || m["token"] != "" {
		w.t.Fatalf("message = %v, want eight digits to the number", m)
	}
	return m["code"]
}

func (w *world) answer(name, code string) error {
	return failed(w.acc.ResetByCode(w.t.Context(), account.ByCode{Name: name, Browser: browser, Code: code, Password: another, From: here}))
}

func TestForgottenPasswordIsSetByTheCodeOnce(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	u := w.tel()
	w.must(w.pool.RequireReset(ctx, u.ID))
	w.must(w.db.Sessions().Insert(ctx, storetest.Session("s1", u.ID)))
	w.events()
	code := w.code()
	w.must(w.answer(number, code[:4]+" "+code[4:]+"\n"))
	if !w.signsIn("tel", another) || w.signsIn("tel", pass) {
		t.Error("the new password does not count, or the old one still does")
	}
	if all, _ := w.db.Sessions().OfUser(ctx, u.ID); len(all) != 0 {
		t.Error("a session outlived the reset")
	}
	if got := w.user(u.ID).Status; got != pool.Confirmed {
		t.Errorf("status = %s", got)
	}
	if m := w.only(account.PasswordChanged); m["channel"] != "phone" || m["to"] != number {
		t.Errorf("notice = %v, want it at the number: there is no address", m)
	}
	w.want("second use", w.answer("tel", code), account.ErrWrongCode)
}

func TestCodeTakesFiveAnswers(t *testing.T) {
	w := newWorld(t)
	w.tel()
	w.events()
	code := w.code()
	for range 5 {
		w.want("wrong code", w.answer("tel", wrongReset(code)), account.ErrWrongCode)
	}
	w.open() // a restart gives no tries
	w.want("right code after five tries", w.answer("tel", code), account.ErrWrongCode)
	w.must(w.answer("tel", w.code()))
}

func TestFiftyGuessesAreFive(t *testing.T) {
	w := newWorld(t)
	w.tel()
	w.events()
	code := w.code()
	w.fifty(func() error { return w.answer("tel", wrongReset(code)) }, account.ErrWrongCode)
	w.want("the right code after fifty guesses", w.answer("tel", code), account.ErrWrongCode)
}

func TestFiftyRightCodesSetOnePassword(t *testing.T) {
	w := newWorld(t)
	w.tel()
	w.events()
	code := w.code()
	// The queue before the hasher turns some away, and five alone are looked at.
	if n := w.fifty(func() error { return w.answer("tel", code) }, account.ErrWrongCode, errBusy); n != 1 {
		t.Errorf("%d of fifty resets worked, want 1", n)
	}
}

// The browser that asked is part of the code. Others can neither use it nor use up
// its answers.
func TestCodeCountsInItsBrowser(t *testing.T) {
	w := newWorld(t)
	w.tel()
	w.events()
	code := w.code()
	for _, elsewhere := range []string{"", "x", browser + "2"} {
		for range 10 {
			err := failed(w.acc.ResetByCode(t.Context(), account.ByCode{Name: "tel", Browser: elsewhere, Code: code, Password: another, From: here}))
			w.want("from another browser", err, account.ErrWrongCode)
		}
	}
	w.must(w.answer("tel", code))
	if err := w.acc.Forgot(t.Context(), account.Forgotten{Name: "tel", From: here}); err == nil || errors.Is(err, account.ErrClosed) {
		t.Errorf("Forgot from no browser: %v, want an error", err)
	}
}

func TestResetCodeDies(t *testing.T) {
	for name, kill := range map[string]func(w *world, u pool.User){
		"by time":             func(w *world, _ pool.User) { w.clock.Forward(15 * minute) },
		"by a second request": func(w *world, _ pool.User) { w.clock.Forward(2 * minute); w.forgot("tel") },
		"by a sign-in":        func(w *world, u pool.User) { w.must(w.acc.SignedIn(w.t.Context(), u.ID)) },
		"by another password": func(w *world, u pool.User) {
			w.must(w.pool.SetPassword(w.t.Context(), u.ID, "changed by hand", pool.Confirmed))
		},
		"by another number": func(w *world, u pool.User) {
			w.must(w.pool.Change(w.t.Context(), u.ID, pool.Changes{Phone: new("+41790000000"), PhoneVerified: new(true)}))
		},
		"by a second factor on the phone": func(w *world, u pool.User) { w.over[u.ID] = []account.Channel{account.Phone} },
		"by disabling":                    func(w *world, u pool.User) { w.must(w.pool.Disable(w.t.Context(), u.ID)) },
		"by deletion":                     func(w *world, u pool.User) { w.must(w.pool.Delete(w.t.Context(), u.ID)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			u := w.tel()
			w.events()
			code := w.code()
			w.clock.Forward(time.Second)
			kill(w, u)
			w.want("ResetByCode", w.answer("tel", code), account.ErrWrongCode)
			if w.signsIn("tel", another) {
				t.Error("the code set a password")
			}
		})
	}
	w := newWorld(t)
	w.tel()
	w.events()
	code := w.code()
	w.cfg.Recovery = []account.Channel{account.Email}
	w.open()
	w.want("with recovery by phone closed", w.answer("tel", code), account.ErrClosed)
}

func TestRefusedPasswordLeavesTheCode(t *testing.T) {
	w := newWorld(t)
	w.tel()
	w.events()
	code := w.code()
	err := failed(w.acc.ResetByCode(t.Context(), account.ByCode{Name: "tel", Browser: browser, Code: code, Password: "short", From: here}))
	w.want("short", err, pool.ErrInvalid)
	w.must(w.answer("tel", code))
}

func TestCodesAreSoManyOnly(t *testing.T) {
	w := newWorld(t, func(c *account.Config, _ *pool.Config) { c.PerHour = 3 })
	w.tel()
	w.events()
	for range 5 {
		w.forgot("tel") // hasty ones are not counted
	}
	first := w.only(account.ResetPassword)["code"]
	for range 6 {
		w.clock.Forward(2 * minute)
		w.forgot("tel")
	}
	if n := len(w.mail()); n != 2 {
		t.Errorf("%d more codes in the hour, want 2", n)
	}
	w.want("the first code after the last", w.answer("tel", first), account.ErrWrongCode)
	w.clock.Forward(time.Hour)
	for range 4 {
		w.clock.Forward(20 * minute)
		w.forgot("tel")
	}
	if n := len(w.mail()); n != 0 {
		t.Errorf("%d more codes in the day, want none: nine were asked for", n)
	}
	w.clock.Forward(24 * time.Hour)
	w.code()
}

// The first channel of the list that somebody has verified is used (Cognito's
// AccountRecoverySetting), and never the one of their second factor.
func TestRecoveryGoesByPreference(t *testing.T) {
	email, phone := account.Email, account.Phone
	for _, try := range []struct {
		name     string
		recovery []account.Channel
		user     pool.NewUser
		factors  []account.Channel
		want     string
	}{
		{"mail first", []account.Channel{email, phone}, pool.NewUser{EmailVerified: true, PhoneVerified: true}, nil, "email"},
		{"phone first", []account.Channel{phone, email}, pool.NewUser{EmailVerified: true, PhoneVerified: true}, nil, "phone"},
		{"unverified mail", []account.Channel{email, phone}, pool.NewUser{PhoneVerified: true}, nil, "phone"},
		{"unverified number", []account.Channel{phone, email}, pool.NewUser{EmailVerified: true}, nil, "email"},
		{"nothing verified", []account.Channel{phone, email}, pool.NewUser{}, nil, ""},
		{"not in the list", []account.Channel{phone}, pool.NewUser{EmailVerified: true}, nil, ""},
		{"factor on the phone", []account.Channel{phone, email}, pool.NewUser{EmailVerified: true, PhoneVerified: true}, []account.Channel{phone}, "email"},
		{"factor in the mailbox", []account.Channel{email, phone}, pool.NewUser{EmailVerified: true, PhoneVerified: true}, []account.Channel{email}, "phone"},
		{"factor on the only way", []account.Channel{phone}, pool.NewUser{PhoneVerified: true}, []account.Channel{phone}, ""},
		{"factors on both", []account.Channel{phone, email}, pool.NewUser{EmailVerified: true, PhoneVerified: true}, []account.Channel{email, phone}, ""},
	} {
		t.Run(try.name, func(t *testing.T) {
			w := newWorld(t, func(c *account.Config, _ *pool.Config) { c.Recovery = try.recovery })
			n := try.user
			n.Username, n.Email, n.Phone, n.Password = "dana", "dana@example.com", number, pass
			w.over[w.add(n).ID] = try.factors
			w.events()
			w.forgot("dana")
			if try.want == "" {
				w.none(try.name)
				return
			}
			m := w.only(account.ResetPassword)
			if m["channel"] != try.want || (m["code"] != "") != (try.want == "phone") || (m["token"] != "") != (try.want == "email") {
				t.Errorf("message = %v, want it by %s", m, try.want)
			}
		})
	}
}

// The link dies too when its mailbox brings codes of a second factor by now.
func TestLinkDiesByASecondFactorInTheMailbox(t *testing.T) {
	w := newWorld(t)
	u := w.alice()
	w.events()
	token := w.link()
	w.over[u.ID] = []account.Channel{account.Email}
	w.want("Reset", failed(w.acc.Reset(t.Context(), token, another)), account.ErrLink)
}

// A process that was started after the sealing key was rotated takes the code too.
func TestResetCodeOutlivesANewKey(t *testing.T) {
	w := newWorld(t)
	w.tel()
	w.events()
	code := w.code()
	after := func(held func() [][]byte) *account.Accounts {
		return account.New(w.cfg, account.Parts{
			Pool: w.pool, Hasher: w.hasher, Codes: w.db.AccountCodes(), Limits: w.db.AccountLimits(), Journal: w.db, Messenger: w.post,
			Factors: w.over, Key: []byte("another"), Held: held, Now: w.clock.Now,
		})
	}
	q := account.ByCode{Name: "tel", Browser: browser, Code: code, Password: another, From: here}
	w.want("under a key that is not held", failed(after(none).ResetByCode(t.Context(), q)), account.ErrWrongCode)
	w.must(failed(after(func() [][]byte { return [][]byte{[]byte(key)} }).ResetByCode(t.Context(), q)))
}

type broken struct{}

var errBroken = errors.New("nobody knows")

func (broken) Over(context.Context, string) ([]account.Channel, error) { return nil, errBroken }

// Where nobody knows of the factors nothing is sent and no password set.
func TestUnknownFactorsCloseTheWayBack(t *testing.T) {
	w := newWorld(t)
	w.tel()
	w.events()
	code := w.code()
	blind := account.New(w.cfg, account.Parts{
		Pool: w.pool, Hasher: w.hasher, Codes: w.db.AccountCodes(), Limits: w.db.AccountLimits(), Journal: w.db, Messenger: w.post,
		Factors: broken{}, Key: []byte(key), Held: none, Now: w.clock.Now,
	})
	for _, name := range []string{"tel", "stranger"} {
		w.want(name, blind.Forgot(t.Context(), asks(name)), errBroken)
	}
	w.want("code", failed(blind.ResetByCode(t.Context(), account.ByCode{Name: "tel", Browser: browser, Code: code, Password: another, From: here})), errBroken)
	w.none("blind")
}

// Whoever asks and answers learns nothing, by answer or by work.
func TestCodesAreTheSameForEverybody(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.tel()
	w.alice()
	off := w.add(pool.NewUser{Username: "off", Phone: "+41790000001", PhoneVerified: true, Password: pass})
	w.must(w.pool.Disable(ctx, off.ID))
	w.add(pool.NewUser{Username: "unverified", Phone: "+41790000002", Password: pass})
	w.events()
	ask := func(name string) [2]int64 { return w.work(func() { w.forgot(name) }) }
	answer := func(name string) [2]int64 {
		return w.work(func() { w.want(name, w.answer(name, "00000000"), account.ErrWrongCode) })
	}
	asked := ask("tel")
	w.only(account.ResetPassword)
	answered := answer("tel")
	if answered[1] != 0 {
		t.Errorf("a wrong code costs %d hashes", answered[1])
	}
	for _, name := range []string{"stranger", "off", "unverified", "alice", "tel", "+41799999999"} {
		if got := ask(name); got != asked {
			t.Errorf("Forgot(%q) = %v statements and hashes, want %v", name, got, asked)
		}
		for i := range 7 {
			if got := answer(name); got != answered {
				t.Errorf("ResetByCode(%q), %d: %v statements and hashes, want %v", name, i, got, answered)
			}
		}
	}
	for _, name := range []string{"", " ", strings.Repeat("x", 2000), "tel\x00"} {
		w.want(name, w.answer(name, "00000000"), account.ErrWrongCode)
	}
}

// wrongReset returns eight digits that are not the right ones.
func wrongReset(code string) string {
	if code == "00000000" {
		return "00000001"
	}
	return "00000000"
}
