package idp_test

import (
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/idp"
	"gatehouse/internal/testenv/authenticator"
)

// named gives the provider a name, as passkeys need one.
func named(c *idp.Config) {
	u := *c.Issuer
	u.Host = strings.Replace(u.Host, "127.0.0.1", "localhost", 1)
	c.Issuer = &u
}

func (f *fixture) authenticator() *authenticator.Authenticator {
	return &authenticator.Authenticator{Origin: f.origin, RPID: "localhost"}
}

var askedOptions = regexp.MustCompile(`data-options="([^"]*)"`)

// options is what the page's script reads.
func (a answer) options(t *testing.T) []byte {
	t.Helper()
	found := askedOptions.FindStringSubmatch(a.body)
	if found == nil || !strings.Contains(a.body, `/static/passkey.js"></script>`) {
		t.Fatalf("%s: %d, asks for no passkey: %s", a.Request.URL, a.StatusCode, a.body)
	}
	return []byte(html.UnescapeString(found[1]))
}

// answerWith answers the page as its script does.
func (b *browser) answerWith(page answer, do func([]byte) ([]byte, error), pairs ...string) answer {
	b.f.t.Helper()
	response, err := do(page.options(b.f.t))
	if err != nil {
		b.f.t.Fatal(err)
	}
	return b.fill(page, append([]string{"passkey", string(response), "trust", ""}, pairs...)...)
}

// setUpPasskey gives alice a passkey.
func (f *fixture) setUpPasskey() *authenticator.Authenticator {
	f.t.Helper()
	b, key := f.browser(), f.authenticator()
	page := b.next(b.fill(b.enter("alice"), "do", "add", "kind", "passkey"))
	page = b.next(b.answerWith(page, key.Create, "name", "laptop"))
	page = b.next(b.fill(page))
	if !strings.Contains(page.body, "laptop") {
		f.t.Fatalf("after the passkey was set up: %s", page.body)
	}
	return key
}

func TestPasskeyAloneSignsIn(t *testing.T) {
	f := start(t, "", named)
	key := f.setUpPasskey()
	b, r := f.browser(), newRequest()
	page := b.open(r)
	if !strings.Contains(page.body, `autocomplete="username webauthn"`) || strings.Contains(page.body, "unsafe") {
		t.Errorf("the page offers no passkey by autofill: %s", page.body)
	}
	to := b.answerWith(page, key.Get).location(t)
	id := claims(t, f.redeem(to, r).text("id_token"))
	if id["sub"] != f.userID("alice") || !slices.Equal(amrOf(id), []string{"pop", "user", "mfa"}) || id["acr"] == nil {
		t.Errorf("ID token = %v", id)
	}
	// One that does not verify the person is not enough alone.
	key.Unverified = true
	b = f.browser()
	a := b.answerWith(b.open(newRequest()), key.Get)
	if a.StatusCode != 422 {
		t.Errorf("unverified: %d, want 422", a.StatusCode)
	}
	// The page has a new challenge now, and the person may be verified.
	key.Unverified = false
	if to := b.answerWith(a, key.Get).location(t); to.Query().Get("code") == "" {
		t.Errorf("after a wrong answer: %s", to)
	}
}

func TestPasskeyAnswerIsBoundToItsPage(t *testing.T) {
	f := start(t, "", named)
	key := f.setUpPasskey()
	b := f.browser()
	one, other := b.open(newRequest()), b.open(newRequest())
	response, err := key.Get(one.options(t))
	if err != nil {
		t.Fatal(err)
	}
	if a := b.fill(other, "passkey", string(response)); a.StatusCode != 422 {
		t.Errorf("the answer to another page: %d, want 422", a.StatusCode)
	}
	form := one.form(t)
	if a := b.do("POST", form.action, url.Values{"passkey": {string(response)}}, nil); a.StatusCode != 403 {
		t.Errorf("without the page's token: %d, want 403", a.StatusCode)
	}
	if to := b.fill(one, "passkey", string(response)).location(t); to.Query().Get("code") == "" {
		t.Errorf("the page itself: %s", to)
	}
	elsewhere := &authenticator.Authenticator{Origin: "https://evil.test", RPID: "localhost"}
	if a := b.answerWith(b.next(b.fill(b.get(f.issuer+"/account/security"), "do", "add", "kind", "passkey")), elsewhere.Create); a.StatusCode != 422 {
		t.Errorf("a passkey of another origin: %d, want 422", a.StatusCode)
	}
}

func TestPasskeyIsASecondFactor(t *testing.T) {
	f := start(t, "", named, func(c *idp.Config) { c.SignIn.AddressTries = 1000 })
	key := f.setUpPasskey()
	key.Unverified = true
	b, r := f.browser(), newRequest()
	page := b.half(r)
	if strings.Contains(page.body, "data-passkey=\"signin\"") {
		t.Error("a second factor is asked for by autofill")
	}
	id := claims(t, f.redeem(b.answerWith(page, key.Get).location(t), r).text("id_token"))
	if !slices.Equal(amrOf(id), []string{"pwd", "pop", "mfa"}) {
		t.Errorf("amr = %v", id["amr"])
	}
	// It works also while strangers make the account wait.
	for range 9 {
		eve := f.browser()
		eve.submit(eve.open(newRequest()), "alice", "wrong")
	}
	key.Unverified = false
	b = f.browser()
	if a := b.submit(b.open(newRequest()), "alice", password); a.StatusCode != 422 {
		t.Fatalf("the account does not wait: %d", a.StatusCode)
	}
	if to := b.answerWith(b.open(newRequest()), key.Get).location(t); to.Query().Get("code") == "" {
		t.Errorf("by passkey: %s", to)
	}
}

func TestDisabledPersonsPasskeySignsNobodyIn(t *testing.T) {
	f := start(t, "", named)
	key := f.setUpPasskey()
	if err := f.p.Pool.Disable(t.Context(), f.userID("alice")); err != nil {
		t.Fatal(err)
	}
	b := f.browser()
	known := b.answerWith(b.open(newRequest()), key.Get)
	stranger := f.authenticator()
	made := strings.Replace(string(f.browser().open(newRequest()).options(t)), `"publicKey":{`, `"publicKey":{"user":{"id":"AAAA"},`, 1)
	if _, err := stranger.Create([]byte(made)); err != nil {
		t.Fatal(err)
	}
	b = f.browser()
	unknown := b.answerWith(b.open(newRequest()), stranger.Get)
	same := func(a answer) string { return askedOptions.ReplaceAllString(a.bare(), "") }
	if known.StatusCode != 422 || same(known) != same(unknown) {
		t.Errorf("a disabled person's passkey: %s\nwant what an unknown one gets: %s", same(known), same(unknown))
	}
}

func TestScriptIsSmallAndOurs(t *testing.T) {
	bothMounts(t, func(t *testing.T, f *fixture) {
		a := f.browser().get(f.issuer + "/static/passkey.js")
		if a.StatusCode != 200 || len(a.body) > 8<<10 || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/javascript") ||
			a.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("script: %d, %d bytes, %v", a.StatusCode, len(a.body), a.Header)
		}
		// At an address there are no passkeys, and so no script.
		if page := f.browser().open(newRequest()); strings.Contains(page.body, "<script") {
			t.Error("a page has a script that does nothing")
		}
	})
}
