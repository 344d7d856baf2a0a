package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

func TestPublicPagesAreOpen(t *testing.T) {
	d := sharedDemo(t)
	for _, path := range []string{"/public/", "/public", "/public/a/b", "/healthz"} {
		if a := newVisitor(t, d.url).open(path); a.status != http.StatusOK || len(a.hops) != 1 {
			t.Errorf("GET %s = %d after %v, want 200 at once", path, a.status, a.hops)
		}
	}
	if a := ask(t, http.MethodGet, d.url+"/public/hello"); a.status != http.StatusOK || !a.contains("A public page") {
		t.Errorf("GET /public/hello = %d, want 200 from the application", a.status)
	}
}

func TestNavigationGoesThroughSignInAndComesBackWithItsQuery(t *testing.T) {
	d := sharedDemo(t)
	for _, target := range []string{"/", "/?q=a%20b&r=%2Fx&&s", "/deep/er/path?x=1;y=2", "/caf%C3%A9?z=%e2%82%ac"} {
		v := newVisitor(t, d.url)
		first := v.step(target)
		if first.status != http.StatusFound {
			t.Fatalf("GET %s without a session = %d, want 302", target, first.status)
		}
		if got := first.header.Get("Cache-Control"); !strings.Contains(got, "no-store") {
			t.Errorf("redirect to sign-in has Cache-Control %q, want no-store", got)
		}
		end := v.signIn("alice", demoPassword, target)
		if end.status != http.StatusOK || end.url.String() != d.url+target {
			t.Errorf("sign-in for %s ends with %d at %s\n%s", target, end.status, end.url, strings.Join(end.hops, "\n"))
		}
	}
}

func TestPeopleSignInByUsernameOrEmail(t *testing.T) {
	d := sharedDemo(t)
	for _, name := range []string{"bob", "bob@example.com", "BOB@example.com"} {
		v := newVisitor(t, d.url)
		v.signIn(name, demoPassword, "/")
		if status, who := v.me(); status != http.StatusOK || !holds(who, "bob") {
			t.Errorf("signed in as %s: me.json = %d %v, want bob", name, status, who)
		}
	}
}

func holds(who map[string]any, text string) bool {
	raw, _ := json.Marshal(who)
	return strings.Contains(string(raw), `"`+text+`"`)
}

func TestGroupsDecideWhoReachesAdmin(t *testing.T) {
	d := sharedDemo(t)
	alice := newVisitor(t, d.url)
	if a := alice.signIn("alice", demoPassword, "/admin/"); a.status != http.StatusOK || !a.contains("administrators") {
		t.Errorf("alice at /admin/ = %d, want the application's page\n%s", a.status, a.body)
	}
	for _, name := range []string{"bob", "carol"} {
		v := newVisitor(t, d.url)
		for _, path := range []string{"/admin/", "/admin", "/admin/users?x=1", "//admin/", "/admin/./x"} {
			a := v.open(path)
			if _, err := a.form(); err == nil && a.status != http.StatusForbidden {
				a = v.submit(v.fill(a, name, demoPassword))
			}
			refused := a.status == http.StatusForbidden || a.status == http.StatusBadRequest
			if !refused || a.contains("administrators&#39; page") {
				t.Errorf("%s at %s = %d, want 403\n%s", name, path, a.status, a.body)
			}
		}
		a := v.open("/admin/")
		if !requestID.MatchString(a.body + a.header.Get("X-Request-Id")) {
			t.Errorf("403 page names no request id:\n%s", a.body)
		}
		if a.contains("admins") {
			t.Errorf("403 page names the group that is asked for:\n%s", a.body)
		}
		if v.open("/administrator").status != http.StatusOK {
			t.Errorf("%s may not open /administrator, which is no part of /admin/**", name)
		}
	}
}

// requestID is any long enough token that can be quoted to the operator.
var requestID = regexp.MustCompile(`[0-9A-Za-z_-]{12,}`)

func TestFetchGets401WithTheWayToSignIn(t *testing.T) {
	d := sharedDemo(t)
	v := newVisitor(t, d.url)
	for name, a := range map[string]*answer{
		"fetch":  v.fetch("/headers"),
		"curl":   ask(t, http.MethodGet, d.url+"/headers", "Accept", "*/*"),
		"POST":   v.do(http.MethodPost, "/headers", nil, fetching...),
		"orders": v.fetch("/api/orders/7"),
	} {
		if a.status != http.StatusUnauthorized || a.header.Get("Location") != "" {
			t.Errorf("%s: %d with Location %q, want 401 without one", name, a.status, a.header.Get("Location"))
			continue
		}
		if got := a.header.Get("Content-Type"); !strings.HasPrefix(got, "application/problem+json") {
			t.Errorf("%s: Content-Type %q, want application/problem+json", name, got)
		}
		if a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s: 401 without WWW-Authenticate (RFC 9110 §15.5.2)", name)
		}
		var problem struct {
			Status    int    `json:"status"`
			LoginURL  string `json:"login_url"`
			RequestID string `json:"request_id"`
		}
		if err := json.Unmarshal([]byte(a.body), &problem); err != nil || problem.Status != 401 {
			t.Errorf("%s: body %q: %v", name, a.body, err)
		}
		u, err := url.Parse(problem.LoginURL)
		if err != nil || problem.LoginURL == "" || !strings.HasPrefix(u.Path, "/_gatehouse/sign-in") {
			t.Errorf("%s: login_url = %q, want one below /_gatehouse/sign-in", name, problem.LoginURL)
		}
		if problem.RequestID == "" {
			t.Errorf("%s: problem has no request_id", name)
		}
	}
}

func TestPostedFormGetsAPageNotARedirect(t *testing.T) {
	d := sharedDemo(t)
	a := newVisitor(t, d.url).do(http.MethodPost, "/form", strings.NewReader("a=1"),
		append([]string{"Content-Type", "application/x-www-form-urlencoded"}, navigation...)...)
	if a.status != http.StatusUnauthorized || a.header.Get("Location") != "" || !a.contains("/_gatehouse/sign-in") {
		t.Errorf("POST of a form without a session = %d with Location %q, want a 401 page with a way to sign in\n%s",
			a.status, a.header.Get("Location"), a.body)
	}
}

func TestApplicationIsToldWhoAsks(t *testing.T) {
	d := sharedDemo(t)
	v := newVisitor(t, d.url)
	v.signIn("alice", demoPassword, "/")
	s := v.fetch("/headers?a=1;b=%zz").seen(t)
	want := map[string]string{
		"X-Forwarded-User":               "alice",
		"X-Forwarded-Preferred-Username": "alice",
		"X-Forwarded-Email":              "alice@example.com",
		"X-Forwarded-Groups":             "admins",
		"X-Forwarded-Host":               strings.TrimPrefix(d.url, "http://"),
		"X-Forwarded-Proto":              "http",
		"X-Forwarded-For":                "127.0.0.1",
	}
	for name, value := range want {
		if got := s.Headers[name]; len(got) != 1 || got[0] != value {
			t.Errorf("%s = %q, want %q once", name, got, value)
		}
	}
	if s.Query != "a=1;b=%zz" {
		t.Errorf("query = %q, want it untouched", s.Query)
	}
	if "http://"+s.Host != d.url {
		t.Errorf("host = %q, want the one of %s", s.Host, d.url)
	}
	if got := strings.Join(s.Headers["Cookie"], "; "); strings.Contains(got, "gatehouse") {
		t.Errorf("the application sees our cookies: %q", got)
	}
}

func TestOwnPathsNeverReachTheApplication(t *testing.T) {
	d := sharedDemo(t)
	v := newVisitor(t, d.url)
	v.signIn("alice", demoPassword, "/")
	for _, path := range []string{"/_gatehouse/nothing", "/_gatehouse/", "/_gatehouse", "//_gatehouse/nothing", "/_gatehouse/x/../y"} {
		a := v.open(path)
		if a.contains("demo application") {
			t.Errorf("GET %s reaches the application (%d)", path, a.status)
		}
		if a.status != http.StatusNotFound && a.status != http.StatusBadRequest {
			t.Errorf("GET %s = %d, want our 404", path, a.status)
		}
	}
}

func TestUnknownHostIsClosed(t *testing.T) {
	d := sharedDemo(t)
	for _, host := range []string{"evil.example", "localhost", "localhost:1", "localhost.evil.example"} {
		a := rawAsk(t, d.port, "GET /public/ HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
		if a.status < 400 || a.status > 499 || a.contains("public page") {
			t.Errorf("Host %s: %d, want a refusal", host, a.status)
		}
	}
}
