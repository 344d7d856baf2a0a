package app

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/testenv/authenticator"
)

var shownKey = regexp.MustCompile(`type this key into it: <code>([A-Z2-7 ]+)</code>`)

// appCode is what an authenticator app shows that was set up with a page, some
// steps from now.
func appCode(t *testing.T, page answer, steps int64) string {
	t.Helper()
	found := shownKey.FindStringSubmatch(page.body)
	if found == nil {
		t.Fatalf("%s: %d shows no key: %s", page.Request.URL, page.StatusCode, page.body)
	}
	key, err := authenticator.Key(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return authenticator.Code(key, time.Now(), steps)
}

// A route that asks for a second factor gets one from the embedded provider,
// and the session then has it for every such route.
func TestRouteAsksForASecondFactor(t *testing.T) {
	w := newWorld(t, "allow: { groups: [admins] }", "allow: { groups: [admins] }\n    require: { mfa: true, signed_in_within: 1h }")
	b := w.browser()
	send := func(page answer, typed map[string]string) answer {
		t.Helper()
		a, err := b.submit(page, typed)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := b.signIn("/page", "alice"); a.StatusCode != http.StatusOK {
		t.Fatalf("alice at /page = %d", a.StatusCode)
	}
	setup := b.open("/admin/x?y=1")
	if !strings.Contains(setup.Request.URL.Path, "/login") || strings.Contains(setup.body, `name="password"`) {
		t.Fatalf("a password alone at /admin/ ends at %s: %s", setup.Request.URL, setup.body)
	}
	if status := b.fetch("/admin/x"); status != http.StatusUnauthorized {
		t.Errorf("a script at /admin/ before the factor = %d, want 401", status)
	}
	codes := send(setup, map[string]string{"code": appCode(t, setup, 0), "name": ""})
	end := send(codes, nil)
	if end.StatusCode != http.StatusOK || end.Request.URL.RequestURI() != "/admin/x?y=1" {
		t.Fatalf("after the set-up: %d at %s: %s", end.StatusCode, end.Request.URL, end.body)
	}
	if a := b.open("/admin/other"); a.StatusCode != http.StatusOK || a.Request.URL.Path != "/admin/other" {
		t.Errorf("the next page at /admin/ = %d at %s", a.StatusCode, a.Request.URL)
	}
	// Another browser: the password, then the factor, then the page.
	b = w.browser()
	factor := b.signIn("/admin/z", "alice")
	if status := b.fetch("/page"); status != http.StatusUnauthorized {
		t.Errorf("half signed in at /page = %d, want 401", status)
	}
	end = send(factor, map[string]string{"code": appCode(t, setup, 1), "trust": ""})
	if end.StatusCode != http.StatusOK || end.Request.URL.Path != "/admin/z" {
		t.Errorf("with the factor: %d at %s: %s", end.StatusCode, end.Request.URL, end.body)
	}
	// Whoever may not is refused, and sets nothing up first.
	b = w.browser()
	b.signIn("/page", "bob")
	if a := b.open("/admin/x"); a.StatusCode != http.StatusForbidden {
		t.Errorf("bob at /admin/ = %d at %s, want 403", a.StatusCode, a.Request.URL)
	}
}
