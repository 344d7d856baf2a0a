package idp_test

import (
	"context"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/html"

	"gatehouse/idp"
	"gatehouse/idp/account"
	"gatehouse/idp/notify"
	"gatehouse/idp/pool"
	"gatehouse/internal/testenv/mailsink"
)

// mailed is a provider whose mail comes to a real server.
type mailed struct {
	*fixture
	sink *mailsink.Sink
}

func startMailed(t *testing.T, prefix string, edit ...func(*idp.Config)) *mailed {
	t.Helper()
	sink, err := mailsink.New(mailsink.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sink.Close() })
	mail := notify.MailConfig{Host: "127.0.0.1", Port: sink.Port(), TLS: notify.NoTLS, From: "no-reply@example.com", Timeout: 5 * time.Second}
	all := append([]func(*idp.Config){func(c *idp.Config) {
		c.Mail = &mail
		c.Account.SignUp, c.Account.NetworkPerHour = account.Open, 1000
	}}, edit...)
	m := &mailed{start(t, prefix, all...), sink}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { m.p.Outbox.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	return m
}

// letter is a mail as a person reads it.
type letter struct{ subject, text string }

var (
	codeInMail = regexp.MustCompile(`\b[0-9]{6}(?:[0-9]{2})?\b`)
	linkInMail = regexp.MustCompile(`http://\S+\?token=\S+`)
)

func (l letter) code() string { return codeInMail.FindString(l.subject + "\n" + l.text) }
func (l letter) link() string { return linkInMail.FindString(l.text) }

// mail waits for the next letter to an address, and takes all that have come.
func (m *mailed) mail(to string) letter {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	got, err := m.sink.Wait(ctx, to)
	if err != nil {
		m.t.Fatalf("no mail to %s: %v\n%s", to, err, m.log)
	}
	m.sink.Clear()
	return m.read(got)
}

func (m *mailed) read(got mailsink.Message) letter {
	m.t.Helper()
	kind, params, err := mime.ParseMediaType(got.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		m.t.Fatalf("mail is %s: %v", kind, err)
	}
	part, err := multipart.NewReader(strings.NewReader(got.Body), params["boundary"]).NextRawPart()
	if err != nil {
		m.t.Fatal(err)
	}
	var body io.Reader = part
	if strings.EqualFold(part.Header.Get("Content-Transfer-Encoding"), "quoted-printable") {
		body = quotedprintable.NewReader(part)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		m.t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
	if err != nil {
		m.t.Fatal(err)
	}
	return letter{subject, string(text)}
}

// quiet waits until what was queued has been sent, and reports what came.
func (m *mailed) quiet(what string) {
	m.t.Helper()
	marker := "marker-" + strings.ToLower(strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, what)) + "@example.com"
	err := m.p.Outbox.Enqueue(m.t.Context(), notify.Message{Kind: notify.Test, Channel: notify.Email, To: marker})
	if err != nil {
		m.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if _, err := m.sink.Wait(ctx, marker); err != nil {
		m.t.Fatal(err)
	}
	if n := len(m.sink.Messages()); n != 1 {
		m.t.Errorf("%s: %d letters, want none", what, n-1)
	}
	m.sink.Clear()
}

// follow opens where an answer redirects to.
func (b *browser) follow(a answer) answer {
	b.f.t.Helper()
	return b.get(a.location(b.f.t).String())
}

// linkOf returns where the link with that text leads.
func (a answer) linkOf(t *testing.T, text string) string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Data != "a" || n.FirstChild == nil || !strings.Contains(n.FirstChild.Data, text) {
			continue
		}
		for _, at := range n.Attr {
			if at.Key == "href" {
				u, err := a.Request.URL.Parse(at.Val)
				if err != nil {
					t.Fatal(err)
				}
				return u.String()
			}
		}
	}
	t.Fatalf("%s: no link %q in: %s", a.Request.URL, text, a.body)
	return ""
}

// signUpPage opens the sign-up page on the way to an application.
func (b *browser) signUpPage() answer {
	b.f.t.Helper()
	return b.get(b.open(newRequest()).linkOf(b.f.t, "Sign up"))
}

func (b *browser) want(a answer, status int, text string) {
	b.f.t.Helper()
	if a.StatusCode != status || !strings.Contains(a.body, text) {
		_, main, _ := strings.Cut(a.body, "<main")
		b.f.t.Errorf("%s %s: status %d, want %d and %q in: %s", a.Request.Method, a.Request.URL, a.StatusCode, status, text, main)
	}
}

// accountOf is a browser in which somebody has signed in to the own account.
func (f *fixture) accountOf(name, pass string) *browser {
	f.t.Helper()
	b := f.browser()
	if to := b.submit(b.follow(b.get(f.issuer+"/account")), name, pass).location(f.t); !strings.HasSuffix(to.Path, "/account") {
		f.t.Fatalf("sign-in to the account ended at %s", to)
	}
	return b
}

func TestSignUpToTheApplication(t *testing.T) {
	for name, prefix := range map[string]string{"host": "", "prefix": "/_gatehouse/idp"} {
		t.Run(name, func(t *testing.T) {
			m := startMailed(t, prefix)
			b := m.browser()
			r := newRequest()
			page := b.get(b.open(r).linkOf(t, "Sign up"))
			b.want(page, 200, "Web shop")
			confirm := b.follow(b.fill(page, "email", "Dana@Example.com", "username", "dana", "name", "Dana D", "password", "violet lamp 42 river"))
			b.want(confirm, 200, "Dana@Example.com")
			mail := m.mail("Dana@Example.com")
			wrong := b.fill(confirm, "code", "not a code")
			b.want(wrong, 422, "<title>Error:")
			to := b.fill(confirm, "code", mail.code()).location(t)
			if to.Path != prefix+"/oauth2/authorize" {
				t.Fatalf("after the confirmation: %s, want the request again", to)
			}
			back := b.submit(b.follow(b.get(to.String())), "dana@example.com", "violet lamp 42 river").location(t)
			id := claims(t, m.redeem(back, r).text("id_token"))
			if id["email_verified"] != true || id["email"] != "Dana@Example.com" {
				t.Errorf("ID token = %v", id)
			}
			// A double click: the second answer is the one that is seen.
			twice := b.fill(confirm, "code", mail.code())
			b.want(twice, 200, "This page has been used")
			if next := twice.linkOf(t, "Continue"); next != to.String() {
				t.Errorf("the second click leads to %s, want %s", next, to)
			}
			b.want(b.fill(confirm, "code", mail.code(), "next", "//evil.test/"), 400, "has been used")
		})
	}
}

// A double click on "Sign up" shows the second answer, and sends one mail: its
// code counts there.
func TestDoubleClickIsOneSignUp(t *testing.T) {
	m := startMailed(t, "")
	b := m.browser()
	page := b.signUpPage()
	typed := []string{"email", "dana@example.com", "username", "dana", "password", "violet lamp 42 river"}
	b.fill(page, typed...)
	confirm := b.follow(b.fill(page, typed...))
	code := m.mail("dana@example.com").code()
	m.quiet("the second click")
	if to := b.fill(confirm, "code", code).location(t); to.Path != "/oauth2/authorize" {
		t.Errorf("after the confirmation: %s, want the request again", to)
	}
}

func TestConfirmationLinkOfSignUp(t *testing.T) {
	m := startMailed(t, "")
	b, other := m.browser(), m.browser()
	b.follow(b.fill(b.signUpPage(), "email", "dana@example.com", "username", "dana", "password", "violet lamp 42 river"))
	link := m.mail("dana@example.com").link()
	for range 3 {
		// A scanner of links opens it, as often as it likes.
		m.browser().want(m.browser().get(link), 200, "Password")
	}
	page := other.get(link)
	other.want(page, 200, "another browser")
	other.want(other.fill(page), 422, "not right")
	if _, err := m.p.Pool.Find(t.Context(), "dana"); err == nil {
		t.Fatal("a click in another browser confirmed the sign-up")
	}
	if other.do("POST", page.form(t).action, page.form(t).fields, http.Header{"Origin": {"https://evil.test"}}).StatusCode != 403 {
		t.Error("a form of another origin was taken")
	}
	if m.browser().do("POST", page.form(t).action, page.form(t).fields, nil).StatusCode != 403 {
		t.Error("the form of one browser was taken from another")
	}
	to := b.fill(b.get(link)).location(t)
	if to.Path != "/oauth2/authorize" {
		t.Errorf("the browser that signed up went to %s", to)
	}
	b.follow(b.fill(b.signUpPage(), "email", "erin@example.com", "username", "erin", "password", "violet lamp 42 river"))
	page = other.get(m.mail("erin@example.com").link())
	other.want(other.fill(page, "password", "violet lamp 42 river"), 200, "Your account is ready")
}

// T231: neither the answer of a sign-up nor the page after it tells whether the
// address or the username is known.
func TestSignUpTellsNobodyWhoIsKnown(t *testing.T) {
	m := startMailed(t, "")
	type seen struct {
		first, second string
		hashes        int64
	}
	sign := func(email, username string) seen {
		b := m.browser()
		page := b.signUpPage()
		hashes := m.p.Hasher.Calls()
		a := b.fill(page, "email", email, "username", username, "password", "violet lamp 42 river")
		s := seen{hashes: m.p.Hasher.Calls() - hashes}
		s.first = a.bare() + regexp.MustCompile(`id=.*`).ReplaceAllString(a.location(t).String(), "")
		confirm := b.follow(a)
		s.second = strings.ReplaceAll(strings.ReplaceAll(confirm.bare(), email, "ADDRESS"), url.QueryEscape(email), "ADDRESS")
		s.second = regexp.MustCompile(`id=[A-Za-z0-9_-]+`).ReplaceAllString(s.second, "")
		wrong := b.fill(confirm, "code", "000000")
		s.second += regexp.MustCompile(`id=[A-Za-z0-9_-]+`).ReplaceAllString(strings.ReplaceAll(wrong.bare(), email, "ADDRESS"), "")
		return s
	}
	want := sign("new@example.com", "new")
	m.mail("new@example.com")
	got := sign("alice@example.com", "someone")
	if got != want {
		t.Errorf("a known address:\n%+v\nwant\n%+v", got, want)
	}
	if l := m.mail("Alice@example.com"); l.code() != "" || l.link() != "" || !strings.Contains(l.text, "account") {
		t.Errorf("the owner of the address got %+v", l)
	}
	if got := sign("other@example.com", "alice"); got != want {
		t.Errorf("a known username:\n%+v\nwant\n%+v", got, want)
	}
	if want.hashes != 1 {
		t.Errorf("%d hashes, want 1", want.hashes)
	}
}

func TestTakenUsernameIsToldAfterTheConfirmation(t *testing.T) {
	m := startMailed(t, "")
	b := m.browser()
	confirm := b.follow(b.fill(b.signUpPage(), "email", "dana@example.com", "username", "alice", "password", "violet lamp 42 river"))
	again := b.fill(confirm, "code", m.mail("dana@example.com").code())
	b.want(again, 422, "somebody has this username already")
	again = b.fill(again, "username", "bob")
	b.want(again, 422, "somebody has this username already")
	if to := b.fill(again, "username", "dana").location(t); to.Path != "/oauth2/authorize" {
		t.Errorf("went to %s", to)
	}
}

func TestResendOnThePage(t *testing.T) {
	m := startMailed(t, "")
	b := m.browser()
	confirm := b.follow(b.fill(b.signUpPage(), "email", "dana@example.com", "username", "dana", "password", "violet lamp 42 river"))
	first := m.mail("dana@example.com").code()
	resend := func() answer {
		form := confirm.form(t)
		form.fields.Del("")
		return b.do("POST", strings.Replace(form.action, "/confirm", "/resend", 1), form.fields, nil)
	}
	b.want(b.follow(resend()), 200, `role="status"`)
	m.quiet("resent at once")
	m.later(2 * time.Minute)
	resend()
	second := m.mail("dana@example.com").code()
	if first != second {
		b.want(b.fill(confirm, "code", first), 422, "Error:")
	}
	if to := b.fill(confirm, "code", second).location(t); to.Path != "/oauth2/authorize" {
		t.Errorf("went to %s", to)
	}
}

func TestClosedWaysAreClosed(t *testing.T) {
	f := start(t, "")
	b := f.browser()
	page := b.open(newRequest())
	if strings.Contains(page.body, "Sign up") || strings.Contains(page.body, "Forgotten") {
		t.Error("the sign-in page offers what is closed")
	}
	for _, path := range []string{"/signup", "/signup/confirm?token=" + strings.Repeat("a", 43), "/forgot"} {
		b.want(b.get(f.issuer+path), 404, "not offered")
	}
	b.want(b.get(f.issuer+"/reset?token="+strings.Repeat("a", 43)), 400, "has been used")
	// A form made up by hand gets no further.
	form := page.form(t)
	form.fields.Set("email", "eve@example.com")
	form.fields.Set("password", "violet lamp 42 river")
	if a := b.do("POST", strings.Replace(form.action, "/login", "/signup", 1), form.fields, nil); a.StatusCode != 403 {
		t.Errorf("POST /signup = %d, want 403", a.StatusCode)
	}
}

func TestForgottenPasswordByMail(t *testing.T) {
	for name, prefix := range map[string]string{"host": "", "prefix": "/_gatehouse/idp"} {
		t.Run(name, func(t *testing.T) {
			m := startMailed(t, prefix)
			old := m.accountOf("alice", password)
			b, elsewhere := m.browser(), m.browser()
			page := b.get(b.open(newRequest()).linkOf(t, "Forgotten"))
			b.want(b.fill(page, "username", "ALICE"), 200, "Check your mail")
			link := m.mail("Alice@example.com").link()
			// Scanners open links; people open them where they read mail.
			m.browser().get(link)
			form := elsewhere.get(link)
			elsewhere.want(form, 200, `autocomplete="new-password"`)
			elsewhere.want(elsewhere.fill(form, "password", "short"), 422, "Error:")
			elsewhere.want(elsewhere.fill(form, "password", "copper moss 17 kite"), 200, "Your password is set")
			if l := m.mail("Alice@example.com"); l.link() != "" || !strings.Contains(strings.ToLower(l.text), "password") {
				t.Errorf("notice = %+v", l)
			}
			elsewhere.want(elsewhere.get(link), 400, "has been used")
			elsewhere.want(elsewhere.fill(form, "password", "amber fox 93 tulip"), 400, "has been used")
			if to := old.get(m.issuer + "/account").location(t); to.Path != prefix+"/login" {
				t.Errorf("a session outlived the reset: %s", to)
			}
			m.accountOf("alice", "copper moss 17 kite")
			if strings.Contains(m.log.String(), "token=") {
				t.Error("a token stands in the log")
			}
		})
	}
}

func TestResetLinkDiesWithASignIn(t *testing.T) {
	m := startMailed(t, "")
	b := m.browser()
	b.fill(b.get(b.open(newRequest()).linkOf(t, "Forgotten")), "username", "alice")
	link := m.mail("Alice@example.com").link()
	m.accountOf("alice", password)
	b.want(b.get(link), 400, "has been used")
}

// T230, T231: nobody learns from the forgotten password who has an account.
func TestForgottenPasswordTellsNobodyWhoIsKnown(t *testing.T) {
	m := startMailed(t, "")
	if err := m.p.Pool.Disable(t.Context(), m.userID("bob")); err != nil {
		t.Fatal(err)
	}
	ask := func(name string) string {
		b := m.browser()
		return b.fill(b.get(b.open(newRequest()).linkOf(t, "Forgotten")), "username", name).bare()
	}
	want := ask("alice")
	m.mail("Alice@example.com")
	for _, name := range []string{"stranger", "bob", "bob@example.com", "alice", strings.Repeat("x", 3000)} {
		if got := ask(name); got != want {
			t.Errorf("%.20q:\n%s\nwant\n%s", name, got, want)
		}
	}
	m.quiet("strangers")
}

// The work of both is the same over the real outbox, which nobody empties here.
func TestKnownAndUnknownCostTheSame(t *testing.T) {
	f := start(t, "", func(c *idp.Config) {
		c.Mail = &notify.MailConfig{Host: "127.0.0.1", Port: 9, TLS: notify.NoTLS, From: "no-reply@example.com", Timeout: time.Second}
		c.Account.SignUp, c.Account.NetworkPerHour = account.Open, 1000
	})
	work := func(do func(b *browser, page answer), path string) func() [2]int64 {
		return func() [2]int64 {
			b := f.browser()
			page := b.follow(b.get(f.issuer + path))
			s, h := f.db.Statements(), f.p.Hasher.Calls()
			do(b, page)
			return [2]int64{f.db.Statements() - s, f.p.Hasher.Calls() - h}
		}
	}
	forgot := func(name string) [2]int64 {
		return work(func(b *browser, page answer) { b.want(b.fill(page, "username", name), 200, "Check your mail") }, "/forgot")()
	}
	sign := func(email, name string) [2]int64 {
		return work(func(b *browser, page answer) {
			b.fill(page, "email", email, "username", name, "password", "violet lamp 42 river").location(t)
		}, "/signup")()
	}
	if known, unknown := forgot("alice"), forgot("stranger"); known != unknown || known[1] != 0 {
		t.Errorf("forgotten password, statements and hashes: known %v, unknown %v", known, unknown)
	}
	known, unknown, name := sign("alice@example.com", "x1"), sign("x2@example.com", "x2"), sign("x3@example.com", "alice")
	if known != unknown || name != unknown || known[1] != 1 {
		t.Errorf("sign-up, statements and hashes: known address %v, unknown %v, known name %v", known, unknown, name)
	}
}

func TestInvitation(t *testing.T) {
	m := startMailed(t, "", func(c *idp.Config) { c.Account.SignUp = account.InviteOnly })
	u, err := m.p.Accounts.Invite(t.Context(), pool.NewUser{Username: "dana", Email: "dana@example.com", Groups: []string{"staff"}})
	if err != nil {
		t.Fatal(err)
	}
	link := m.mail("dana@example.com").link()
	b := m.browser()
	b.want(m.browser().get(link), 200, "Set up your account")
	b.want(b.fill(b.get(link), "password", "violet lamp 42 river"), 200, "Your account is ready")
	b.want(b.get(link), 400, "has been used")
	got, err := m.p.Pool.Get(t.Context(), u.ID)
	if err != nil || !got.EmailVerified || got.Status != pool.Confirmed {
		t.Errorf("user = %+v, %v", got, err)
	}
	m.accountOf("dana@example.com", "violet lamp 42 river")
}
