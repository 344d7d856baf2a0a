package login

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/session"
)

// world is a gateway with one issuer.
type world struct {
	t      *testing.T
	issuer *issuer
	login  *Login
	cookie *session.Cookies
	feed   *session.Feed
	site   session.Site
	logs   *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func siteOf(t testing.TB, address string) session.Site {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	s, err := session.NewSite(u)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// own and foreign are the issuer as the embedded provider and as another one.
func own(i *issuer) *Provider { return Own(i.url, clientID, clientSecret) }

func foreign(i *issuer) *Provider {
	return &Provider{Issuer: i.url, ClientID: clientID, ClientSecret: clientSecret}
}

func newWorld(t *testing.T, kind func(*issuer) *Provider) *world {
	t.Helper()
	i := newIssuer(t)
	return newWorldOf(t, i, Config{Providers: map[string]*Provider{"main": kind(i)}})
}

func newWorldOf(t *testing.T, i *issuer, cfg Config) *world {
	t.Helper()
	feed, err := session.NewFeed(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var limits session.Config
	limits.Defaults()
	key := session.CookieKey{Hash: bytes.Repeat([]byte{1}, 64), Block: bytes.Repeat([]byte{2}, 32)}
	cookies, err := session.NewCookies(limits, []session.CookieKey{key}, session.Options{Boot: feed.Boot()})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, issuer: i, cookie: cookies, feed: feed, site: siteOf(t, "https://app.example.com"), logs: &syncBuffer{}}
	w.login, err = New(cfg, Parts{
		Cookies: cookies, Feed: feed, Log: slog.New(slog.NewTextHandler(w.logs, nil)),
		ClientFor: i.client,
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// browser keeps cookies as browsers do.
type browser struct {
	w    *world
	site session.Site
	mu   sync.Mutex
	jar  map[string]string
}

func (w *world) browser() *browser { return &browser{w: w, site: w.site, jar: map[string]string{}} }

func (b *browser) take(cookies []*http.Cookie) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range cookies {
		if c.MaxAge < 0 {
			delete(b.jar, c.Name)
		} else {
			b.jar[c.Name] = c.Value
		}
	}
}

func (b *browser) request(target string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, value := range b.jar {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return r
}

func (b *browser) begin(returnTo string) string {
	b.w.t.Helper()
	to, err := b.w.login.Begin(b.w.t.Context(), b.site, b.request("/"), returnTo)
	if err != nil {
		b.w.t.Fatal(err)
	}
	b.take(to.Cookies)
	return to.URL
}

func (b *browser) callback(q url.Values) (Result, error) {
	result, err := b.w.login.Callback(b.w.t.Context(), b.site, b.request(CallbackPath+"?"+q.Encode()))
	b.take(result.Cookies)
	return result, err
}

func (b *browser) signIn(user, returnTo string) Result {
	b.w.t.Helper()
	result, err := b.callback(b.w.issuer.approve(b.begin(returnTo), user))
	if err != nil {
		b.w.t.Fatalf("sign in %s: %v", user, err)
	}
	return result
}

// session returns what the browser's cookie says, nil when that is nothing or
// was revoked.
func (b *browser) session() *session.Session {
	s, state := b.w.cookie.Open(b.site, b.request("/"))
	if state != session.Valid || b.w.feed.Revoked(s.Identity()) {
		return nil
	}
	return s
}

func (b *browser) attempts() (n int) {
	for name := range b.jar {
		if strings.HasPrefix(name, b.site.AttemptPrefix()) {
			n++
		}
	}
	return n
}

func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("%s: %v, want %s", what, err, code)
		return
	}
	if e.Status < 400 || e.Text == "" {
		t.Errorf("%s: status %d, text %q", what, e.Status, e.Text)
	}
}

func TestSignIn(t *testing.T) {
	w := newWorld(t, own)
	b := w.browser()
	result := b.signIn("alice", "/orders?page=2&q=a%20b")
	if result.Location != "/orders?page=2&q=a%20b" {
		t.Errorf("returned to %s", result.Location)
	}
	s := b.session()
	if s == nil {
		t.Fatal("not signed in")
	}
	id := s.Identity()
	if id.Issuer != w.issuer.url || id.Subject != "id-of-alice" || id.Username != "alice" || id.Email != "alice@example.com" || !id.EmailVerified ||
		!slices.Equal(id.Groups, []string{"staff"}) || !slices.Equal(id.Scopes, []string{"openid", "email"}) || !id.Person || !id.Listed ||
		id.IssuerSID != "sid-alice" || id.OriginJTI != "family-alice" || id.AuthTime.IsZero() || id.AccessToken != "" || id.Name != "ALICE" {
		t.Errorf("%+v", id)
	}
	for _, name := range protocol {
		if _, kept := id.Claims[name]; kept {
			t.Errorf("claim %s is kept", name)
		}
	}
	if s.RefreshToken == "" || s.IDToken != "" || s.AccessExpires.IsZero() {
		t.Errorf("%+v", s)
	}
	if b.attempts() != 0 || w.issuer.calls() != 1 {
		t.Errorf("%d attempts left, %d token calls", b.attempts(), w.issuer.calls())
	}
	if logs := w.logs.String(); strings.Contains(logs, s.RefreshToken) || strings.Contains(logs, clientSecret) {
		t.Error("a secret is in the log")
	}
}

func TestAttemptCookie(t *testing.T) {
	w := newWorld(t, own)
	to, err := w.login.Begin(t.Context(), w.site, w.browser().request("/"), "/"+strings.Repeat("x", 2047))
	if err != nil || len(to.Cookies) != 1 {
		t.Fatalf("%v, %v", to.Cookies, err)
	}
	c := to.Cookies[0]
	if !strings.HasPrefix(c.Name, "__Host-gatehouse-login-") || len(c.Name) != len("__Host-gatehouse-login-")+8 || !c.HttpOnly || !c.Secure ||
		c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || len(c.Name)+len(c.Value) > 4096 {
		t.Errorf("%d bytes: %+v", len(c.Name)+len(c.Value), c)
	}
}

func TestReturnPath(t *testing.T) { // T110, T111, T115
	for _, s := range []string{
		"", "x", "//evil.test", "///evil.test", "/\\evil.test", "\\\\evil.test", "/\\/evil.test", "https://evil.test", "HTTPS:evil.test", "//app.example.com/",
		"https://app.example.com/x", "javascript:alert(1)", "data:text/html,x", "/\t/evil.test", "/\n/evil.test", "/\v/evil.test", "/\r/evil.test", "/\x00/evil",
		"/%09/evil.test", "/%0a/evil.test", "/%0b/evil", "/%0d/evil.test", "/%0D%0ASet-Cookie:x", "/%5cevil.test", "/%5Cevil.test", "/%255cevil.test",
		"/%2f/evil.test", "/%2fevil.test", "/%252fevil.test", "/./\\evil.test", "/.//evil.test", "/./../../\\evil.test", "/..//evil.test", "/../evil", "/a/../..//evil",
		"/%2e%2e/evil", "/%2e/%2e//evil", "/a/%2e%2e%2f%2fevil", "/.", "/..", "/a//b", "/a/..;/evil", "/a/;/..;x/evil", " /x", "/ x", "/x#frag", "/ä", "/\u2028", "/x?\r\nLocation: //evil",
		"/x?a=b#//evil", "/%", "/%zz", "/%e", CallbackPath, CallbackPath + "?code=x", SignInPath, SignedOutPath, "/%5fgatehouse/sign-in", "/_GATEHOUSE/sign-out/", "?x=//evil", "/" + strings.Repeat("x", 2048),
		"/\x7f", "/x\u00a0", "@evil.test", "/\u3000/evil.test", "http:/\\evil", "/\\\\evil", "/%00", "/%25%35%63evil", "*",
	} {
		if got := ReturnPath(s); got != "/" {
			t.Errorf("ReturnPath(%q) = %q, want /", s, got)
		}
	}
	for _, s := range []string{
		"/", "/a", "/a/", "/a/b.html?x=1&y=%2F%2Fevil", "/?rd=https://evil.test/", "/a%20b", "/%C3%A4", "/a;v=1", "/..a/b..", "/x?a\\b", "/x?", "/a:b@c", "/_gatehouse/me", "/~x/!$&'()*+,=",
		"/" + strings.Repeat("x", 2047),
	} {
		if got := ReturnPath(s); got != s {
			t.Errorf("ReturnPath(%.60q) = %.60q", s, got)
		}
	}
}

func FuzzReturnPath(f *testing.F) {
	f.Add("/%2f\\evil?x#y")
	f.Fuzz(func(t *testing.T, s string) {
		got := ReturnPath(s)
		base, _ := url.Parse("https://app.example.com/dir/page")
		u, err := base.Parse(got)
		if err != nil || u.Host != "app.example.com" || u.Scheme != "https" || strings.ContainsAny(got, "\r\n\t ") {
			t.Errorf("%q leads to %v", s, u)
		}
	})
}

func TestTenTabsAtOnce(t *testing.T) {
	w := newWorld(t, own)
	b := w.browser()
	var addresses []string
	for i := range 10 {
		addresses = append(addresses, b.begin(fmt.Sprintf("/tab/%d", i)))
	}
	slices.Reverse(addresses)
	for i, address := range addresses {
		result, err := b.callback(w.issuer.approve(address, "alice"))
		if want := fmt.Sprintf("/tab/%d", 9-i); err != nil || result.Location != want {
			t.Fatalf("%s: %+v, %v", want, result, err)
		}
	}
	if b.attempts() != 0 || b.session() == nil {
		t.Errorf("%d attempts left", b.attempts())
	}
}

func TestOldAttemptsGiveWay(t *testing.T) { // S29
	w := newWorld(t, own)
	b := w.browser()
	first := b.begin("/first")
	time.Sleep(2 * time.Millisecond)
	b.jar[w.site.AttemptPrefix()+"junk"] = "junk"
	for range 25 {
		b.begin("/x")
		time.Sleep(time.Millisecond)
	}
	if n := b.attempts(); n != maxAttempts {
		t.Errorf("%d attempts kept", n)
	}
	_, err := b.callback(w.issuer.approve(first, "alice"))
	wantCode(t, "the oldest of many", err, CodeUnknown)
	if _, err := b.callback(w.issuer.approve(b.begin("/"), "alice")); err != nil {
		t.Error(err)
	}
}

func TestStateIsBoundToTheBrowser(t *testing.T) {
	w := newWorld(t, own)
	alice, eve := w.browser(), w.browser()
	answer := w.issuer.approve(eve.begin("/"), "eve")
	alice.begin("/")
	_, err := alice.callback(answer) // login CSRF
	wantCode(t, "another browser's answer", err, CodeUnknown)

	address := alice.begin("/")
	good := w.issuer.approve(address, "alice")
	state := good.Get("state")
	for what, q := range map[string]url.Values{
		"no state":      {"code": good["code"], "iss": good["iss"]},
		"empty state":   {"code": good["code"], "iss": good["iss"], "state": {""}},
		"cut state":     {"code": good["code"], "iss": good["iss"], "state": {state[:len(state)-1]}},
		"other secret":  {"code": good["code"], "iss": good["iss"], "state": {state[:9] + strings.Repeat("A", 22)}},
		"only the name": {"code": good["code"], "iss": good["iss"], "state": {state[:8]}},
		"path in state": {"code": good["code"], "iss": good["iss"], "state": {"../../x"}},
	} {
		_, err := alice.callback(q)
		wantCode(t, what, err, CodeUnknown)
	}
	for _, name := range []string{"state", "code", "iss", "error"} {
		q := url.Values{"code": good["code"], "iss": good["iss"], "state": good["state"]}
		q[name] = append(slices.Clone(q[name]), "x", "y")
		_, err := alice.callback(q)
		wantCode(t, "doubled "+name, err, CodeRequest)
	}
	if w.issuer.calls() != 0 {
		t.Errorf("%d token calls", w.issuer.calls())
	}
	// The cookie of the attempt twice, or of another host.
	name := w.site.AttemptPrefix() + state[:8]
	r := alice.request(CallbackPath + "?" + good.Encode())
	r.AddCookie(&http.Cookie{Name: name, Value: alice.jar[name]})
	_, err = w.login.Callback(t.Context(), w.site, r)
	wantCode(t, "attempt twice", err, CodeUnknown)
	_, err = w.login.Callback(t.Context(), siteOf(t, "https://other.example.com"), alice.request(CallbackPath+"?"+good.Encode()))
	wantCode(t, "another host", err, CodeUnknown)
	if _, err := alice.callback(good); err != nil {
		t.Errorf("the good answer: %v", err)
	}
}

func TestCallbackTwice(t *testing.T) { // T132
	w := newWorld(t, own)
	b := w.browser()
	answer := w.issuer.approve(b.begin("/page"), "alice")
	before := b.request(CallbackPath + "?" + answer.Encode())
	if _, err := b.callback(answer); err != nil {
		t.Fatal(err)
	}
	// Reload: the attempt's cookie is gone, the person is signed in.
	result, err := b.callback(answer)
	if err != nil || result.Session != nil || result.Location != "/" {
		t.Errorf("reload: %+v, %v", result, err)
	}
	// The attempt's cookie was copied before.
	_, err = w.login.Callback(t.Context(), w.site, before)
	wantCode(t, "copied attempt", err, CodeUsed)
	if n := w.issuer.calls(); n != 1 {
		t.Errorf("%d token calls, want 1", n)
	}
}

func TestCallbackTwiceAtTheSameMoment(t *testing.T) {
	w := newWorld(t, own)
	b := w.browser()
	answer := w.issuer.approve(b.begin("/page"), "alice")
	w.issuer.with(func() { w.issuer.delay = 200 * time.Millisecond })
	r := b.request(CallbackPath + "?" + answer.Encode())
	results := make([]Result, 5)
	var group sync.WaitGroup
	for i := range results {
		group.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i == 0 {
				// The browser drops its first request when it sends the second.
				time.AfterFunc(100*time.Millisecond, cancel)
			} else {
				time.Sleep(50 * time.Millisecond)
			}
			var err error
			if results[i], err = w.login.Callback(ctx, w.site, r); err != nil && i > 0 {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, result := range results[1:] {
		if result.Location != "/page" || result.Session == nil {
			t.Errorf("%+v", result)
		}
	}
	if n := w.issuer.calls(); n != 1 {
		t.Errorf("%d token calls, want 1", n)
	}
}

func TestInterleavedSignInsAreNeverCrossed(t *testing.T) { // T135
	w := newWorld(t, own)
	var group sync.WaitGroup
	for n := range 8 {
		group.Go(func() {
			alice, eve := w.browser(), w.browser()
			for i := range 15 {
				page := fmt.Sprintf("/%d/%d", n, i)
				a, e := alice.begin(page+"/alice"), eve.begin(page+"/eve")
				ra, err1 := alice.callback(w.issuer.approve(a, "alice"))
				re, err2 := eve.callback(w.issuer.approve(e, "eve"))
				if err1 != nil || err2 != nil || ra.Location != page+"/alice" || re.Location != page+"/eve" ||
					alice.session().Username != "alice" || eve.session().Username != "eve" {
					t.Errorf("crossed: %v %v %+v %+v", err1, err2, ra, re)
				}
			}
		})
	}
	group.Wait()
}

func TestNewSessionAtEachSignIn(t *testing.T) { // T130
	w := newWorld(t, own)
	victim, eve := w.browser(), w.browser()
	eve.signIn("eve", "/")
	planted := eve.session()
	for name, value := range eve.jar {
		victim.jar[name] = value
	}
	victim.signIn("alice", "/")
	if s := victim.session(); s == nil || s.Username != "alice" || s.ID == planted.ID {
		t.Fatalf("session %+v", s)
	}
	if eve.session() != nil {
		t.Error("the planted session lives on")
	}
	// The same person's other tab keeps its own until sign-out.
	again := w.browser()
	for name, value := range victim.jar {
		again.jar[name] = value
	}
	first := victim.session()
	again.signIn("alice", "/")
	if again.session().ID == first.ID || victim.session() == nil {
		t.Error("a second tab of the same sign-in lost its session")
	}
	if _, err := w.login.SignOut(t.Context(), w.site, again.session()); err != nil {
		t.Fatal(err)
	}
	if victim.session() != nil || again.session() != nil {
		t.Error("a session of the same sign-in survived signing out")
	}
	// A planted value that is no session is replaced, all parts of it.
	junk := w.browser()
	junk.jar["__Host-gatehouse"], junk.jar["__Host-gatehouse-2"] = "junk", "junk"
	junk.signIn("bob", "/")
	if junk.session() == nil || len(junk.jar) != 1 {
		t.Errorf("jar %v", junk.jar)
	}
}

func TestIDTokenIsVerified(t *testing.T) { // T133
	for what, mutate := range map[string]func(c map[string]any){
		"no nonce":            func(c map[string]any) { c["nonce"] = nil },
		"empty nonce":         func(c map[string]any) { c["nonce"] = "" },
		"other nonce":         func(c map[string]any) { c["nonce"] = "x" },
		"other at_hash":       func(c map[string]any) { c["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" },
		"empty at_hash":       func(c map[string]any) { c["at_hash"] = "" },
		"at_hash of a number": func(c map[string]any) { c["at_hash"] = 7 },
		"other issuer":        func(c map[string]any) { c["iss"] = "https://evil.test" },
		"issuer with a slash": func(c map[string]any) { c["iss"] = c["iss"].(string) + "/" },
		"other audience":      func(c map[string]any) { c["aud"] = "other" },
		"several audiences":   func(c map[string]any) { c["aud"] = []string{clientID, "other"} },
		"other azp":           func(c map[string]any) { c["azp"] = "other" },
		"expired":             func(c map[string]any) { c["exp"] = time.Now().Unix() - 10 },
		"no exp":              func(c map[string]any) { c["exp"] = nil },
		"no iat":              func(c map[string]any) { c["iat"] = nil },
		"future iat":          func(c map[string]any) { c["iat"] = time.Now().Unix() + 300 },
		"no sub":              func(c map[string]any) { c["sub"] = nil },
		"empty sub":           func(c map[string]any) { c["sub"] = "" },
		"access token":        func(c map[string]any) { c["token_use"] = "access" },
	} {
		w := newWorld(t, own)
		w.issuer.mutate = mutate
		b := w.browser()
		_, err := b.callback(w.issuer.approve(b.begin("/"), "alice"))
		wantCode(t, what, err, CodeToken)
		if b.session() != nil || b.attempts() != 0 {
			t.Errorf("%s: signed in, or the attempt stays", what)
		}
	}
	w := newWorld(t, own)
	w.issuer.mutate = func(c map[string]any) { c["aud"], c["azp"], c["at_hash"] = []string{clientID, "other"}, clientID, nil }
	w.browser().signIn("alice", "/")
}

func TestIDTokenOfAnotherKey(t *testing.T) {
	w := newWorld(t, own)
	b := w.browser()
	b.signIn("alice", "/")
	w.issuer.rotate("k2") // a new key is found
	b.signIn("alice", "/")
	old := w.issuer.key
	w.issuer.rotate("k3")
	w.issuer.with(func() { w.issuer.signer = old })
	w = newWorldOf(t, w.issuer, Config{Providers: map[string]*Provider{"main": own(w.issuer)}})
	b = w.browser()
	_, err := b.callback(w.issuer.approve(b.begin("/"), "alice"))
	wantCode(t, "a key that is not published", err, CodeToken)
	for what, token := range map[string]string{
		"none": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.", "junk": "a.b.c", "empty": "", "HS256": "eyJhbGciOiJIUzI1NiJ9.e30.AAAA",
	} {
		w.issuer.with(func() {
			w.issuer.answer = func(rw http.ResponseWriter) bool {
				reply(rw, http.StatusOK, map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": token})
				return true
			}
		})
		_, err := b.callback(w.issuer.approve(b.begin("/"), "alice"))
		wantCode(t, what, err, CodeToken)
		if strings.Contains(fmt.Sprint(err), "eyJ") {
			t.Errorf("%s: the error quotes the token", what)
		}
	}
}

func TestMixUp(t *testing.T) { // T136
	a, evil := newIssuer(t), newIssuer(t)
	w := newWorldOf(t, a, Config{Default: "a", Providers: map[string]*Provider{"a": own(a), "evil": foreign(evil)}})
	b := w.browser()
	to, err := w.login.Begin(t.Context(), w.site, b.request(SignInPath+"?provider=evil"), "/")
	if err != nil || !strings.HasPrefix(to.URL, evil.url) {
		t.Fatalf("%v, %v", to.URL, err)
	}
	b.take(to.Cookies)
	// The evil issuer sends the browser on to a; a's answer comes back.
	answer := a.approve(to.URL, "alice")
	_, err = b.callback(answer)
	wantCode(t, "answer of another issuer", err, CodeIssuer)
	for what, iss := range map[string][]string{"no iss": nil, "empty iss": {""}, "iss with a slash": {a.url + "/"}} {
		q := a.approve(b.begin("/"), "alice")
		if q["iss"] = iss; iss == nil {
			q.Del("iss")
		}
		_, err = b.callback(q)
		wantCode(t, what, err, CodeIssuer)
	}
	if a.calls()+evil.calls() != 0 {
		t.Errorf("a code was sent: %d, %d", a.calls(), evil.calls())
	}
	if got := w.login.Names(); !slices.Equal(got, []string{"a", "evil"}) {
		t.Errorf("names %v", got)
	}
	// An issuer that does not promise iss may leave it out.
	quiet := newIssuer(t)
	quiet.meta = func(doc map[string]any) { delete(doc, "authorization_response_iss_parameter_supported") }
	w = newWorldOf(t, quiet, Config{Providers: map[string]*Provider{"x": own(quiet)}})
	b = w.browser()
	q := quiet.approve(b.begin("/"), "alice")
	q.Del("iss")
	if _, err := b.callback(q); err != nil {
		t.Error(err)
	}
}

func TestErrorsOfTheIssuer(t *testing.T) { // T157
	w := newWorld(t, own)
	for failed, code := range map[string]string{
		"access_denied": CodeDenied, "server_error": CodeRefused, "<script>alert(1)</script>": CodeRefused, "login_required": CodeRefused,
	} {
		b := w.browser()
		q := w.issuer.approve(b.begin("/"), "alice")
		q.Del("code")
		q.Set("error", failed)
		q.Set("error_description", "<script>secret</script>")
		_, err := b.callback(q)
		wantCode(t, failed, err, code)
		if strings.Contains(fmt.Sprint(err), "script") || b.attempts() != 0 {
			t.Errorf("%s: %v, %d attempts", failed, err, b.attempts())
		}
	}
	b := w.browser()
	q := w.issuer.approve(b.begin("/"), "alice")
	q.Set("code", "invented")
	_, err := b.callback(q)
	wantCode(t, "code refused", err, CodeGrant)
	b = w.browser()
	q = w.issuer.approve(b.begin("/"), "alice")
	q.Del("code")
	_, err = b.callback(q)
	wantCode(t, "no code", err, CodeRequest)
	w.login.standard.Provider.ClientSecret = "wrong"
	b = w.browser()
	_, err = b.callback(w.issuer.approve(b.begin("/"), "alice"))
	wantCode(t, "our secret is wrong", err, CodeRefused)
}

func TestForeignIssuerCountsOnlyWhereMapped(t *testing.T) { // S4
	w := newWorld(t, foreign)
	b := w.browser()
	b.signIn("alice", "/")
	s := b.session()
	if s.Groups != nil || s.Scopes != nil || s.Username != "" || s.IDToken == "" {
		t.Errorf("%+v", s)
	}
	p := foreign(w.issuer)
	p.GroupsClaim, p.UsernameClaim, p.ScopeClaim = "cognito:groups", "cognito:username", "amr"
	w = newWorldOf(t, w.issuer, Config{Providers: map[string]*Provider{"x": p}})
	b = w.browser()
	b.signIn("alice", "/")
	if s := b.session(); !slices.Equal(s.Groups, []string{"staff"}) || s.Username != "alice" || !slices.Equal(s.Scopes, []string{"pwd"}) {
		t.Errorf("%+v", s)
	}
}

func TestClaimsAndAccessTokenAreKeptOnDemand(t *testing.T) {
	i := newIssuer(t)
	w := newWorld(t, own)
	l, err := New(Config{Providers: map[string]*Provider{"x": own(i)}}, Parts{
		Cookies: w.cookie, Feed: w.feed, ClientFor: func(string) *http.Client { return &http.Client{} },
		Claims: []string{"email"}, KeepAccessToken: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.login, w.issuer = l, i
	b := w.browser()
	b.signIn("alice", "/")
	s := b.session()
	if s.AccessToken == "" || s.Identity().AccessToken != s.AccessToken {
		t.Error("no access token")
	}
	if _, kept := s.Claims["cognito:username"]; kept || s.Claims["email"] == nil || s.Username != "alice" {
		t.Errorf("claims %v", s.Claims)
	}
}

func TestTooLargeASession(t *testing.T) {
	w := newWorld(t, own)
	w.issuer.mutate = func(c map[string]any) { c["custom:big"] = strings.Repeat("x", 12000) }
	b := w.browser()
	_, err := b.callback(w.issuer.approve(b.begin("/"), "alice"))
	if b.session() != nil {
		t.Error("signed in")
	}
	var e *Error
	if !errors.As(err, &e) || e.Code != CodeTooLarge && e.Code != CodeToken {
		t.Errorf("%v", err)
	}
}

func TestConfigurationsThatCannotWork(t *testing.T) {
	w := newWorld(t, own)
	parts := w.login.has
	for what, cfg := range map[string]Config{
		"no provider": {}, "two without default": {Providers: map[string]*Provider{"a": own(w.issuer), "b": own(w.issuer)}},
		"unknown default": {Default: "x", Providers: map[string]*Provider{"a": own(w.issuer)}},
	} {
		if _, err := New(cfg, parts); err == nil {
			t.Errorf("accepted %s", what)
		}
	}
}
