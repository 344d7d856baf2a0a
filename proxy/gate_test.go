package proxy

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOpenRoutesTakeEverybody(t *testing.T) {
	w := newWorld(t, baseRoutes)
	w.status(200, "GET", "/public/x")
	w.status(200, "GET", "/healthz")
	w.status(200, "GET", "/public/x", "Authorization: Bearer junk")
	w.status(200, "GET", "/public/x", "Cookie: "+w.site.CookieName()+"=junk")
}

func TestClosedRoutesTakeNobody(t *testing.T) {
	w := newWorld(t, baseRoutes)
	w.status(403, "GET", "/closed/x", navigate)
	w.status(403, "GET", "/closed/x", "Cookie: "+w.session("alice", "admins"))
}

func TestUnknownHostAndPathAre404(t *testing.T) {
	w := newWorld(t, `
  - { name: one, match: { path: /one }, allow: anyone }
`)
	w.status(404, "GET", "/two")
	w.status(404, "GET", "/one", "Host: evil.test")
	w.status(200, "GET", "/one")
}

func TestGroupsDecide(t *testing.T) {
	w := newWorld(t, baseRoutes)
	w.status(200, "GET", "/admin/", "Cookie: "+w.session("alice", "admins"))
	w.status(403, "GET", "/admin/", "Cookie: "+w.session("bob", "staff"))
	w.status(403, "GET", "/admin/", "Cookie: "+w.session("carol")) // no group is not every group
	w.status(401, "GET", "/admin/")
}

func TestNavigationsAreSentToSignInAndAllElseIs401(t *testing.T) {
	w := newWorld(t, baseRoutes)
	res := w.status(302, "GET", "/x/y?a=1&b=%2F;c", navigate, "Sec-Fetch-Dest: document")
	if got, want := res.Header.Get("Location"), "https://issuer.test/authorize?return=/x/y?a=1&b=%2F;c"; got != want {
		t.Errorf("Location = %q, want %q", got, want)
	}
	if got := res.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control of the redirect = %q, want no-store", got)
	}
	for _, headers := range [][]string{
		{},
		{"Sec-Fetch-Mode: cors"},
		{navigate, "Sec-Fetch-Dest: iframe"},
		{navigate, "Authorization: Basic eDp5"},
		{"Connection: Upgrade", "Upgrade: websocket", navigate},
	} {
		res := w.status(401, "GET", "/x", headers...)
		if got := res.Header.Get("WWW-Authenticate"); got != "Bearer" {
			t.Errorf("GET /x %q: WWW-Authenticate = %q, want a bare Bearer", headers, got)
		}
	}
	w.status(401, "POST", "/x", navigate)
	var problem struct {
		LoginURL string `json:"login_url"`
		Code     string `json:"code"`
	}
	if err := json.NewDecoder(w.status(401, "GET", "/x?q=1").Body).Decode(&problem); err != nil {
		t.Fatal(err)
	}
	if want := w.site.Origin + "/_gatehouse/sign-in?rd=%2Fx%3Fq%3D1"; problem.LoginURL != want || problem.Code != "sign_in_required" {
		t.Errorf("problem = %+v, want login_url %s and code sign_in_required", problem, want)
	}
	w.status(401, "GET", "/api/x", navigate) // on_unauthenticated: deny
}

func TestIssuerDownClosesSignInOnly(t *testing.T) {
	w := newWorld(t, baseRoutes)
	w.signIn.down.Store(true)
	w.status(200, "GET", "/public/x", navigate)
	res := w.status(503, "GET", "/x", navigate)
	if res.Header.Get("Retry-After") == "" {
		t.Error("503 without Retry-After")
	}
	w.signIn.down.Store(false)
	w.status(302, "GET", "/x", navigate)
}

func TestBadBearerIsNeverAnonymousAndNeverACookie(t *testing.T) {
	w := newWorld(t, baseRoutes)
	cookie := "Cookie: " + w.session("alice", "admins")
	for _, path := range []string{"/x", "/admin/", "/api/x", "/maybe/x"} {
		for _, bearer := range []string{"Bearer junk", "bearer junk", "Bearer ", "Bearer", "Bearer\tjunk", "Bearer  junk", "BEARER a b"} {
			res := w.status(401, "GET", path, cookie, "Authorization: "+bearer, navigate)
			if got := res.Header.Get("WWW-Authenticate"); got != `Bearer error="invalid_token"` {
				t.Errorf("GET %s with %q: WWW-Authenticate = %q, want invalid_token", path, bearer, got)
			}
		}
	}
	w.status(400, "GET", "/x", cookie, "Authorization: Bearer junk", "Authorization: Bearer scope:orders.read")
	w.status(200, "GET", "/x", cookie, "Authorization: Basic eDp5")         // not ours
	w.status(200, "GET", "/people/x", cookie, "Authorization: Bearer junk") // the route takes sessions only
}

func TestScopesDecideAboutMachinesAndOpenNothingForPeople(t *testing.T) {
	w := newWorld(t, baseRoutes)
	w.status(200, "GET", "/api/x", "Authorization: Bearer scope:orders.read")
	res := w.status(403, "GET", "/api/x", "Authorization: Bearer scope:other")
	if got, want := res.Header.Get("WWW-Authenticate"), `Bearer error="insufficient_scope", scope="orders.read"`; got != want {
		t.Errorf("WWW-Authenticate = %q, want %q", got, want)
	}
	w.status(403, "GET", "/x", "Authorization: Bearer scope:orders.read")
	w.status(403, "GET", "/admin/", "Authorization: Bearer scope:orders.read")
	w.status(403, "GET", "/api/x", "Cookie: "+w.session("alice", "admins"))
	// Alice's own token, whose client bearer.clients does not list.
	w.status(403, "GET", "/admin/", "Authorization: Bearer alice")
}

func TestFormOfRefusalNeverChangesTheDecision(t *testing.T) {
	for _, form := range []string{"auto", "authenticate", "deny"} {
		w := newWorld(t, `
  - { name: admin, match: { path: "/**" }, allow: { groups: [admins] }, on_unauthenticated: `+form+` }
`)
		for _, headers := range [][]string{{}, {navigate}, {"Cookie: " + w.session("bob", "staff")}, {"Cookie: x=y"}} {
			if res := w.ask("GET", "/", headers...); res.StatusCode == 200 || w.app.hits.Load() != 0 {
				t.Errorf("%s: GET / %q = %d, want a refusal", form, headers, res.StatusCode)
			}
		}
		w.status(200, "GET", "/", "Cookie: "+w.session("alice", "admins"))
	}
}

func TestOptionalIdentityIsToldWhenThereIsOne(t *testing.T) {
	w := newWorld(t, baseRoutes)
	w.status(200, "GET", "/maybe/x")
	if got := w.app.got().Headers.Get("X-Forwarded-User"); got != "" {
		t.Errorf("a stranger arrived as %q", got)
	}
	w.status(200, "GET", "/maybe/x", "Cookie: "+w.session("bob", "staff"))
	if got := w.app.got().Headers.Get("X-Forwarded-User"); got != "bob" {
		t.Errorf("X-Forwarded-User = %q, want bob", got)
	}
}

func TestBadCookiesCountAsNoneAndAreCleared(t *testing.T) {
	w := newWorld(t, baseRoutes)
	name, value, _ := strings.Cut(w.session("alice", "admins"), "=")
	for what, cookie := range map[string]string{
		"tampered":  name + "=" + value[:40] + "A" + value[41:],
		"truncated": name + "=" + value[:len(value)-4],
		"doubled":   name + "=" + value + "; " + name + "=" + value,
		"empty":     name + "=",
	} {
		if value[40] == 'A' && what == "tampered" {
			cookie = name + "=" + value[:40] + "B" + value[41:]
		}
		res := w.status(401, "GET", "/admin/", "Cookie: "+cookie)
		cleared := slices.ContainsFunc(res.Cookies(), func(c *http.Cookie) bool { return c.Name == name && c.MaxAge < 0 })
		if !cleared {
			t.Errorf("%s cookie was not cleared: %v", what, res.Header["Set-Cookie"])
		}
	}
}

func TestRequestsThatReadTwoWaysAreRefused(t *testing.T) {
	w := newWorld(t, baseRoutes)
	admin := "Cookie: " + w.session("alice", "admins")
	for _, target := range []string{"/public/..%2fadmin", "/public/%2e%2e/admin", "/x;y", "/a%2fb", "/a%5cb", "/a%00b", "/%c0%ae"} {
		w.status(400, "GET", target, admin)
	}
	w.status(200, "GET", "/files/a%2fb")
	if got := w.app.got().Target; got != "/files/a%2Fb" && got != "/files/a%2fb" {
		t.Errorf("the application got %q, want the encoded slash", got)
	}
	w.status(400, "GET", "/files/..%2fadmin")
	w.status(405, "TRACE", "/public/x")
}

// A route may not be reached with a reading that another rule would decide.
func TestEncodedSlashIsDecidedOnBothReadings(t *testing.T) {
	w := newWorld(t, `
  - { name: inner, match: { path: /files/secret/** }, allow: nobody }
  - { name: files, match: { path: "/files/**" }, allow: anyone, odd: [encoded_slash] }
`)
	w.status(200, "GET", "/files/open%2fx")
	w.status(400, "GET", "/files/secret%2fx")
}

// Forged headers, in every spelling, on open routes and closed ones, over raw
// sockets: no client library tidies the lines up.
func TestForgedHeadersNeverArrive(t *testing.T) {
	w := newWorld(t, baseRoutes)
	forged := []string{
		"X-Forwarded-User", "x-forwarded-user", "X_Forwarded_User", "X.Forwarded.User", "x-forwarded_user", "X-FORWARDED-GROUPS",
		"X_Forwarded_Groups", "X-Forwarded-Email", "Remote-User", "Remote_User", "X-Remote-User", "X-Auth-Request-User", "X-WEBAUTH-USER",
		"X-Amzn-Oidc-Data", "x_amzn_oidc_data", "X-Amzn-Oidc-Identity", "X-Amzn-Oidc-Accesstoken", "X-Goog-Iap-Jwt-Assertion",
		"Cf-Access-Jwt-Assertion", "X-Pomerium-Jwt-Assertion", "X-Real-Ip", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
		"X-Forwarded-Prefix", "X-Forwarded-Port", "Forwarded", "X-Original-Url", "X-Original-Uri", "X-Rewrite-Url", "True-Client-Ip",
		"X-Http-Method-Override", "Proxy", "X-Forwarded-Preferred-Username", "X-Gatehouse-Assertion",
	}
	for _, cookie := range []string{"", w.session("bob", "staff")} {
		for _, connection := range []string{"close", "close, X-Forwarded-User, X-Forwarded-Groups, Cookie", "X-Forwarded-For,close"} {
			path := "/public/x"
			if cookie != "" {
				path = "/x"
			}
			var b strings.Builder
			fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: %s\r\n", path, w.site.Host, connection)
			if cookie != "" {
				fmt.Fprintf(&b, "Cookie: a=1; %s; b=2\r\n", cookie)
			}
			for _, name := range forged {
				fmt.Fprintf(&b, "%s: forged\r\n", name)
			}
			b.WriteString("\r\n")
			before := w.app.hits.Load()
			answer := w.raw(b.String())
			if w.app.hits.Load() != before+1 {
				t.Fatalf("%s %q did not reach the application: %.60s", path, connection, answer)
			}
			w.wantUnforged(cookie != "", strings.Contains(connection, "Cookie"))
		}
	}
}

// wantUnforged looks at what arrived. A client that calls its Cookie
// hop-by-hop loses its own cookies, and nothing else.
func (w *world) wantUnforged(signedIn, noCookie bool) {
	w.t.Helper()
	got := w.app.got().Headers
	for name, values := range got {
		if slices.Contains(values, "forged") {
			w.t.Errorf("forged %s arrived: %q", name, values)
		}
	}
	want := map[string][]string{"X-Forwarded-User": nil, "X-Forwarded-Groups": nil}
	if signedIn {
		want = map[string][]string{"X-Forwarded-User": {"bob"}, "X-Forwarded-Groups": {"staff"}, "X-Forwarded-Email": {"bob@example.com"}, "Cookie": {"a=1; b=2"}}
	}
	if noCookie {
		want["Cookie"] = nil
	}
	want["X-Forwarded-Host"] = []string{w.site.Host}
	for name, values := range want {
		if !slices.Equal(got[name], values) {
			w.t.Errorf("%s = %q, want %q", name, got[name], values)
		}
	}
}

// raw sends bytes and returns the answer's.
func (w *world) raw(request string) string {
	w.t.Helper()
	c, err := net.Dial("tcp", w.server.Listener.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		w.t.Fatal(err)
	}
	answer, _ := io.ReadAll(bufio.NewReader(c))
	return string(answer)
}

func TestUsedCredentialsStayHere(t *testing.T) {
	w := newWorld(t, baseRoutes)
	w.status(200, "GET", "/api/x", "Authorization: Bearer scope:orders.read")
	if got := w.app.got().Headers.Get("Authorization"); got != "" {
		t.Errorf("Authorization arrived: %q", got)
	}
	w.status(200, "GET", "/public/x", "Authorization: Bearer of-the-application")
	if got := w.app.got().Headers.Get("Authorization"); got != "Bearer of-the-application" {
		t.Errorf("Authorization that is not ours = %q, want it untouched", got)
	}
}

func TestApplicationCannotSetOurCookies(t *testing.T) {
	w := newWorld(t, baseRoutes)
	w.app.answer = http.Header{"Set-Cookie": {
		w.site.CookieName() + "=planted; Path=/", "__Host-gatehouse=planted", w.site.AttemptPrefix() + "00000000=planted", "own=fine",
	}, "X-Request-Id": {"theirs"}}
	res := w.status(200, "GET", "/public/x")
	if got := res.Header["Set-Cookie"]; !slices.Equal(got, []string{"own=fine"}) {
		t.Errorf("Set-Cookie = %q, want the application's own alone", got)
	}
	if got := res.Header["X-Request-Id"]; len(got) != 1 || got[0] == "theirs" {
		t.Errorf("X-Request-Id = %q, want one of ours", got)
	}
}

func TestPersonalAnswersAreKeptFromSharedCaches(t *testing.T) {
	w := newWorld(t, baseRoutes)
	res := w.status(200, "GET", "/x", "Cookie: "+w.session("bob", "staff"))
	if got := res.Header.Get("Cache-Control"); !strings.Contains(got, "private") && !strings.Contains(got, "no-store") {
		t.Errorf("Cache-Control = %q, want private or no-store", got)
	}
	if got := strings.Join(res.Header["Vary"], ","); !strings.Contains(got, "Cookie") || !strings.Contains(got, "Authorization") {
		t.Errorf("Vary = %q, want Cookie and Authorization", got)
	}
}
