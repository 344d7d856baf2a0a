package idp_test

import (
	"crypto/hmac"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/idp"
	"gatehouse/idp/account"
	"gatehouse/idp/mfa"
	"gatehouse/idp/notify"
	"gatehouse/idp/pool"
	"gatehouse/internal/conf"
)

const (
	smsSecret = "0123456789-0123456789-0123456789"
	number    = "+41791234567"
)

// sms is a text message, as the webhook gets it.
type sms struct{ ID, To, Text, Kind string }

func (s sms) code() string { return codeInMail.FindString(s.Text) }

// texted is a provider whose text messages come to a webhook, signed.
type texted struct {
	*fixture
	came chan sms
	read int
}

func startTexted(t *testing.T, prefix string, edit ...func(*idp.Config)) *texted {
	t.Helper()
	came := make(chan sms, 100)
	var seen sync.Map // a message may come twice under its id: tests move the clock past the lease of a delivery
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		header := r.Header.Get(notify.SignatureHeader)
		stamp, _, _ := strings.Cut(strings.TrimPrefix(header, "t="), ",")
		seconds, _ := strconv.ParseInt(stamp, 10, 64)
		var s sms
		if err != nil || !hmac.Equal([]byte(header), []byte(notify.Sign([]byte(smsSecret), time.Unix(seconds, 0), body))) || json.Unmarshal(body, &s) != nil {
			t.Errorf("a text message that nobody signed: %s", body)
			return
		}
		if _, twice := seen.LoadOrStore(s.ID, true); !twice {
			came <- s
		}
	}))
	t.Cleanup(hook.Close)
	u, err := url.Parse(hook.URL)
	if err != nil {
		t.Fatal(err)
	}
	all := append([]func(*idp.Config){func(c *idp.Config) {
		c.SMS = &notify.SMSConfig{URL: u, Secret: conf.Secret(smsSecret), Timeout: 5 * time.Second}
		c.Account.Recovery, c.Account.NetworkPerHour = []account.Channel{account.Phone}, 1000
	}}, edit...)
	x := &texted{fixture: start(t, prefix, all...), came: came}
	x.runOutbox()
	return x
}

// text waits for the next text message, which must go to that number.
func (x *texted) text(to string) sms {
	x.t.Helper()
	select {
	case s := <-x.came:
		x.read++
		if s.To != to {
			x.t.Fatalf("a text message to %s, want %s", s.To, to)
		}
		return s
	case <-time.After(20 * time.Second):
		x.t.Fatalf("no text message to %s\n%s", to, x.log)
	}
	return sms{}
}

// silent reports text messages that were taken to be sent and did not come from
// text; what a request sends is taken before it is answered.
func (x *texted) silent(what string) {
	x.t.Helper()
	all, err := x.db.EventsSince(x.t.Context(), 0, 1000)
	if err != nil {
		x.t.Fatal(err)
	}
	n := 0
	for _, e := range all {
		if e.Type == "message.queued" && e.Detail["channel"] == string(notify.SMS) {
			n++
		}
	}
	if n != x.read {
		x.t.Errorf("%s: %d text messages, want %d", what, n, x.read)
	}
}

// dana has a password and a verified number, and no mail.
func (x *texted) dana() pool.User {
	x.t.Helper()
	u, err := x.p.Pool.Add(x.t.Context(), pool.NewUser{Username: "dana", Phone: number, PhoneVerified: true, Password: password})
	if err != nil {
		x.t.Fatal(err)
	}
	return u
}

// forgotPage opens the page of a forgotten password on the way to an application.
func (b *browser) forgotPage() answer {
	b.f.t.Helper()
	return b.get(b.open(newRequest()).linkOf(b.f.t, "Forgotten"))
}

func TestForgottenPasswordByCode(t *testing.T) {
	for name, prefix := range map[string]string{"host": "", "prefix": "/_gatehouse/idp"} {
		t.Run(name, func(t *testing.T) {
			x := startTexted(t, prefix)
			x.dana()
			old, r := x.browser(), newRequest("scope", "openid offline_access")
			tokens := x.redeem(old.submit(old.open(r), "dana", password).location(t), r)
			b := x.browser()
			page := b.fill(b.forgotPage(), "username", " DANA ")
			b.want(page, 200, `autocomplete="one-time-code"`)
			b.want(page, 200, `autocomplete="new-password"`)
			code := x.text(number).code()
			if len(code) != 8 {
				t.Fatalf("code = %q, want eight digits", code)
			}
			wrong := b.fill(page, "code", "0000000x", "password", "copper moss 17 kite")
			b.want(wrong, 422, "<title>Error:")
			b.want(wrong, 422, `aria-invalid="true"`)
			if strings.Contains(wrong.body, "copper moss") {
				t.Error("the page holds the password that was typed")
			}
			b.want(b.fill(wrong, "code", code, "password", "short"), 422, "Error:")
			b.want(b.fill(wrong, "code", code[:4]+" "+code[4:], "password", "copper moss 17 kite"), 200, "Your password is set")
			if s := x.text(number); s.Kind != "password_changed" || s.code() != "" {
				t.Errorf("notice = %+v", s)
			}
			b.want(b.fill(wrong, "code", code, "password", "amber fox 93 tulip"), 422, "not right")
			if to := old.get(x.issuer + "/account").location(t); to.Path != prefix+"/login" {
				t.Errorf("a session outlived the reset: %s", to)
			}
			if a := x.post("/oauth2/token", as("web", webSecret, "grant_type", "refresh_token", "refresh_token", tokens.text("refresh_token")), nil); a.status != 400 {
				t.Errorf("a refresh token outlived the reset: %d %v", a.status, a.json)
			}
			x.accountOf("dana", "copper moss 17 kite")
			if strings.Contains(x.log.String(), code) {
				t.Error("the code stands in the log")
			}
		})
	}
}

func TestResetCodeIsBoundToItsBrowser(t *testing.T) {
	x := startTexted(t, "")
	x.dana()
	b, eve := x.browser(), x.browser()
	page := b.fill(b.forgotPage(), "username", "dana")
	code := x.text(number).code()
	form := page.form(t)
	form.fields.Set("code", code)
	form.fields.Set("password", "copper moss 17 kite")
	if a := eve.do("POST", form.action, form.fields, nil); a.StatusCode != 403 {
		t.Errorf("the form from another browser: %d, want 403", a.StatusCode)
	}
	if a := b.do("POST", form.action, form.fields, http.Header{"Origin": {"https://evil.test"}}); a.StatusCode != 403 {
		t.Errorf("the form from another origin: %d, want 403", a.StatusCode)
	}
	// She has a page of her own for dana: it was too early for another code.
	hers := eve.fill(eve.forgotPage(), "username", "dana")
	for range 6 {
		eve.want(eve.fill(hers, "code", code, "password", "copper moss 17 kite"), 422, "not right")
	}
	x.silent("a second request at once")
	b.want(b.get(form.action), 200, "Forgotten your password?")
	b.want(b.fill(page, "code", code, "password", "copper moss 17 kite"), 200, "Your password is set")
}

// A double click shows the second answer: the code of the first works there. So
// does what comes by the button.
func TestDoubleClickSendsOneCode(t *testing.T) {
	x := startTexted(t, "")
	x.dana()
	b := x.browser()
	ask := b.forgotPage()
	b.fill(ask, "username", "dana")
	page := b.fill(ask, "username", "dana")
	// What the code is bound to lives as long as the code.
	if c := page.Cookies(); len(c) != 1 || c[0].MaxAge != int((15*time.Minute).Seconds()) {
		t.Errorf("cookies of the page: %v, want the browser's secret for 15 minutes", c)
	}
	first := x.text(number).code()
	x.silent("the second click")
	x.later(2 * time.Minute)
	form := page.form(t)
	form.fields.Set("code", first)
	again := b.do("POST", strings.Replace(form.action, "/forgot/code", "/forgot", 1), form.fields, nil)
	second := x.text(number).code()
	if first != second {
		b.want(b.fill(again, "code", first, "password", "copper moss 17 kite"), 422, "not right")
	}
	x.later(10 * time.Minute) // the sign-in it began with is over
	b.want(b.fill(again, "code", second, "password", "copper moss 17 kite"), 200, "Your password is set")
}

// T230, T231: neither page tells who has an account, nor how they are reached.
func TestForgottenPasswordByCodeTellsNobodyWhoIsKnown(t *testing.T) {
	x := startTexted(t, "", func(c *idp.Config) {
		c.Mail = &notify.MailConfig{Host: "127.0.0.1", Port: 9, TLS: notify.NoTLS, From: "no-reply@example.com", Timeout: time.Second}
		c.Account.Recovery = []account.Channel{account.Email, account.Phone}
	})
	x.dana()
	if err := x.p.Pool.Disable(t.Context(), x.userID("bob")); err != nil {
		t.Fatal(err)
	}
	type seen struct {
		pages string
		work  [2]int64
	}
	try := func(name string) seen {
		b := x.browser()
		page := b.forgotPage()
		hashes := x.p.Hasher.Calls()
		var s seen
		show := func(a answer) {
			s.pages += a.bare() + "\n"
		}
		page = b.fill(page, "username", name)
		show(page)
		for range 7 {
			show(b.fill(page, "code", "0000000x", "password", "copper moss 17 kite"))
		}
		s.work[1] = x.p.Hasher.Calls() - hashes
		return s
	}
	want := try("dana")
	x.text(number)
	for _, name := range []string{"stranger", "alice", "bob", "bob@example.com", "dana", number, "+41790000000", strings.Repeat("x", 3000)} {
		if got := try(name); got != want {
			t.Errorf("%.20q:\n%+v\nwant\n%+v", name, got, want)
		}
	}
	x.silent("strangers")
}

// The work is the same over the real outbox and the real factors, while nobody
// empties the outbox.
func TestKnownAndUnknownNumbersCostTheSame(t *testing.T) {
	u, _ := url.Parse("http://127.0.0.1:9/")
	x := &texted{fixture: start(t, "", func(c *idp.Config) {
		c.SMS = &notify.SMSConfig{URL: u, Secret: smsSecret, Timeout: time.Second}
		c.Mail = &notify.MailConfig{Host: "127.0.0.1", Port: 9, TLS: notify.NoTLS, From: "no-reply@example.com", Timeout: time.Second}
		c.Account.Recovery, c.Account.NetworkPerHour = []account.Channel{account.Phone, account.Email}, 1000
	})}
	x.dana()
	work := func(name string) (all [2][2]int64) {
		b := x.browser()
		page := b.forgotPage()
		for i, do := range []func(){
			func() { page = b.fill(page, "username", name) },
			func() { b.want(b.fill(page, "code", "0", "password", "copper moss 17 kite"), 422, "Error:") },
		} {
			s, h := x.db.Statements(), x.p.Hasher.Calls()
			do()
			all[i] = [2]int64{x.db.Statements() - s, x.p.Hasher.Calls() - h}
		}
		return all
	}
	want := work("dana")
	for _, name := range []string{"stranger", "alice", "bob", number, "dana"} {
		if got := work(name); got != want || got[0][1]+got[1][1] != 0 {
			t.Errorf("%s: statements and hashes of asking and answering %v, want %v and none", name, got, want)
		}
	}
}

// A form of the page that asks gets nowhere where links alone are sent.
func TestCodesAreClosedWhereLinksAloneAreSent(t *testing.T) {
	m := startMailed(t, "")
	b := m.browser()
	page := b.forgotPage()
	form := page.form(t)
	form.fields.Set("code", "00000000")
	b.want(b.do("POST", strings.Replace(form.action, "/forgot", "/forgot/code", 1), form.fields, nil), 404, "not offered")
}

// A code by text message is set up and signs in; whoever has it as second factor
// is sent no new password the same way.
func TestCodesByTextMessage(t *testing.T) {
	x := startTexted(t, "", func(c *idp.Config) { c.MFA.Factors = []mfa.Kind{mfa.TOTP, mfa.SMS, mfa.Recovery} })
	x.dana()
	b := x.browser()
	page := b.next(b.fill(b.enter("dana"), "do", "add", "kind", "sms"))
	page = b.next(b.fill(page, "resend", "yes", "code", "", "phone_number", "+41790000000"))
	b.want(page, 200, "•••67")
	set := x.text(number)
	if set.Kind != "verify_phone" {
		t.Errorf("the code of the set-up came as %s", set.Kind)
	}
	b.fill(b.next(b.fill(page, "code", set.code())))
	x.later(2 * time.Minute)

	b, r := x.browser(), newRequest()
	page = b.next(b.submit(b.open(r), "dana", password))
	in := x.text(number)
	if in.Kind != "sign_in_code" || len(in.code()) != 6 {
		t.Errorf("sign-in: %+v", in)
	}
	b.want(b.fill(page, "code", "abcdef"), 422, "Error:")
	id := claims(t, x.redeem(b.fill(page, "code", in.code(), "trust", "").location(t), r).text("id_token"))
	if !slices.Equal(amrOf(id), []string{"pwd", "sms", "mfa"}) {
		t.Errorf("amr = %v", id["amr"])
	}
	again := x.browser()
	page = again.next(again.submit(again.open(newRequest()), "dana", password))
	if next := x.text(number).code(); next != in.code() {
		again.want(again.fill(page, "code", in.code()), 422, "Error:")
	}

	x.later(2 * time.Minute)
	b = x.browser()
	b.want(b.fill(b.forgotPage(), "username", "dana"), 200, "Choose a new password")
	x.silent("a new password by the phone of the second factor")
}
