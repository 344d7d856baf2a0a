package idp_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// An answer never goes where the client has not registered.
func TestRedirectURIIsExact(t *testing.T) {
	f := start(t, "")
	b := f.browser()
	b.signIn(newRequest()) // signed in, so that a mistake would send a code away
	for _, uri := range []string{
		"", "https://app.test", "https://app.test/", "https://app.test/cb/", "https://app.test/cb?", "https://app.test/cb?y=1",
		"https://app.test/cb#x", "https://app.test:443/cb", "http://app.test/cb", "HTTPS://app.test/cb", "https://APP.test/cb",
		"https://app.test/CB", "https://app.test/cb/../evil", "https://app.test/%63b", "https://app.test/cb%2f..", "https://app.test/cb%252e",
		"https://app.test@evil.test/cb", "https://app.test.evil.test/cb", "https://evil.test/https://app.test/cb", "//app.test/cb",
		"/cb", `https://app.test\@evil.test/cb`, "javascript:alert(1)", "data:text/html,x", "https://app.test/cb ", " https://app.test/cb",
		"https://app.test/cb\r\nX: y", "http://127.0.0.1/cb", "http://localhost/cb",
	} {
		r := newRequest()
		r.query.Set("redirect_uri", uri)
		a := b.get(f.authorizeURL(r))
		if a.StatusCode != 400 || a.Header.Get("Location") != "" {
			t.Errorf("redirect_uri %q: status %d, Location %q; want a page with 400", uri, a.StatusCode, a.Header.Get("Location"))
		}
	}
	for _, id := range []string{"", "nobody", "other", "WEB"} {
		r := newRequest()
		r.query.Set("client_id", id)
		r.query.Set("scope", "nonsense")
		if a := b.get(f.authorizeURL(r)); a.StatusCode != 400 || a.Header.Get("Location") != "" {
			t.Errorf("client_id %q: status %d, Location %q; want a page with 400", id, a.StatusCode, a.Header.Get("Location"))
		}
	}
	if to := b.get(f.authorizeURL(newRequest("redirect_uri", callback+"?x=1"))).location(t); to.Query().Get("x") != "1" || to.Query().Get("code") == "" {
		t.Errorf("a registered URI with a query is answered at %s", to)
	}
}

// RFC 8252 §7.3: the one exception, for public clients and literal addresses.
func TestLoopbackPortMayVary(t *testing.T) {
	f := start(t, "")
	b := f.browser()
	b.signIn(newRequest())
	for uri, ok := range map[string]bool{
		"http://127.0.0.1/cb": true, "http://127.0.0.1:49152/cb": true, "com.example.app:/cb": true,
		"http://127.0.0.1:1/cb": true, "http://127.0.0.1:65535/cb": true, "http://127.0.0.1:0/cb": false, "http://127.0.0.1:65536/cb": false,
		"http://127.0.0.1:99999/cb": false, "http://127.0.0.1:080/cb": false, "http://127.0.0.1:00080/cb": false,
		"http://127.0.0.1:/cb": false, "http://127.0.0.1:123456/cb": false, "http://127.0.0.1:80@evil.test/cb": false,
		"http://127.0.0.1.evil.test/cb": false, "http://127.0.0.1:80x/cb": false, "http://127.0.0.1:80/cb/x": false,
		"http://[::1]:80/cb": false, "http://localhost:80/cb": false, "https://127.0.0.1:80/cb": false, "http://127.0.0.1:80?/cb": false,
	} {
		r := newRequest("client_id", "phone", "redirect_uri", uri, "scope", "openid")
		a := b.get(f.authorizeURL(r))
		if !ok {
			if a.StatusCode != 400 {
				t.Errorf("%s: status %d, want 400", uri, a.StatusCode)
			}
			continue
		}
		to := a.location(t)
		if !strings.HasPrefix(to.String(), uri+"?") || to.Query().Get("code") == "" {
			t.Errorf("%s: answered at %s", uri, to)
			continue
		}
		got := f.post("/oauth2/token", url.Values{
			"client_id": {"phone"}, "grant_type": {"authorization_code"},
			"code": {to.Query().Get("code")}, "redirect_uri": {uri}, "code_verifier": {r.verifier},
		}, nil)
		if got.status != 200 {
			t.Errorf("%s: token answer %d %v", uri, got.status, got.json)
		}
	}
}

func TestBadRequestsAreToldToTheClient(t *testing.T) {
	f := start(t, "")
	b := f.browser()
	b.signIn(newRequest())
	challenge := newRequest().query.Get("code_challenge")
	for _, c := range []struct{ name, value, want string }{
		{"response_type", "", "invalid_request"},
		{"response_type", "token", "unsupported_response_type"},
		{"response_type", "code id_token", "unsupported_response_type"},
		{"response_mode", "form_post", "invalid_request"},
		{"response_mode", "fragment", "invalid_request"},
		{"request", "e30.e30.", "request_not_supported"},
		{"request_uri", "https://evil.test/x", "request_uri_not_supported"},
		{"code_challenge", "", "invalid_request"},
		{"code_challenge_method", "", "invalid_request"},
		{"code_challenge_method", "plain", "invalid_request"},
		{"code_challenge", challenge + "=", "invalid_request"},
		{"code_challenge", challenge[:42], "invalid_request"},
		{"scope", "openid admin", "invalid_scope"},
		{"scope", "offline_access", "invalid_scope"},
		{"prompt", "none login", "invalid_request"},
		{"prompt", "surprise", "invalid_request"},
		{"max_age", "-1", "invalid_request"},
		{"max_age", "soon", "invalid_request"},
		{"id_token_hint", "e30.e30.x", "invalid_request"},
		{"nonce", strings.Repeat("n", 600), "invalid_request"},
	} {
		to := b.get(f.authorizeURL(newRequest(c.name, c.value))).location(t)
		q := to.Query()
		if q.Get("error") != c.want || q.Get("code") != "" || to.Host != "app.test" || q.Get("state") == "" || q.Get("iss") != f.issuer {
			t.Errorf("%s=%q: sent to %s, want error=%s with state and iss", c.name, c.value, to, c.want)
		}
	}
}

func TestParameterTwiceIsNoRedirect(t *testing.T) {
	f := start(t, "")
	for _, extra := range []string{"&redirect_uri=https://evil.test/", "&client_id=other", "&state=x", "&scope=openid"} {
		a := f.browser().get(f.authorizeURL(newRequest()) + extra)
		if a.StatusCode != 400 || a.Header.Get("Location") != "" {
			t.Errorf("%s: status %d, Location %q; want a page with 400", extra, a.StatusCode, a.Header.Get("Location"))
		}
	}
}

func TestScopes(t *testing.T) {
	f := start(t, "")
	scope := func(user, asked string) string {
		b, r := f.browser(), newRequest("scope", asked)
		to := b.submit(b.open(r), user, password).location(t)
		return f.redeem(to, r).text("scope")
	}
	for _, c := range []struct{ user, asked, want string }{
		{"alice", "openid orders.read", "openid orders.read"},
		{"alice", "openid openid offline_access", "openid"},
		{"alice", "", "openid email profile orders.read orders.admin"},
		{"bob", "", "openid email profile orders.read"}, // orders.admin is tied to admins
		{"bob", "openid orders.admin", "openid"},
	} {
		if got := scope(c.user, c.asked); got != c.want {
			t.Errorf("%s asking for %q got %q, want %q", c.user, c.asked, got, c.want)
		}
	}
	b := f.browser()
	to := b.submit(b.open(newRequest("scope", "orders.admin")), "bob", password).location(t)
	if to.Query().Get("error") != "invalid_scope" {
		t.Errorf("bob asking only for a scope of admins went to %s, want invalid_scope", to)
	}
}

func TestPostedAuthorize(t *testing.T) {
	bothMounts(t, func(t *testing.T, f *fixture) {
		b, r := f.browser(), newRequest()
		to := b.do("POST", f.issuer+"/oauth2/authorize", r.query, http.Header{"Origin": {"https://app.test"}, "Sec-Fetch-Site": {"cross-site"}})
		page := b.get(b.get(to.location(t).String()).location(t).String())
		if got := b.submit(page, "alice", password).location(t); got.Query().Get("state") != r.query.Get("state") || got.Query().Get("code") == "" {
			t.Errorf("a posted request ended at %s", got)
		}
	})
}

func TestHintOfAnotherPerson(t *testing.T) {
	f := start(t, "")
	alice, r := f.browser(), newRequest()
	hint := f.redeem(alice.signIn(r), r).text("id_token")
	if to := alice.get(f.authorizeURL(newRequest("prompt", "none", "id_token_hint", hint))).location(t); to.Query().Get("code") == "" {
		t.Errorf("alice's own hint: %s, want a code", to)
	}
	bob := f.browser()
	bob.submit(bob.open(newRequest()), "bob", password).location(t)
	if to := bob.get(f.authorizeURL(newRequest("prompt", "none", "id_token_hint", hint))).location(t); to.Query().Get("error") != "login_required" {
		t.Errorf("alice's hint in bob's browser: %s, want login_required", to)
	}
	page := bob.open(newRequest("id_token_hint", hint))
	if to := bob.submit(page, "bob", password).location(t); to.Query().Get("error") != "login_required" {
		t.Errorf("bob signing in where alice was asked for: %s, want login_required", to)
	}
}

// What the browser sends later does not change the request.
func TestTheRequestThatWasCheckedIsAnswered(t *testing.T) {
	f := start(t, "")
	b := f.browser()
	form := b.open(newRequest()).form(t)
	form.fields.Set("username", "alice")
	form.fields.Set("password", password)
	form.fields.Set("redirect_uri", "https://evil.test/")
	form.fields.Set("client_id", "other")
	to := b.do("POST", form.action, form.fields, nil).location(t)
	if !strings.HasPrefix(to.String(), callback+"?") || to.Query().Get("code") == "" {
		t.Errorf("sent to %s", to)
	}
}

// Where applications share the origin, their scripts and
// frames must not collect codes; on a host of its own a silent frame may.
func TestScriptsOfASharedOriginGetNoCode(t *testing.T) {
	bothMounts(t, func(t *testing.T, f *fixture) {
		b := f.browser()
		b.signIn(newRequest())
		shared := strings.HasSuffix(f.issuer, "idp")
		for name, header := range map[string]http.Header{
			"fetch": {"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}},
			"frame": {"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"iframe"}},
		} {
			a := b.do("GET", f.authorizeURL(newRequest("prompt", "none")), nil, header)
			if refused := a.StatusCode == 403 && a.Header.Get("Location") == ""; refused != shared {
				t.Errorf("%s on %s: %d, want refused = %t", name, f.issuer, a.StatusCode, shared)
			}
		}
	})
}
