package app

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/keyring"
	"gatehouse/session"
)

// tied gives the demo's gateway a scope for everybody and one for administrators.
var tied = []string{
	"idp:\n  issuer:", "login: { scopes: [orders.read, orders.write] }\nidp:\n  issuer:",
	"description: Create and change orders }", "description: Create and change orders, groups: [admins] }",
	"  - name: the-rest\n", "  - name: write\n    match: { path: /write/** }\n    allow: { scopes: [orders.write] }\n  - name: the-rest\n",
}

func TestScopesOfASessionCountInRules(t *testing.T) {
	w := newWorld(t, tied...)
	alice, bob := w.browser(), w.browser()
	alice.signIn("/", "alice")
	bob.signIn("/", "bob")
	for path, want := range map[string][2]int{"/api/orders/7": {200, 200}, "/write/x": {200, 403}} {
		if a, b := alice.fetch(path), bob.fetch(path); a != want[0] || b != want[1] {
			t.Errorf("GET %s = %d as alice and %d as bob, want %v", path, a, b, want)
		}
	}
	if got := bob.open("/write/x").StatusCode; got != http.StatusForbidden {
		t.Errorf("a page that needs a scope bob has not = %d, want 403", got)
	}
	// Without login.scopes a session has none of them.
	carol := newWorld(t).browser()
	carol.signIn("/", "carol")
	if got := carol.fetch("/api/orders/7"); got != http.StatusForbidden {
		t.Errorf("without login.scopes, GET /api/orders/7 = %d, want 403", got)
	}
}

func TestUnknownScopesAreToldAtTheStart(t *testing.T) {
	dir := t.TempDir()
	p, err := Parse(filepath.Join(dir, "gatehouse.yaml"), []byte(`public_url: http://app.localhost
upstreams: { app: "http://127.0.0.1:9" }
routes: [{ name: all, match: { path: /** }, allow: signed-in }]
login: { scopes: [reports.raed] }
idp:
  issuer: http://login.localhost
  bootstrap: { resource_servers: [{ id: reports, scopes: [{ name: reports.read }] }] }
`))
	if err != nil {
		t.Fatal(err)
	}
	a, err := Open(t.Context(), p, Options{Log: slog.New(slog.DiscardHandler)})
	if a != nil || err == nil || !strings.Contains(err.Error(), `login.scopes names "reports.raed"`) || !strings.Contains(err.Error(), "scope add") {
		t.Errorf("Open() = %v, want an error that names the scope and what to do", err)
	}
}

// ask opens what explain asks, beside the running gateway.
func (w *world) ask() *Asking {
	w.t.Helper()
	a, err := OpenAsking(w.t.Context(), w.plan)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = a.Close() })
	return a
}

func TestExplainKnowsTheScopesThatASignInWouldGet(t *testing.T) {
	w := newWorld(t, tied...)
	for name, want := range map[string][]string{
		"alice": {"openid", "email", "profile", "orders.read", "orders.write"},
		"bob":   {"openid", "email", "profile", "orders.read"},
	} {
		id, _, err := w.ask().Identify(t.Context(), name, "")
		if err != nil || !slices.Equal(id.Scopes, want) || id.MFA || !slices.Equal(id.AMR, []string{"pwd"}) {
			t.Errorf("Identify(%s) = %+v, %v, want scopes %q", name, id, err, want)
		}
	}
}

// session returns the session cookie of the browser as a Cookie header.
func (b *browser) session() (header, value string) {
	b.w.t.Helper()
	u, err := url.Parse(b.w.origin)
	if err != nil {
		b.w.t.Fatal(err)
	}
	for _, c := range b.http.Jar.Cookies(u) {
		if c.Name == "gatehouse-"+u.Port() {
			return "other=1; " + c.Name + "=" + c.Value, c.Value
		}
	}
	b.w.t.Fatal("there is no session cookie")
	return "", ""
}

func TestExplainReadsASessionCookie(t *testing.T) {
	w := newWorld(t, tied...)
	alice := w.browser()
	alice.signIn("/", "alice")
	header, value := alice.session()
	for what, text := range map[string]string{"header": header, "value": value, "pasted": "  " + value + "\n"} {
		id, who, err := w.ask().IdentifyCookie(t.Context(), text)
		if err != nil || id == nil || id.Username != "alice" || id.Credential != session.Cookie || !slices.Contains(id.Scopes, "orders.write") {
			t.Fatalf("%s: %+v, %v", what, id, err)
		}
		if !strings.HasPrefix(who, "alice") || strings.Contains(who, "not known") || strings.Contains(who, value[:20]) {
			t.Errorf("%s: who = %q", what, who)
		}
	}
	for what, text := range map[string]string{
		"cut": value[:len(value)-4], "junk": "junk", "of another name": "gatehouse-1=" + value, "twice": header + "; " + header,
	} {
		if id, who, err := w.ask().IdentifyCookie(t.Context(), text); id != nil || err != nil || !strings.Contains(who, "counts as none") {
			t.Errorf("%s: %+v, %q, %v", what, id, who, err)
		}
	}
	for _, text := range []string{"", " \n", "a\nb", strings.Repeat("a", maxCookie+1)} {
		if id, _, err := w.ask().IdentifyCookie(t.Context(), text); id != nil || err == nil {
			t.Errorf("%.5q: %+v, %v, want an error", text, id, err)
		}
	}
	// Ended by another browser, and known at once.
	other := alice.copied()
	if _, err := other.submit(other.open("/_gatehouse/sign-out"), nil); err != nil {
		t.Fatal(err)
	}
	if id, who, err := w.ask().IdentifyCookie(t.Context(), value); id != nil || err != nil || !strings.Contains(who, "was ended") {
		t.Errorf("signed out: %+v, %q, %v", id, who, err)
	}
}

// relying is a gateway without a provider, whose sessions came from corp.
func relying(t *testing.T) (p *Plan, identify func(cookie string) (*session.Identity, string, error)) {
	t.Helper()
	p, err := Parse(filepath.Join(t.TempDir(), "gatehouse.yaml"), []byte(`public_url: http://app.localhost
upstreams: { app: "http://127.0.0.1:9" }
routes: [{ name: all, match: { path: /** }, allow: signed-in }]
login: { providers: { corp: { issuer: "https://login.example.com", client_id: x } } }
`))
	if err != nil {
		t.Fatal(err)
	}
	return p, func(cookie string) (*session.Identity, string, error) {
		a, err := OpenAsking(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		return a.IdentifyCookie(t.Context(), cookie)
	}
}

func TestExplainMakesNoCookieKeys(t *testing.T) {
	p, identify := relying(t)
	if _, _, err := identify("x"); err == nil {
		t.Error("without keys there is no error")
	}
	for _, dir := range []string{p.Config.SecretsDir, p.Config.DataDir} {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("looking has made %s: %v", dir, err)
		}
	}
}

// TestExplainReadsRevocationsBesideTheServer: a gateway without a provider keeps
// them in a file that the server holds, and that looking must not change.
func TestExplainReadsRevocationsBesideTheServer(t *testing.T) {
	p, identify := relying(t)
	ring, err := p.Config.openRing(keyring.Cookie)
	if err != nil {
		t.Fatal(err)
	}
	cookies, err := session.NewCookies(p.Config.Session, cookieKeys(ring), session.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := session.Session{
		ID: session.NewID(), Host: "app.localhost", Provider: "corp", Issuer: "https://login.example.com", ClientID: "x", Subject: "7",
	}
	value := sealNow(t, cookies, p.sites[0], s)
	if id, who, err := identify(value); err != nil || id == nil || who != "7 by a session at app.localhost" {
		t.Fatalf("before: %+v, %q, %v", id, who, err)
	}
	path := revoke(t, p, s.ID)
	before, _ := os.ReadFile(path)
	if id, who, err := identify(value); id != nil || err != nil || !strings.Contains(who, "was ended") {
		t.Errorf("after: %+v, %q, %v", id, who, err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Error("looking has changed the file")
	}
	if err := os.WriteFile(path, []byte("damaged\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if id, who, err := identify(value); id == nil || err != nil || !strings.Contains(who, "not known") {
		t.Errorf("damaged: %+v, %q, %v", id, who, err)
	}
}

// revoke ends a session as a running gateway would, which goes on holding its
// file, and returns the path of that.
func revoke(t *testing.T, p *Plan, sid string) string {
	t.Helper()
	if err := p.Config.makeDataDir(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(p.Config.DataDir, "revocations.log")
	held, err := session.OpenFileJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = held.Close() })
	end := session.Revocation{Kind: session.RevokeSID, Value: sid, Expires: time.Now().Add(time.Hour)}
	if err := held.Append(t.Context(), end); err != nil {
		t.Fatal(err)
	}
	return path
}

// sealNow returns the cookie value of a session that begins now.
func sealNow(t *testing.T, cookies *session.Cookies, site session.Site, s session.Session) string {
	t.Helper()
	s.Created, s.Expires = time.Now(), time.Now().Add(time.Hour)
	sealed, err := cookies.Seal(site, &s)
	if err != nil || len(sealed) != 1 {
		t.Fatalf("%d cookies, %v", len(sealed), err)
	}
	return sealed[0].Value
}
