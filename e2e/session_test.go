package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
)

// passes tells whether a copied Cookie header still opens the application.
func passes(t *testing.T, base, cookie string) bool {
	t.Helper()
	a := ask(t, http.MethodGet, base+"/headers", append([]string{"Cookie", cookie}, fetching...)...)
	switch a.status {
	case http.StatusOK:
		return true
	case http.StatusUnauthorized:
		return false
	}
	t.Fatalf("GET /headers with a copied cookie = %d, want 200 or 401\n%s", a.status, a.body)
	return false
}

func TestCopiedCookieIsDeadAfterSignOut(t *testing.T) {
	d := sharedDemo(t)
	bob, other := newVisitor(t, d.url), newVisitor(t, d.url)
	bob.signIn("bob", demoPassword, "/")
	other.signIn("bob", demoPassword, "/")
	copied, all := bob.session(), bob.cookies()
	if copied == "" || !passes(t, d.url, copied) {
		t.Fatalf("bob's session cookie %q opens nothing", copied)
	}
	end := bob.signOut()
	if end.status != http.StatusOK {
		t.Errorf("sign-out ends with %d at %s\n%s", end.status, end.url, end.body)
	}
	for _, hop := range end.hops {
		if strings.Contains(hop, "id_token_hint=") {
			t.Errorf("sign-out puts the ID token into a URL: %s", hop)
		}
	}
	if bob.session() != "" {
		t.Errorf("sign-out leaves the session cookie: %q", bob.session())
	}
	if passes(t, d.url, copied) || passes(t, d.url, all) {
		t.Error("a cookie copied before sign-out opens the application after it")
	}
	if !passes(t, d.url, other.session()) {
		t.Error("bob's other session ended too")
	}
	// With the provider's own session gone, the way back is the password.
	if page := bob.open("/"); page.url.String() == d.url+"/" {
		t.Errorf("bob is signed in again without a password: %v", page.hops)
	}
}

func TestCopiedCookieIsDeadAfterSignOutAndRestart(t *testing.T) {
	port, data := freePort(t), t.TempDir()
	d := startDemoAt(t, port, "--data", data)
	bob, carol := newVisitor(t, d.url), newVisitor(t, d.url)
	bob.signIn("bob", demoPassword, "/")
	carol.signIn("carol", demoPassword, "/")
	copied, all := bob.session(), bob.cookies()
	kept := carol.session()
	bob.signOut()
	if err := d.end(); err != nil {
		t.Fatalf("demo ends with %v\n%s", err, d.out)
	}
	d = startDemoAt(t, port, "--data", data)
	if passes(t, d.url, copied) || passes(t, d.url, all) {
		t.Error("a cookie copied before sign-out opens the application after a restart")
	}
	// Else the test above would be passed by a demo that forgets everybody.
	if !passes(t, d.url, kept) {
		t.Error("carol, who did not sign out, is signed out by the restart")
	}
}

func TestDemoRemovesItsTemporaryData(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	d := startDemo(t)
	if err := d.end(); err != nil {
		t.Errorf("demo ends with %v", err)
	}
	left, err := os.ReadDir(tmp)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		if inside, _ := os.ReadDir(tmp + "/" + entry.Name()); len(inside) > 0 || !entry.IsDir() {
			t.Errorf("the demo leaves %s behind", entry.Name())
		}
	}
}

func TestSpoiledCookiesCountAsNoneAndAreCleared(t *testing.T) {
	d := sharedDemo(t)
	bob := newVisitor(t, d.url)
	bob.signIn("bob", demoPassword, "/")
	name, value, ok := strings.Cut(bob.session(), "=")
	if !ok || strings.Contains(value, ";") {
		t.Fatalf("bob's session %q is not one cookie", bob.session())
	}
	flip := func(i int) string {
		b := []byte(value)
		if b[i] == 'A' {
			b[i] = 'B'
		} else {
			b[i] = 'A'
		}
		return string(b)
	}
	cases := map[string]string{
		"empty":             name + "=",
		"text":              name + "=x",
		"truncated":         name + "=" + value[:len(value)-1],
		"cut in half":       name + "=" + value[:len(value)/2],
		"extended":          name + "=" + value + "A",
		"padded":            name + "=" + value + "=",
		"doubled":           name + "=" + value + "; " + name + "=" + value,
		"doubled, one bad":  name + "=" + value + "; " + name + "=x",
		"under a part":      name + "-1=" + value,
		"with a stale part": name + "=" + value + "; " + name + "-1=" + value,
	}
	for i := 0; i < len(value); i += 1 + len(value)/40 {
		cases[fmt.Sprintf("byte %d changed", i)] = name + "=" + flip(i)
	}
	cases["last byte changed"] = name + "=" + flip(len(value)-1)
	for what, cookie := range cases {
		if what == "with a stale part" {
			continue // the seal knows its count: see session's own tests
		}
		a := ask(t, http.MethodGet, d.url+"/headers", append([]string{"Cookie", cookie}, fetching...)...)
		if a.status != http.StatusUnauthorized {
			t.Errorf("%s: %d, want 401 as without a cookie", what, a.status)
		}
		if !clears(a, name) {
			t.Errorf("%s: %s is not cleared: Set-Cookie %q", what, name, a.header.Values("Set-Cookie"))
		}
		if a := ask(t, http.MethodGet, d.url+"/", append([]string{"Cookie", cookie}, navigation...)...); a.status != http.StatusFound {
			t.Errorf("%s: a navigation gets %d, want the redirect to sign-in", what, a.status)
		}
		if a := ask(t, http.MethodGet, d.url+"/public/x", "Cookie", cookie); a.status != http.StatusOK {
			t.Errorf("%s: /public/x = %d, want 200", what, a.status)
		}
	}
	if !passes(t, d.url, name+"="+value) {
		t.Error("bob's own cookie is refused: the cases above show nothing")
	}
}

// clears tells whether a makes the browser forget cookies whose name begins
// with prefix.
func clears(a *answer, prefix string) bool {
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if strings.HasPrefix(c.Name, prefix) && (c.MaxAge < 0 || c.Value == "") {
			return true
		}
	}
	return false
}

func TestSessionCookieIsForThisOriginAndNotForScripts(t *testing.T) {
	d := sharedDemo(t)
	v := newVisitor(t, d.url)
	page := v.open("/")
	a := v.post(v.fill(page, "bob", demoPassword))
	var found int
	for range 6 {
		for _, c := range (&http.Response{Header: a.header}).Cookies() {
			found++
			if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode && c.SameSite != http.SameSiteStrictMode || c.Domain != "" {
				t.Errorf("Set-Cookie %s: HttpOnly %v, SameSite %v, Domain %q", c.Name, c.HttpOnly, c.SameSite, c.Domain)
			}
			if sessionName.MatchString(c.Name) && (c.MaxAge > 0 || !c.Expires.IsZero() || c.Path != "/") {
				t.Errorf("session cookie has MaxAge %d, Expires %v, Path %q", c.MaxAge, c.Expires, c.Path)
			}
			if len(c.Name)+len(c.Value) > 3900 {
				t.Errorf("cookie %s has %d bytes", c.Name, len(c.Value))
			}
		}
		if a.header.Get("Location") == "" {
			break
		}
		next, _ := a.url.Parse(a.header.Get("Location"))
		a = v.step(next.String())
	}
	if found == 0 {
		t.Error("sign-in sets no cookie")
	}
}
