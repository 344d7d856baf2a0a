package idp_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
)

// signedIn returns a browser of alice's and her tokens.
func (f *fixture) signedIn() (*browser, reply) {
	b, r := f.browser(), newRequest()
	return b, f.redeem(b.signIn(r), r)
}

func (b *browser) silent() string {
	return b.get(b.f.authorizeURL(newRequest("prompt", "none"))).location(b.f.t).Query().Get("error")
}

func (f *fixture) logoutURL(pairs ...string) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return f.issuer + "/logout?" + q.Encode()
}

func TestSignOutByHint(t *testing.T) {
	bothMounts(t, func(t *testing.T, f *fixture) {
		b, tokens := f.signedIn()
		_, before, err := f.db.RevocationsSince(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		sid, _ := claims(t, tokens.text("id_token"))["sid"].(string)
		a := b.get(f.logoutURL("logout_hint", sid, "client_id", "web", "post_logout_redirect_uri", goodbye, "state", "a b"))
		if to := a.location(t); to.String() != goodbye+"?state=a+b" {
			t.Errorf("sent to %s", to)
		}
		if got := b.silent(); got != "login_required" {
			t.Errorf("after signing out: %q, want login_required", got)
		}
		if got := f.refresh("web", webSecret, tokens.text("refresh_token")); got.text("error") != "invalid_grant" {
			t.Errorf("refresh after signing out: %d %v", got.status, got.json)
		}
		if got := f.userinfo(tokens.text("access_token")); got.status != 401 {
			t.Errorf("access token after signing out: %d", got.status)
		}
		revoked, _, err := f.db.RevocationsSince(t.Context(), before)
		if err != nil || len(revoked) == 0 || revoked[0].Kind != "issuer_sid" || revoked[0].Value != sid {
			t.Errorf("revocations = %v %v, want issuer_sid %s", revoked, err, sid)
		}
	})
}

func TestSignOutByPostedIDToken(t *testing.T) {
	f := start(t, "")
	b, tokens := f.signedIn()
	form := url.Values{"id_token_hint": {tokens.text("id_token")}, "post_logout_redirect_uri": {goodbye}}
	// From another site: the browser keeps the Lax cookie back, so the first
	// answer leads to a navigation, which brings it, and the token stays out of
	// the address.
	cross := f.browser().do("POST", f.issuer+"/logout", form, http.Header{"Origin": {"https://app.test"}, "Sec-Fetch-Site": {"cross-site"}})
	to := cross.location(t)
	if strings.Contains(to.String(), tokens.text("id_token")) || to.Path != "/logout" {
		t.Errorf("sent to %s", to)
	}
	f.later(2 * time.Hour) // idle at the provider, in use at the application
	if got := b.get(to.String()).location(t); got.String() != goodbye {
		t.Errorf("then sent to %s, want %s", got, goodbye)
	}
	if got := f.refresh("web", webSecret, tokens.text("refresh_token")); got.text("error") != "invalid_grant" {
		t.Errorf("refresh after signing out: %d %v", got.status, got.json)
	}
}

// What does not prove the same browser session asks first.
func TestSignOutAsksFirst(t *testing.T) {
	f := start(t, "")
	b, tokens := f.signedIn()
	_, foreign := f.signedIn()
	for name, address := range map[string]string{
		"nothing":                f.logoutURL(),
		"client alone":           f.logoutURL("client_id", "web", "post_logout_redirect_uri", goodbye),
		"cognito":                f.logoutURL("client_id", "web", "logout_uri", goodbye),
		"another browser's hint": f.logoutURL("id_token_hint", foreign.text("id_token")),
		"another client's":       f.logoutURL("id_token_hint", tokens.text("id_token"), "client_id", "other"),
		"junk hint":              f.logoutURL("id_token_hint", "e30.e30.e30"),
		"access token":           f.logoutURL("id_token_hint", tokens.text("access_token")),
		"wrong sid":              f.logoutURL("logout_hint", "AAAAAAAAAAAAAAAAAAAAAA", "client_id", "web"),
		"empty sid":              f.logoutURL("logout_hint", "", "client_id", "web"),
	} {
		a := b.get(address)
		if a.StatusCode != 200 || !strings.Contains(a.body, "Sign out?") || !strings.Contains(a.body, "alice") {
			t.Errorf("%s: %d %s; want the question", name, a.StatusCode, a.Header.Get("Location"))
		}
	}
	for name, header := range map[string]http.Header{"image": {"Sec-Fetch-Dest": {"image"}, "Sec-Fetch-Mode": {"no-cors"}}, "frame": {"Sec-Fetch-Dest": {"iframe"}}} {
		if a := b.do("GET", f.logoutURL(), nil, header); a.StatusCode != 403 {
			t.Errorf("%s: %d, want 403", name, a.StatusCode)
		}
	}
	if got := b.silent(); got != "" {
		t.Fatalf("asking ended the session: %s", got)
	}
	form := b.get(f.logoutURL("client_id", "web", "logout_uri", goodbye, "state", "s")).form(t)
	for name, a := range map[string]answer{
		"foreign origin":  b.do("POST", form.action, form.fields, http.Header{"Origin": {"https://evil.test"}}),
		"no token":        b.do("POST", form.action, url.Values{"client_id": {"web"}}, nil),
		"another browser": func() answer { e, _ := f.signedIn(); return e.do("POST", form.action, form.fields, nil) }(),
	} {
		if a.StatusCode != 403 {
			t.Errorf("confirmation from %s: %d, want 403", name, a.StatusCode)
		}
	}
	if got := b.silent(); got != "" {
		t.Fatalf("a forged confirmation ended the session: %s", got)
	}
	if to := b.do("POST", form.action, form.fields, nil).location(t); to.String() != goodbye+"?state=s" {
		t.Errorf("confirmed: sent to %s", to)
	}
	if got := b.silent(); got != "login_required" {
		t.Errorf("after confirming: %q, want login_required", got)
	}
	if a := b.do("POST", form.action, form.fields, nil); a.StatusCode >= 400 {
		t.Errorf("confirmed twice: %d", a.StatusCode)
	}
}

func TestSignOutStaysHere(t *testing.T) {
	f := start(t, "")
	for _, uri := range []string{"https://evil.test/", "https://other.test/bye", goodbye + "/", goodbye + "?x", "javascript:alert(1)", "//evil.test"} {
		b, tokens := f.signedIn()
		a := b.get(f.logoutURL("id_token_hint", tokens.text("id_token"), "post_logout_redirect_uri", uri, "logout_uri", uri))
		if a.StatusCode != 200 || a.Header.Get("Location") != "" || !strings.Contains(a.body, "You are signed out") {
			t.Errorf("%s: %d %s; want our own page", uri, a.StatusCode, a.Header.Get("Location"))
		}
	}
}

func TestSignOutThatCannotBeWritten(t *testing.T) {
	f := start(t, "")
	b, tokens := f.signedIn()
	// The tables can be read and the events not written.
	if _, err := f.db.EventsSince(t.Context(), 0, 1); err != nil {
		t.Fatal(err)
	}
	f.failEvents(t)
	a := b.get(f.logoutURL("id_token_hint", tokens.text("id_token"), "post_logout_redirect_uri", goodbye))
	if a.StatusCode != 503 || a.Header.Get("Retry-After") == "" || strings.Contains(a.body, "signed out") || len(a.Cookies()) != 0 {
		t.Errorf("answer = %d %v; want 503, Retry-After and the cookie kept", a.StatusCode, a.Cookies())
	}
	if strings.Contains(a.body, "SQL") || strings.Contains(a.body, "event") {
		t.Errorf("the page tells of the store: %s", a.body)
	}
}

func TestAnotherPersonSignsTheFirstOut(t *testing.T) {
	f := start(t, "")
	b, tokens := f.signedIn()
	b.submit(b.open(newRequest("prompt", "login")), "bob", password).location(t)
	if got := f.refresh("web", webSecret, tokens.text("refresh_token")); got.text("error") != "invalid_grant" {
		t.Errorf("alice's refresh token after bob signed in from her browser: %d %v", got.status, got.json)
	}
}

// revoke appends what a gateway appends when somebody signs out there.
func (f *fixture) revoke(issuer, sid string) {
	f.t.Helper()
	err := f.db.Append(f.t.Context(), audit.Event{
		Type: "session.ended", Actor: "gateway", Target: sid,
		Revoke: []audit.Revoke{{Kind: audit.KindSID, Value: "gateway-session"}, {Kind: audit.KindIssuerSID, Issuer: issuer, Value: sid}},
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

func sidOf(t *testing.T, tokens reply) string {
	t.Helper()
	sid, _ := claims(t, tokens.text("id_token"))["sid"].(string)
	if sid == "" {
		t.Fatalf("no sid in %v", tokens.json)
	}
	return sid
}

// dead checks that nothing of what one sign-in gave is alive.
func (f *fixture) dead(tokens reply) {
	f.t.Helper()
	if got := f.refresh("web", webSecret, tokens.text("refresh_token")); got.text("error") != "invalid_grant" {
		f.t.Errorf("refresh: %d %v, want invalid_grant", got.status, got.json)
	}
	if got := f.userinfo(tokens.text("access_token")); got.status != 401 {
		f.t.Errorf("userinfo: %d, want 401", got.status)
	}
	if got := f.post("/oauth2/introspect", as("web", webSecret, "token", tokens.text("access_token")), nil); got.json["active"] != false {
		f.t.Errorf("introspection: %v, want active: false", got.json)
	}
}

// A browser that signs out at the gateway and never follows the redirect to the
// provider is signed out here all the same.
func TestRevokedSessionIsOver(t *testing.T) {
	f := start(t, "")
	b, tokens := f.signedIn()
	elsewhere, others := f.signedIn()
	sid := sidOf(t, tokens)
	pending := newRequest()
	code := b.get(f.authorizeURL(pending)).location(t)

	f.revoke("https://another.example", sid)
	if got := b.silent(); got != "" {
		t.Fatalf("a sid of another issuer ended the session: %s", got)
	}
	f.revoke("", sid)
	if got := b.silent(); got != "login_required" {
		t.Errorf("silent sign-in of a revoked session: %q, want login_required", got)
	}
	if to := b.get(f.authorizeURL(newRequest())).location(t); to.Path != "/login" {
		t.Errorf("authorize went to %s, want the sign-in page", to)
	}
	if got := f.redeem(code, pending); got.text("error") != "invalid_grant" {
		t.Errorf("a code from before: %d %v, want invalid_grant", got.status, got.json)
	}
	f.dead(tokens)
	r := newRequest()
	if fresh := sidOf(t, f.redeem(b.signIn(r), r)); fresh == sid {
		t.Error("the next sign-in has the revoked sid")
	}
	if got := elsewhere.silent(); got != "" {
		t.Errorf("another browser's session: %s", got)
	}
	if got := f.userinfo(others.text("access_token")); got.status != 200 {
		t.Errorf("another browser's token: %d, want 200", got.status)
	}
}

// A row that is there although its sid was revoked counts as none: who wrote
// the revocation may have known nothing of rows.
func TestRowOfARevokedSessionCountsAsNone(t *testing.T) {
	f := start(t, "")
	b, tokens := f.signedIn()
	sid := sidOf(t, tokens)
	pending := newRequest()
	code := b.get(f.authorizeURL(pending)).location(t)
	f.exec(t, `INSERT INTO revocation (seq, event_seq, kind, issuer, value, not_before, expires) VALUES (9999, 1, 'issuer_sid', '', '`+sid+`', 0, 99999999999999)`)
	if got := b.silent(); got != "login_required" {
		t.Errorf("silent sign-in: %q, want login_required", got)
	}
	if got := f.redeem(code, pending); got.text("error") != "invalid_grant" {
		t.Errorf("a code of that session: %d %v, want invalid_grant", got.status, got.json)
	}
	r := newRequest()
	if fresh := sidOf(t, f.redeem(b.signIn(r), r)); fresh == sid {
		t.Error("the next sign-in has the revoked sid")
	}
	f.dead(tokens)
}
