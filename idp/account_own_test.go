package idp_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/idp"
	"gatehouse/internal/httpx"
)

func TestAccountPagesAreForWhoHasSignedIn(t *testing.T) {
	for name, prefix := range map[string]string{"host": "", "prefix": "/_gatehouse/idp"} {
		t.Run(name, func(t *testing.T) {
			m := startMailed(t, prefix)
			nobody := m.browser()
			for _, path := range []string{"/account", "/account/email", "/account/password", "/account/sessions", "/account/delete"} {
				if to := nobody.get(m.issuer + path).location(t); to.Path != prefix+"/login" {
					t.Errorf("%s sent a stranger to %s", path, to)
				}
			}
			b := m.accountOf("alice", password)
			for _, path := range []string{"/account", "/account/email", "/account/password", "/account/sessions", "/account/delete"} {
				page := b.get(m.issuer + path)
				if page.StatusCode != 200 || page.Header.Get("Cache-Control") != "no-store" || !strings.Contains(page.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
					t.Errorf("%s: %d %v", path, page.StatusCode, page.Header)
				}
				form := page.form(t)
				if a := b.do("POST", form.action, form.fields, http.Header{"Origin": {"https://evil.test"}, "Sec-Fetch-Site": {"cross-site"}}); a.StatusCode != 403 {
					t.Errorf("%s: a form of another origin = %d", path, a.StatusCode)
				}
				form.fields.Set("form_token", "x")
				if a := b.do("POST", form.action, form.fields, nil); a.StatusCode != 403 {
					t.Errorf("%s: a form without its token = %d", path, a.StatusCode)
				}
				form = page.form(t)
				if a := nobody.do("POST", form.action, form.fields, nil); a.StatusCode != 403 {
					t.Errorf("%s: a form of nobody = %d", path, a.StatusCode)
				}
				bob := m.accountOf("bob", password)
				if a := bob.do("POST", form.action, form.fields, nil); a.StatusCode != 403 {
					t.Errorf("%s: alice's form from bob's browser = %d", path, a.StatusCode)
				}
			}
			to := nobody.get(m.issuer + "/.well-known/change-password")
			if to.StatusCode != 302 || to.location(t).Path != prefix+"/account/password" {
				t.Errorf("change-password: %d %s", to.StatusCode, to.Header.Get("Location"))
			}
			b.want(b.get(m.issuer+"/account/phone"), 404, "not offered")
		})
	}
}

// T243: PATCH-like forms with more fields than the page has are refused by name.
func TestProfileOnThePage(t *testing.T) {
	m := startMailed(t, "", func(c *idp.Config) { c.Account.Attributes = []string{"name", "nickname"} })
	b := m.accountOf("alice", password)
	page := b.get(m.issuer + "/account")
	b.want(b.follow(b.fill(page, "name", "Alice B", "nickname", "al")), 200, "Saved")
	for _, field := range []string{"email", "email_verified", "groups", "username", "custom:role", "given_name"} {
		bad := b.fill(page, "name", "Changed", field, "x")
		b.want(bad, 422, "The field "+field)
		b.want(bad, 422, "Changed") // what was typed stays
	}
	if u, err := m.p.Pool.Find(t.Context(), "alice"); err != nil || u.Name != "Alice B" || u.Attributes["nickname"] != "al" {
		t.Errorf("user = %+v, %v", u, err)
	}
}

func TestEmailOnThePage(t *testing.T) {
	m := startMailed(t, "")
	b := m.accountOf("alice", password)
	page := b.get(m.issuer + "/account/email")
	b.want(b.fill(page, "email", "no address"), 422, "Error:")
	codes := b.follow(b.fill(page, "email", "new@example.com"))
	code := m.mail("new@example.com").code()
	b.want(b.fill(codes, "code", "12"), 422, "Error:")
	b.want(b.fill(codes, "code", code), 200, "Your e-mail address is changed")
	if to := b.get(m.issuer + "/account").location(t); to.Path != "/login" {
		t.Errorf("after the change: %s", to)
	}
	m.accountOf("new@example.com", password)
	m.sink.Clear()
	// A sign-in of an hour ago is not enough.
	b = m.accountOf("alice", password)
	page = b.get(m.issuer + "/account/email")
	m.later(11 * time.Minute)
	if a := b.fill(page, "email", "third@example.com"); a.StatusCode != 403 {
		t.Errorf("with an old sign-in: %d", a.StatusCode)
	}
	if to := b.get(m.issuer + "/account/email").location(t); to.Path != "/login" {
		t.Errorf("with an old sign-in: %s", to)
	}
	m.quiet("an old sign in")
}

func TestPasswordOnThePage(t *testing.T) {
	m := startMailed(t, "")
	b, other := m.accountOf("alice", password), m.accountOf("alice", password)
	page := b.get(m.issuer + "/account/password")
	wrong := b.fill(page, "old_password", "wrong password", "password", "copper moss 17 kite")
	b.want(wrong, 422, `id="old_password"`)
	if strings.Contains(wrong.body, "copper moss 17 kite") || strings.Contains(wrong.body, "wrong password\"") {
		t.Error("a password stands in the page")
	}
	b.want(b.fill(page, "old_password", password, "password", "short"), 422, "fewer than 8")
	b.want(b.fill(page, "old_password", password, "password", "copper moss 17 kite"), 200, "Your password is changed")
	m.mail("Alice@example.com")
	if to := other.get(m.issuer + "/account").location(t); to.Path != "/login" {
		t.Errorf("another session outlived the change: %s", to)
	}
	m.accountOf("alice", "copper moss 17 kite")
}

// The old password is no way around the count of tries.
func TestOldPasswordCountsAsATry(t *testing.T) {
	m := startMailed(t, "")
	b := m.accountOf("alice", password)
	page := b.get(m.issuer + "/account/password")
	for range 6 {
		b.want(b.fill(page, "old_password", "wrong", "password", "copper moss 17 kite"), 422, "Error:")
	}
	b.want(b.fill(page, "old_password", password, "password", "copper moss 17 kite"), 422, "Error:")
	stranger := m.browser()
	if a := stranger.submit(stranger.open(newRequest()), "alice", password); a.StatusCode != 422 {
		t.Errorf("signing in does not know of the tries: %d", a.StatusCode)
	}
}

func TestSessionsOnThePage(t *testing.T) {
	m := startMailed(t, "")
	here, phone, tablet := m.accountOf("alice", password), m.accountOf("alice", password), m.accountOf("alice", password)
	bob := m.accountOf("bob", password)
	alive := func(b *browser) bool {
		return b.get(m.issuer+"/account").StatusCode == 200
	}
	page := here.get(m.issuer + "/account/sessions")
	if n := strings.Count(page.body, "<tr><td>"); n != 3 || strings.Count(page.body, "this browser") != 1 || !strings.Contains(page.body, "127.0.0.1") {
		t.Fatalf("%d sessions in %s", n, page.body)
	}
	list, err := m.p.Sessions.OfUser(t.Context(), m.userID("bob"))
	if err != nil || len(list) != 1 {
		t.Fatal(err)
	}
	here.fill(page, "end", list[0].ID)
	if !alive(bob) {
		t.Error("alice ended bob's session")
	}
	here.want(here.follow(here.fill(page, "end", "others")), 200, "Ended")
	if !alive(here) || alive(phone) || alive(tablet) || !alive(bob) {
		t.Errorf("after ending the others: here %v, phone %v, tablet %v, bob %v", alive(here), alive(phone), alive(tablet), alive(bob))
	}
	// Those that have ended by time are none.
	m.later(61 * time.Minute)
	here = m.accountOf("alice", password)
	if page := here.get(m.issuer + "/account/sessions"); strings.Count(page.body, "<tr><td>") != 1 {
		t.Errorf("idle sessions are shown: %s", page.body)
	}
	mine, err := m.p.Sessions.OfUser(t.Context(), m.userID("alice"))
	if err != nil || len(mine) == 0 {
		t.Fatalf("%d sessions, %v", len(mine), err)
	}
	here.want(here.fill(here.get(m.issuer+"/account/sessions"), "end", mine[0].ID), 200, "You are signed out")
	if alive(here) {
		t.Error("the own session goes on")
	}
}

func TestDeletionOnThePage(t *testing.T) {
	m := startMailed(t, "")
	b := m.accountOf("alice", password)
	page := b.get(m.issuer + "/account/delete")
	b.want(b.fill(page, "password", "wrong"), 422, "Error:")
	b.want(b.fill(page, "password", password), 200, "Your account is deleted")
	m.mail("Alice@example.com")
	if _, err := m.p.Pool.Find(t.Context(), "alice"); err == nil {
		t.Error("the account is there")
	}
	closed := start(t, "", func(c *idp.Config) { c.Account.Delete = false })
	c := closed.accountOf("alice", password)
	c.want(c.get(closed.issuer+"/account/delete"), 404, "not offered")
}

// Every page of ours meets what people with and without a mouse, a screen or a
// good memory need.
func TestAccountPagesAreAccessible(t *testing.T) {
	m := startMailed(t, "")
	b := m.accountOf("alice", password)
	s := m.browser()
	f := m.browser()
	pages := map[string]answer{
		"sign-up": s.signUpPage(), "forgot": f.get(f.open(newRequest()).linkOf(t, "Forgotten")),
	}
	for _, path := range []string{"/account", "/account/email", "/account/email?step=code", "/account/password", "/account/sessions", "/account/delete"} {
		pages[path] = b.get(m.issuer + path)
	}
	pages["error"] = b.fill(pages["/account/password"], "old_password", "x", "password", "short")
	for name, page := range pages {
		for _, once := range []string{"<h1", "<main", "<title>", `lang="en"`} {
			if strings.Count(page.body, once) != 1 {
				t.Errorf("%s has %d times %s", name, strings.Count(page.body, once), once)
			}
		}
		if strings.Contains(page.body, "<script") || strings.Contains(page.body, "style=") || strings.Contains(page.body, "placeholder") {
			t.Errorf("%s has scripts, styles or placeholders", name)
		}
		for id := range page.form(t).fields {
			if id == "" || id == "form_token" || id == "end" {
				continue
			}
			if !strings.Contains(page.body, `<label for="`+id+`"`) {
				t.Errorf("%s: the field %s has no label", name, id)
			}
		}
	}
	if page := pages["error"]; !strings.Contains(page.body, "<title>Error: ") || !strings.Contains(page.body, `role="alert"`) || !strings.Contains(page.body, `aria-invalid="true"`) {
		t.Errorf("error page: %s", page.body)
	}
}

func TestOversizedAndDoubledFieldsAreRefused(t *testing.T) {
	m := startMailed(t, "")
	b := m.browser()
	page := b.signUpPage()
	if a := b.fill(page, "email", "a@example.com", "password", strings.Repeat("x", httpx.MaxForm)); a.StatusCode != 413 {
		t.Errorf("a form of 64 KiB and more = %d", a.StatusCode)
	}
	for what, pass := range map[string]string{"long": strings.Repeat("x", 300), "NUL": "12345678\x00", "empty": ""} {
		hashes := m.p.Hasher.Calls()
		if a := b.fill(page, "email", "a@example.com", "password", pass); a.StatusCode != 422 && a.StatusCode != 400 {
			t.Errorf("%s password = %d", what, a.StatusCode)
		}
		if n := m.p.Hasher.Calls() - hashes; n != 0 {
			t.Errorf("%s password cost %d hashes", what, n)
		}
	}
	form := page.form(t)
	form.fields["email"] = []string{"a@example.com", "b@example.com"}
	form.fields.Set("password", "violet lamp 42 river")
	if a := b.do("POST", form.action, form.fields, nil); a.StatusCode != 400 {
		t.Errorf("two addresses = %d", a.StatusCode)
	}
	bad := b.fill(page, "email", "kept@example.com", "username", "a b", "password", "violet lamp 42 river")
	b.want(bad, 422, "kept@example.com")
	if strings.Contains(bad.body, "violet lamp 42 river") {
		t.Error("the password stands in the page")
	}
}

// The password of somebody who is signed in is guessed under the bounds of signing
// in, those of the address included.
func TestOldPasswordCountsForTheAddressAsWell(t *testing.T) {
	m := startMailed(t, "", func(c *idp.Config) { c.SignIn.AddressTries, c.SignIn.AccountTries = 4, 100 })
	b := m.accountOf("alice", password)
	change, leave := b.get(m.issuer+"/account/password"), b.get(m.issuer+"/account/delete")
	stranger := m.browser()
	stranger.want(stranger.submit(stranger.open(newRequest()), "bob", "wrong"), 422, "")
	for range 2 {
		b.want(b.fill(change, "old_password", "wrong", "password", "violet lamp 42 river"), 422, "not right")
	}
	b.want(b.fill(leave, "password", "wrong"), 422, "not right")
	for what, a := range map[string]answer{
		"change":  b.fill(change, "old_password", password, "password", "violet lamp 42 river"),
		"delete":  b.fill(leave, "password", password),
		"sign in": stranger.submit(stranger.open(newRequest()), "bob", password),
	} {
		if a.StatusCode != http.StatusTooManyRequests || a.Header.Get("Retry-After") == "" || !strings.Contains(a.body, "too_many_tries") {
			t.Errorf("%s after 4 wrong passwords of this address: %d, want 429 with Retry-After", what, a.StatusCode)
		}
	}
	m.later(10 * time.Minute)
	b.want(b.fill(change, "old_password", password, "password", "violet lamp 42 river"), 200, "is changed")
}
