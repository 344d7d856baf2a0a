package proxy

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/session"
)

const stepUpRoutes = `
  - { name: vault, match: { path: "/vault/**" }, allow: { groups: [admins] }, require: { mfa: true, signed_in_within: 1h } }
  - { name: gold, match: { path: "/gold/**" }, allow: { any_of: [signed-in, { scopes: [orders.read] }] }, require: { acr: [urn:gold, urn:silver] }, on_unauthenticated: authenticate }
  - { name: fresh, match: { path: "/fresh/**" }, allow: signed-in, require: { signed_in_within: 90s }, on_unauthenticated: deny }
  - { name: events, match: { path: /events }, allow: signed-in, require: { signed_in_within: 10s } }
  - { name: rest, match: { path: "/**" }, allow: signed-in }
`

func ago(d time.Duration) func(*session.Session) {
	return func(s *session.Session) { s.Groups, s.AuthTime = []string{"admins"}, time.Now().Add(-d) }
}

// problemOf reads a problem document.
func problemOf(t *testing.T, res *http.Response) (p struct {
	LoginURL string `json:"login_url"`
	Code     string `json:"code"`
	Detail   string `json:"detail"`
},
) {
	t.Helper()
	if got := res.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type = %q, want application/problem+json", got)
	}
	if err := json.NewDecoder(res.Body).Decode(&p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestNavigationThatNeedsMoreGoesToSignInAgain(t *testing.T) {
	w := newWorld(t, stepUpRoutes)
	w.status(302, "GET", "/vault/x?a=1", navigate, "Cookie: "+w.sessionWith("alice", ago(0)))
	begun := w.signIn.attempts()
	if len(begun) != 1 || begun[0].ReturnTo != "/vault/x?a=1" {
		t.Fatalf("attempts = %+v, want one that comes back to /vault/x?a=1", begun)
	}
	a := begun[0]
	if a.Require == nil || !a.Require.MFA || a.Require.SignedInWithin != time.Hour || a.Identity == nil || a.Identity.Subject != "sub-alice" {
		t.Errorf("attempt = %+v, want all the route requires, of alice", a)
	}
	// Whoever may not at all is not sent anywhere.
	w.status(403, "GET", "/vault/x", navigate, "Cookie: "+w.session("bob", "staff"))
	w.status(200, "GET", "/vault/x", "Cookie: "+w.sessionWith("alice", func(s *session.Session) { ago(time.Minute)(s); s.MFA = true }))
	w.status(302, "GET", "/vault/x", navigate, "Cookie: "+w.sessionWith("alice", func(s *session.Session) { ago(2 * time.Hour)(s); s.MFA = true }))
	w.signIn.down.Store(true)
	w.status(503, "GET", "/vault/x", navigate, "Cookie: "+w.sessionWith("alice", ago(0)))
}

func TestFirstSignInAsksForWhatTheRouteRequires(t *testing.T) {
	w := newWorld(t, stepUpRoutes)
	w.status(302, "GET", "/vault/x", navigate)
	w.status(302, "GET", "/x", navigate)
	begun := w.signIn.attempts()
	if len(begun) != 2 || begun[0].Require == nil || !begun[0].Require.MFA || begun[0].Identity != nil || begun[1].Require != nil {
		t.Errorf("attempts of a stranger = %+v, want what vault requires, then nothing", begun)
	}
}

func TestProgramsAreToldWhatTheSignInLacks(t *testing.T) {
	w := newWorld(t, stepUpRoutes)
	for _, c := range []struct {
		method, path string
		edit         func(*session.Session)
		challenge    string
		code         string
	}{
		{
			"GET", "/vault/x?q=1", ago(0),
			`error_description="a second factor is required", acr_values="https://refeds.org/profile/mfa", max_age="3600"`, "mfa_required",
		},
		{
			"POST", "/gold/x", ago(0), `error_description="another kind of authentication is required", acr_values="urn:gold urn:silver"`, "acr_required",
		},
		{"GET", "/fresh/x", ago(time.Hour), `error_description="a more recent authentication is required", max_age="90"`, "reauth_required"},
		{"GET", "/fresh/x", func(*session.Session) {}, `error_description="a more recent authentication is required", max_age="90"`, "reauth_required"},
	} {
		res := w.status(401, c.method, c.path, "Cookie: "+w.sessionWith("alice", c.edit))
		if got, want := res.Header.Get("WWW-Authenticate"), `Bearer error="insufficient_user_authentication", `+c.challenge; got != want {
			t.Errorf("%s: WWW-Authenticate = %q\nwant %q", c.path, got, want)
		}
		p := problemOf(t, res)
		route := strings.Split(c.path, "/")[1]
		if want := w.site.Origin + "/_gatehouse/sign-in?rd=" + url.QueryEscape(c.path) + "&step_up=" + route; p.LoginURL != want || p.Code != c.code {
			t.Errorf("%s: problem = %+v, want login_url %s and code %s", c.path, p, want, c.code)
		}
	}
	if begun := w.signIn.attempts(); len(begun) != 0 {
		t.Errorf("attempts were begun for programs: %+v", begun)
	}
}

func TestTheFormOfARefusalIsThatOfTheRoute(t *testing.T) {
	w := newWorld(t, stepUpRoutes)
	cookie := "Cookie: " + w.sessionWith("alice", ago(time.Hour))
	w.status(302, "GET", "/gold/x", cookie) // authenticate
	w.status(302, "HEAD", "/gold/x", cookie)
	w.status(401, "POST", "/gold/x", cookie, navigate)
	w.status(401, "GET", "/fresh/x", cookie, navigate) // deny
	w.status(401, "GET", "/vault/x", cookie, "Sec-Fetch-Mode: cors")
	w.status(401, "GET", "/gold/x", cookie, "Connection: Upgrade", "Upgrade: websocket", "Origin: "+w.site.Origin)
}

func TestBearersAreNotSentToSignIn(t *testing.T) {
	w := newWorld(t, stepUpRoutes)
	w.tokens.believe(func(id *session.Identity) { id.Person, id.Listed = true, true })
	for _, headers := range [][]string{{}, {navigate}} {
		res := w.status(401, "GET", "/gold/x", append(headers, "Authorization: Bearer scope:orders.read", "Accept: application/json")...)
		if got := res.Header.Get("WWW-Authenticate"); !strings.Contains(got, `error="insufficient_user_authentication"`) || !strings.Contains(got, "urn:gold") {
			t.Errorf("WWW-Authenticate = %q, want what RFC 9470 says", got)
		}
		if p := problemOf(t, res); p.LoginURL != "" || !strings.Contains(p.Detail, "token") {
			t.Errorf("problem = %+v, want no login_url and words about the token", p)
		}
	}
	w.tokens.believe(nil)
	// A machine cannot sign in again: nothing would help it.
	res := w.status(403, "GET", "/gold/x", "Authorization: Bearer scope:orders.read")
	if got := res.Header.Get("WWW-Authenticate"); got != "" {
		t.Errorf("a machine is challenged with %q", got)
	}
}

func TestPagesSayWhatToDo(t *testing.T) {
	w := newWorld(t, stepUpRoutes)
	for path, want := range map[string]string{
		"/fresh/x": "This page asks you to sign in again<",
		"/vault/x": "This page asks you to sign in again, with a second factor<",
	} {
		res := w.status(401, "POST", path, "Accept: text/html", "Cookie: "+w.sessionWith("alice", ago(time.Hour)))
		page, _ := io.ReadAll(res.Body)
		if !strings.Contains(string(page), want) || !strings.Contains(string(page), "step_up=") {
			t.Errorf("%s: the page lacks %q or a way on: %s", path, want, page)
		}
	}
}

func TestSignInPageStepsUp(t *testing.T) {
	w := newWorld(t, stepUpRoutes)
	cookie := "Cookie: " + w.sessionWith("alice", ago(0))
	begin := func(query string, headers ...string) Attempt {
		t.Helper()
		res := w.ask("GET", "/_gatehouse/sign-in?"+query, headers...)
		begun := w.signIn.attempts()
		if res.StatusCode != 302 || len(begun) != 1 {
			t.Fatalf("sign-in?%s = %d with %d attempts, want one", query, res.StatusCode, len(begun))
		}
		return begun[0]
	}
	if a := begin("rd=%2Fvault%2Fx&step_up=vault", cookie); a.ReturnTo != "/vault/x" || a.Require == nil || !a.Require.MFA || a.Identity == nil || a.Identity.Subject != "sub-alice" {
		t.Errorf("attempt = %+v, want what vault requires, of alice", a)
	}
	if a := begin("rd=/x&step_up=vault"); a.Require == nil || a.Identity != nil {
		t.Errorf("attempt of a stranger = %+v, want what vault requires, of whoever comes", a)
	}
	for _, query := range []string{"rd=/x&step_up=nowhere", "rd=/x&step_up=rest", "rd=/x&step_up=", "rd=/x"} {
		if a := begin(query, cookie); a.Require != nil || a.Identity != nil || a.ReturnTo != "/x" {
			t.Errorf("sign-in?%s: attempt = %+v, want a plain sign-in", query, a)
		}
	}
	bad := "Cookie: " + w.site.CookieName() + "=junk"
	if a := begin("step_up=vault", bad); a.Identity != nil || a.Require == nil {
		t.Errorf("attempt with a bad cookie = %+v, want that of a stranger", a)
	}
	w.stale.Store(true)
	if res := w.ask("GET", "/_gatehouse/sign-in?step_up=vault", cookie); res.StatusCode != 503 || len(w.signIn.attempts()) != 0 {
		t.Errorf("while revocations are unknown: %d, want 503 and no attempt", res.StatusCode)
	}
}

// A stream is not kept open while its person would have to sign in again.
func TestStreamEndsWhenTheSignInGrowsTooOld(t *testing.T) {
	t.Parallel()
	w := newWorld(t, stepUpRoutes)
	w.cutOff(w.ask("GET", "/events", "Cookie: "+w.sessionWith("bob", ago(9*time.Second))))
}

// cutOff wants a stream that has begun to be cut off.
func (w *world) cutOff(res *http.Response) {
	w.t.Helper()
	if res.StatusCode != http.StatusOK {
		w.t.Fatalf("the stream was answered %d", res.StatusCode)
	}
	ended := make(chan error, 1)
	go func() { _, err := io.Copy(io.Discard, res.Body); ended <- err }()
	select {
	case err := <-ended:
		if err == nil {
			w.t.Error("the stream ended as if it were complete, want it cut off")
		}
	case <-time.After(streamAfter + 5*time.Second):
		w.t.Fatal("the stream goes on")
	}
}

func TestSessionShortOfAScopeIsShownAPage(t *testing.T) {
	w := newWorld(t, `
  - { name: api, match: { path: "/**" }, allow: { scopes: [orders.read] } }
`)
	scoped := func(scopes ...string) string {
		return "Cookie: " + w.sessionWith("alice", func(s *session.Session) { s.Scopes = scopes })
	}
	res := w.status(403, "GET", "/x", scoped("other"), navigate)
	page, _ := io.ReadAll(res.Body)
	if res.Header.Get("WWW-Authenticate") != "" || !strings.Contains(string(page), "You are signed in") || strings.Contains(string(page), "token") {
		t.Errorf("WWW-Authenticate %q and page %s, want words for a person", res.Header.Get("WWW-Authenticate"), page)
	}
	w.status(200, "GET", "/x", scoped("other", "orders.read"))
	res = w.status(403, "GET", "/x", "Authorization: Bearer scope:other")
	if got := res.Header.Get("WWW-Authenticate"); got != `Bearer error="insufficient_scope", scope="orders.read"` {
		t.Errorf("a bearer is challenged with %q", got)
	}
}
