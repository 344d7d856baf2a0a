package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// house is a gateway whose people sign in at one of the three kinds of issuer.
type house struct {
	*gateway
	issuer string
	front  *front // nil when the provider is in the gateway's process
	ours   bool   // the issuer is gatehouse: it checks passwords and revokes
}

// kinds are the three kinds of issuer; each starts a house whose access tokens
// live for ttl.
var kinds = []struct {
	name  string
	start func(t *testing.T, ttl time.Duration) house
}{
	{"in process", startInProcess},
	{"over loopback", startOverLoopback},
	{"oidc-provider", startForeign},
}

func startInProcess(t *testing.T, ttl time.Duration) house {
	t.Helper()
	port, dir := freePort(t), t.TempDir()
	// Two hosts on one listener: the application's and the provider's.
	public, issuer := fmt.Sprintf("http://localhost:%d", port), fmt.Sprintf("http://127.0.0.1:%d", port)
	g := startServe(t, dir, public, file{
		public: public, dir: dir, upstream: application(t),
		parts: []string{provider(issuer, ttl)},
	}.String())
	return house{gateway: g, issuer: issuer, ours: true}
}

func startOverLoopback(t *testing.T, ttl time.Duration) house {
	t.Helper()
	public := fmt.Sprintf("http://localhost:%d", freePort(t))
	port, dir := freePort(t), t.TempDir()
	f := startFront(t, port)
	own := fmt.Sprintf("http://localhost:%d", port)
	startServe(t, dir, own, file{
		public: own, dir: dir, upstream: application(t),
		parts: []string{provider(f.url, usualTTL, public+"/oauth2/idpresponse", public+"/_gatehouse/sign-out")},
	}.String())
	// A client's tokens live five minutes at least; the gateway believes what
	// it is told of them.
	f.lifetime.Store(int64(ttl))
	g := startGatewayFor(t, public, relyOn(f.url, remoteClient, remoteSecret,
		"cognito:groups", "cognito:username", "openid", "email", "profile"))
	return house{gateway: g, issuer: f.url, front: f, ours: true}
}

func startForeign(t *testing.T, ttl time.Duration) house {
	t.Helper()
	public := fmt.Sprintf("http://localhost:%d", freePort(t))
	port := freePort(t)
	f := startFront(t, port)
	goodbye, _ := json.Marshal([]string{public + "/_gatehouse/sign-out"})
	p := startProcess(t, "oidc-provider", pairs([]string{
		"ISSUER", f.url, "PORT", fmt.Sprint(port), "CLIENT_ID", remoteClient, "CLIENT_SECRET", remoteSecret,
		"REDIRECT_URI", public + "/oauth2/idpresponse", "SIGN_OUT_URIS", string(goodbye),
		"ACCESS_TTL", fmt.Sprint(int(ttl.Seconds())),
	}), node(t), "node/foreign-issuer.mjs")
	if err := waitFor(p, f.url+"/.well-known/openid-configuration"); err != nil {
		t.Fatal(err)
	}
	g := startGatewayFor(t, public, relyOn(f.url, remoteClient, remoteSecret,
		"groups", "preferred_username", "openid", "email", "profile", "groups"))
	return house{gateway: g, issuer: f.url, front: f}
}

func startGatewayFor(t *testing.T, public, login string) *gateway {
	t.Helper()
	dir := t.TempDir()
	return startServe(t, dir, public, file{public: public, dir: dir, upstream: application(t), parts: []string{login}}.String())
}

func TestLogin(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.name, func(t *testing.T) {
			h := kind.start(t, usualTTL)
			t.Run("returns with the query", h.returnsWithTheQuery)
			t.Run("groups decide", h.groupsDecide)
			t.Run("many at once, never crossed", h.manyAtOnce)
			t.Run("a callback works once and in its own browser", h.callbackIsBound)
			t.Run("errors of the issuer are told", h.issuerErrors)
			t.Run("sign-out ends it", h.signOutEndsIt)
			t.Run("the provider's session signs in silently", h.silentSecondTime)
		})
	}
}

func (h house) returnsWithTheQuery(t *testing.T) {
	target := "/deep/path?x=1&y=a%2Fb;z"
	v := newVisitor(t, h.url)
	page := v.open(target)
	if !strings.HasPrefix(page.url.String(), h.issuer) {
		t.Fatalf("%s without a session leads to %s, want the issuer %s", target, page.url, h.issuer)
	}
	if end := v.submit(v.fill(page, "alice", demoPassword)); end.status != http.StatusOK || end.url.String() != h.url+target {
		t.Errorf("sign-in ends with %d at %s\n%s\n%s", end.status, end.url, strings.Join(end.hops, "\n"), end.body)
	}
	s := v.fetch("/headers").seen(t)
	for name, want := range map[string]string{"X-Forwarded-User": "alice", "X-Forwarded-Email": "alice@example.com", "X-Forwarded-Groups": "admins"} {
		if got := s.Headers[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s = %q, want %s", name, got, want)
		}
	}
	if status, who := v.me(); status != http.StatusOK || !holds(who, "alice") {
		t.Errorf("me.json = %d %v, want alice", status, who)
	}
}

func (h house) groupsDecide(t *testing.T) {
	for name, want := range map[string]int{"alice": http.StatusOK, "bob": http.StatusForbidden} {
		if a := newVisitor(t, h.url).signIn(name, demoPassword, "/admin/"); a.status != want {
			t.Errorf("%s at /admin/ = %d, want %d", name, a.status, want)
		}
	}
}

// manyAtOnce interleaves sign-ins of two people, each in many browsers.
func (h house) manyAtOnce(t *testing.T) {
	var all sync.WaitGroup
	for n := range 12 {
		name := []string{"alice", "bob"}[n%2]
		v := newVisitor(t, h.url)
		all.Go(func() {
			target := fmt.Sprintf("/n/%d?n=%d", n, n)
			page, err := v.walk(target)
			if err != nil {
				t.Errorf("%s: %v", target, err)
				return
			}
			f, err := page.form()
			if err != nil {
				t.Errorf("%s: %v at %s", target, err, page.url)
				return
			}
			f.values.Set(f.name, name)
			f.values.Set(f.password, demoPassword)
			end := v.submit(f)
			if end.url.String() != h.url+target || !strings.Contains(end.body, name+"@example.com") {
				t.Errorf("%s for %s ends with %d at %s", target, name, end.status, end.url)
			}
		})
	}
	all.Wait()
}

// walk is open for goroutines, which may not end the test.
func (v *visitor) walk(target string) (*answer, error) {
	for range 20 {
		a, err := v.try(http.MethodGet, target, nil, navigation...)
		if err != nil || a.header.Get("Location") == "" {
			return a, err
		}
		next, err := a.url.Parse(a.header.Get("Location"))
		if err != nil {
			return nil, err
		}
		target = next.String()
	}
	return nil, fmt.Errorf("more than 20 redirects")
}

// callback signs in as user up to the redirect to the gateway, and returns
// that redirect's target without following it.
func (h house) callback(t *testing.T, v *visitor, user string) string {
	t.Helper()
	a := v.post(v.fill(v.open("/back?to=me"), user, demoPassword))
	for range 10 {
		next, err := a.url.Parse(a.header.Get("Location"))
		if err != nil || a.header.Get("Location") == "" {
			t.Fatalf("the issuer does not redirect: %d at %s\n%s", a.status, a.url, a.body)
		}
		if strings.HasPrefix(next.String(), h.url+"/oauth2/idpresponse") {
			return next.String()
		}
		a = v.step(next.String())
	}
	t.Fatal("the issuer never redirects to the gateway")
	return ""
}

func (h house) callbackIsBound(t *testing.T) {
	v, eve := newVisitor(t, h.url), newVisitor(t, h.url)
	back := h.callback(t, v, "alice")
	eve.open(back)
	if status, who := eve.me(); status == http.StatusOK {
		t.Fatalf("alice's callback signs another browser in: %v", who)
	}
	for name, change := range map[string][2]string{
		"other state": {"state=", "state=x"},
		"no state":    {"state=", "stale="},
		"other code":  {"code=", "code=x"},
		"no code":     {"code=", "node="},
		"other iss":   {"iss=", "iss=https%3A%2F%2Fevil.example%2F&was="},
	} {
		w := newVisitor(t, h.url)
		own := h.callback(t, w, "alice")
		changed := strings.Replace(own, change[0], change[1], 1)
		if changed == own {
			continue // an issuer that does not send iss
		}
		if a := w.step(changed); w.session() != "" {
			t.Errorf("callback with %s signs in: %d", name, a.status)
		}
	}
	w := newVisitor(t, h.url)
	own := h.callback(t, w, "alice")
	if a := w.step(own); a.status != http.StatusFound && a.status != http.StatusSeeOther || w.session() == "" {
		t.Fatalf("the callback = %d, want the redirect to the page: the cases above show nothing\n%s", a.status, a.body)
	}
	calls := int64(0)
	if h.front != nil {
		calls = h.front.codes.Load()
	}
	w.step(own)
	if h.front != nil && h.front.codes.Load() != calls {
		t.Error("the second use of a callback asks the issuer again")
	}
}

func (h house) issuerErrors(t *testing.T) {
	v := newVisitor(t, h.url)
	start := v.step("/x")
	to, err := start.url.Parse(start.header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	state := to.Query().Get("state")
	a := v.step("/oauth2/idpresponse?error=access_denied&error_description=%3Cscript%3Ealert(1)%3C/script%3E&state=" + state)
	if a.status < 400 || a.status > 499 && a.status != http.StatusBadGateway || a.contains("<script>alert") {
		t.Errorf("an error of the issuer is answered %d\n%s", a.status, a.body)
	}
	if v.session() != "" {
		t.Error("an error of the issuer signs in")
	}
}

func (h house) signOutEndsIt(t *testing.T) {
	v := newVisitor(t, h.url)
	v.signIn("bob", demoPassword, "/")
	copied := v.session()
	if !passes(t, h.url, copied) {
		t.Fatal("bob's cookie opens nothing")
	}
	end := v.signOut()
	if passes(t, h.url, copied) {
		t.Error("a cookie copied before sign-out opens the application after it")
	}
	if !strings.HasPrefix(end.url.String(), h.url+"/") {
		t.Errorf("sign-out ends at %s, want the gateway's own page\n%s", end.url, strings.Join(end.hops, "\n"))
	}
	if h.front != nil && h.ours {
		h.refreshTokenIsDead(t)
	}
	if a := v.open("/"); a.url.String() == h.url+"/" && a.status == http.StatusOK {
		t.Errorf("bob is in again without a password: %v", a.hops)
	}
}

// refreshTokenIsDead tries the last refresh token as a thief of the gateway's
// secrets would.
func (h house) refreshTokenIsDead(t *testing.T) {
	t.Helper()
	token, _ := h.front.refresh.Load().(string)
	if token == "" {
		t.Fatal("the issuer gave no refresh token")
	}
	v := &visitor{t: t, client: plain}
	a := v.do(http.MethodPost, h.endpoint(t, "token_endpoint"), strings.NewReader(url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {token}, "client_id": {remoteClient}, "client_secret": {remoteSecret},
	}.Encode()), "Content-Type", "application/x-www-form-urlencoded")
	if a.status != http.StatusBadRequest || !a.contains("invalid_grant") {
		t.Errorf("the refresh token after sign-out: %d %s, want invalid_grant", a.status, a.body)
	}
}

// silentSecondTime drops the gateway's cookie only: the issuer still knows.
func (h house) silentSecondTime(t *testing.T) {
	v := newVisitor(t, h.url)
	v.signIn("bob", demoPassword, "/")
	a := v.do(http.MethodGet, "/again?x=1", nil, navigation...)
	if a.status != http.StatusOK {
		t.Fatalf("bob's second page = %d", a.status)
	}
	v.forget()
	if a := v.open("/again?x=1"); a.status != http.StatusOK || a.url.String() != h.url+"/again?x=1" {
		t.Errorf("with the issuer's session alone, bob ends with %d at %s", a.status, a.url)
	}
}
