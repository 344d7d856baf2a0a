package idp_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func basic(id, secret string) http.Header {
	text := url.QueryEscape(id) + ":" + url.QueryEscape(secret)
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(text))}}
}

func TestClientAuthentication(t *testing.T) {
	f := start(t, "")
	grant := func(form url.Values) url.Values {
		form.Set("grant_type", "client_credentials")
		return form
	}
	const secret = "job-secret-0123456789-0123456789"
	for _, c := range []struct {
		name   string
		form   url.Values
		header http.Header
		status int
		code   string
	}{
		{"post", as("job", secret), nil, 200, ""},
		{"basic", url.Values{}, basic("job", secret), 200, ""},
		{"basic and id", url.Values{"client_id": {"job"}}, basic("job", secret), 200, ""},
		{"both", as("job", secret), basic("job", secret), 400, "invalid_request"},
		{"two clients", url.Values{"client_id": {"web"}}, basic("job", secret), 400, "invalid_request"},
		{"none", url.Values{}, nil, 401, "invalid_client"},
		{"id alone", url.Values{"client_id": {"job"}}, nil, 401, "invalid_client"},
		{"empty secret", as("job", ""), nil, 401, "invalid_client"},
		{"wrong secret", as("job", secret+"x"), nil, 401, "invalid_client"},
		{"other's secret", as("job", webSecret), nil, 401, "invalid_client"},
		{"unknown", as("nobody", secret), nil, 401, "invalid_client"},
		{"basic wrong", url.Values{}, basic("job", "x"), 401, "invalid_client"},
		{"bearer", url.Values{}, http.Header{"Authorization": {"Bearer x"}}, 401, "invalid_client"},
		{"public with secret", as("phone", secret), nil, 401, "invalid_client"},
		{"public, not its grant", url.Values{"client_id": {"phone"}}, nil, 400, "unauthorized_client"},
		{"two headers", url.Values{}, http.Header{"Authorization": {basic("job", secret).Get("Authorization"), "Bearer x"}}, 400, "invalid_request"},
	} {
		got := f.post("/oauth2/token", grant(c.form), c.header)
		if got.status != c.status || got.text("error") != c.code || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v, want %d %s", c.name, got.status, got.json, c.status, c.code)
		}
		if challenge := got.header.Get("WWW-Authenticate") != ""; challenge != (got.status == 401 && c.header != nil) {
			t.Errorf("%s: WWW-Authenticate = %q", c.name, got.header.Get("WWW-Authenticate"))
		}
	}
}

func TestTokenRequestForms(t *testing.T) {
	f := start(t, "")
	for name, c := range map[string]struct {
		form url.Values
		code string
	}{
		"no grant":      {as("web", webSecret), "invalid_request"},
		"unknown grant": {as("web", webSecret, "grant_type", "password"), "unsupported_grant_type"},
		"not allowed":   {as("web", webSecret, "grant_type", "client_credentials"), "unauthorized_client"},
		"no code":       {as("web", webSecret, "grant_type", "authorization_code"), "invalid_request"},
		"junk code":     {as("web", webSecret, "grant_type", "authorization_code", "code", "junk"), "invalid_grant"},
		"no token":      {as("web", webSecret, "grant_type", "refresh_token"), "invalid_request"},
		"junk token":    {as("web", webSecret, "grant_type", "refresh_token", "refresh_token", "junk"), "invalid_grant"},
		"twice":         {url.Values{"client_id": {"web", "web"}}, "invalid_request"},
	} {
		if got := f.post("/oauth2/token", c.form, nil); got.status != 400 || got.text("error") != c.code {
			t.Errorf("%s: %d %v, want 400 %s", name, got.status, got.json, c.code)
		}
	}
	if res, err := http.Get(f.issuer + "/oauth2/token?grant_type=client_credentials"); err != nil || res.StatusCode != 405 {
		t.Errorf("GET on the token endpoint: %v %v, want 405", res.StatusCode, err)
	}
	if got := f.post("/oauth2/token?client_id=job&client_secret=job-secret-0123456789-0123456789&grant_type=client_credentials", url.Values{}, nil); got.status != 401 {
		t.Errorf("credentials in the query: %d, want 401", got.status)
	}
}

// A code works once; a second use ends what the first gave.
func TestCodeWorksOnce(t *testing.T) {
	f := start(t, "")
	r := newRequest()
	to := f.browser().signIn(r)
	first := f.redeem(to, r)
	if first.status != 200 {
		t.Fatalf("first use: %d %v", first.status, first.json)
	}
	if second := f.redeem(to, r); second.status != 400 || second.text("error") != "invalid_grant" {
		t.Errorf("second use: %d %v, want invalid_grant", second.status, second.json)
	}
	if got := f.refresh("web", webSecret, first.text("refresh_token")); got.text("error") != "invalid_grant" {
		t.Errorf("refresh after the second use: %d %v, want invalid_grant", got.status, got.json)
	}
	if got := f.userinfo(first.text("access_token")); got.status != 401 {
		t.Errorf("access token after the second use: %d, want 401", got.status)
	}
}

func TestFiftyRedemptionsAtOnce(t *testing.T) {
	f := start(t, "")
	r := newRequest()
	to := f.browser().signIn(r)
	var good atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if f.redeem(to, r).status == 200 {
				good.Add(1)
			}
		})
	}
	wg.Wait()
	if good.Load() != 1 {
		t.Errorf("%d of 50 redemptions of one code worked, want 1", good.Load())
	}
}

// A code is bound to client, redirect URI, verifier and time.
func TestCodeIsBound(t *testing.T) {
	f := start(t, "")
	b := f.browser()
	b.signIn(newRequest())
	for name, edit := range map[string]func(url.Values){
		"other client": func(v url.Values) {
			v.Set("client_id", "other")
			v.Set("client_secret", "other-secret-0123456789-01234567")
		},
		"other redirect":   func(v url.Values) { v.Set("redirect_uri", callback+"?x=1") },
		"no redirect":      func(v url.Values) { v.Del("redirect_uri") },
		"wrong verifier":   func(v url.Values) { v.Set("code_verifier", newRequest().verifier) },
		"no verifier":      func(v url.Values) { v.Del("code_verifier") },
		"challenge itself": func(v url.Values) { v.Set("code_verifier", "") },
		"expired":          func(url.Values) { f.later(61 * time.Second) },
	} {
		r := newRequest()
		to := b.get(f.authorizeURL(r)).location(t)
		form := as("web", webSecret, "grant_type", "authorization_code", "code", to.Query().Get("code"), "redirect_uri", callback, "code_verifier", r.verifier)
		edit(form)
		if got := f.post("/oauth2/token", form, nil); got.status != 400 || got.text("error") != "invalid_grant" {
			t.Errorf("%s: %d %v, want invalid_grant", name, got.status, got.json)
		}
		if got := f.redeem(to, r); got.status == 200 {
			t.Errorf("%s: the code works after it was tried", name)
		}
	}
}

func (f *fixture) refresh(id, secret, token string, pairs ...string) reply {
	return f.post("/oauth2/token", as(id, secret, append(pairs, "grant_type", "refresh_token", "refresh_token", token)...), nil)
}

// Rotation, grace, reuse, other clients, scopes, and people who are gone.
func TestRefresh(t *testing.T) {
	f := start(t, "")
	begin := func() string {
		r := newRequest("scope", "openid orders.read")
		return f.redeem(f.browser().signIn(r), r).text("refresh_token")
	}
	old := begin()
	next := f.refresh("web", webSecret, old)
	if next.status != 200 || next.text("refresh_token") == old || next.text("id_token") == "" {
		t.Fatalf("refresh: %d %v", next.status, next.json)
	}
	if again := f.refresh("web", webSecret, old); again.text("refresh_token") != next.text("refresh_token") {
		t.Errorf("within the grace: %d %v, want the same successor", again.status, again.json)
	}
	if got := f.refresh("other", "other-secret-0123456789-01234567", next.text("refresh_token")); got.text("error") != "invalid_grant" {
		t.Errorf("another client's token: %d %v, want invalid_grant", got.status, got.json)
	}
	if got := f.refresh("web", webSecret, next.text("refresh_token"), "scope", "openid email"); got.text("error") != "invalid_scope" {
		t.Errorf("more scope: %d %v, want invalid_scope", got.status, got.json)
	}
	f.later(time.Minute)
	if got := f.refresh("web", webSecret, old); got.text("error") != "invalid_grant" {
		t.Errorf("reuse after the grace: %d %v, want invalid_grant", got.status, got.json)
	}
	if got := f.refresh("web", webSecret, next.text("refresh_token")); got.text("error") != "invalid_grant" {
		t.Errorf("the family after a reuse: %d %v, want invalid_grant", got.status, got.json)
	}
	mine := begin()
	if err := f.p.Pool.Disable(t.Context(), f.userID("alice")); err != nil {
		t.Fatal(err)
	}
	if got := f.refresh("web", webSecret, mine); got.text("error") != "invalid_grant" {
		t.Errorf("a disabled user's token: %d %v, want invalid_grant", got.status, got.json)
	}
}

// A program for itself has no person, no group and no scope tied to one.
func TestClientCredentials(t *testing.T) {
	f := start(t, "")
	ask := func(scope string) reply {
		return f.post("/oauth2/token", as("job", "job-secret-0123456789-0123456789", "grant_type", "client_credentials", "scope", scope), nil)
	}
	got := ask("")
	token := claims(t, got.text("access_token"))
	if got.text("scope") != "orders.read" || got.text("refresh_token") != "" || got.text("id_token") != "" {
		t.Errorf("answer = %v", got.json)
	}
	if token["sub"] != "job" || token["username"] != nil || token["cognito:groups"] != nil {
		t.Errorf("token = %v", token)
	}
	for _, scope := range []string{"orders.admin", "openid", "orders.read openid", "orders.write"} {
		if got := ask(scope); got.status != 400 || got.text("error") != "invalid_scope" {
			t.Errorf("scope %q: %d %v, want invalid_scope", scope, got.status, got.json)
		}
	}
	if info := f.userinfo(got.text("access_token")); info.status != 403 {
		t.Errorf("userinfo of a program: %d, want 403", info.status)
	}
}

func TestRevoke(t *testing.T) {
	f := start(t, "")
	r := newRequest()
	tokens := f.redeem(f.browser().signIn(r), r)
	revoke := func(id, secret, token string) reply {
		return f.post("/oauth2/revoke", as(id, secret, "token", token), nil)
	}
	if got := revoke("other", "other-secret-0123456789-01234567", tokens.text("refresh_token")); got.status != 200 {
		t.Errorf("another client: %d, want 200", got.status)
	}
	if got := f.userinfo(tokens.text("access_token")); got.status != 200 {
		t.Fatalf("another client revoked the token: %d", got.status)
	}
	for name, got := range map[string]reply{"junk": revoke("web", webSecret, "junk"), "good": revoke("web", webSecret, tokens.text("refresh_token"))} {
		if got.status != 200 {
			t.Errorf("%s: %d %v, want 200", name, got.status, got.json)
		}
	}
	if got := f.userinfo(tokens.text("access_token")); got.status != 401 || got.header.Get("WWW-Authenticate") == "" {
		t.Errorf("access token of a revoked family: %d", got.status)
	}
	if got := f.refresh("web", webSecret, tokens.text("refresh_token")); got.text("error") != "invalid_grant" {
		t.Errorf("revoked refresh token: %d %v", got.status, got.json)
	}
	if got := revoke("web", "wrong", "x"); got.status != 401 {
		t.Errorf("wrong secret: %d, want 401", got.status)
	}
	// What could not be written is not reported as done.
	_ = f.db.Close()
	if got := revoke("web", webSecret, tokens.text("refresh_token")); got.status != 503 || got.header.Get("Retry-After") == "" {
		t.Errorf("without a store: %d, want 503 with Retry-After", got.status)
	}
}

func TestIntrospect(t *testing.T) {
	f := start(t, "")
	r := newRequest()
	tokens := f.redeem(f.browser().signIn(r), r)
	ask := func(id, secret, token string) reply {
		return f.post("/oauth2/introspect", as(id, secret, "token", token), nil)
	}
	got := ask("web", webSecret, tokens.text("access_token"))
	if got.json["active"] != true || got.text("username") != "alice" || got.text("client_id") != "web" || got.text("iss") != f.issuer {
		t.Errorf("introspection = %v", got.json)
	}
	// A token of another client's is no business of who asks, whatever it is.
	if got := ask("job", "job-secret-0123456789-0123456789", tokens.text("access_token")); got.status != 200 || len(got.json) != 1 || got.json["active"] != false {
		t.Errorf("introspection of another client's token = %d %v, want only active: false", got.status, got.json)
	}
	for _, token := range []string{"junk", tokens.text("id_token"), tokens.text("refresh_token")} {
		if got := ask("web", webSecret, token); got.status != 200 || len(got.json) != 1 || got.json["active"] != false {
			t.Errorf("introspection of something else = %d %v, want only active: false", got.status, got.json)
		}
	}
	if got := f.post("/oauth2/introspect", url.Values{"client_id": {"phone"}, "token": {"x"}}, nil); got.status != 401 {
		t.Errorf("a public client: %d, want 401", got.status)
	}
}

func TestUserInfoRefusals(t *testing.T) {
	f := start(t, "")
	r := newRequest("scope", "orders.read")
	noOpenID := f.redeem(f.browser().signIn(r), r)
	if noOpenID.text("id_token") != "" {
		t.Error("an ID token without openid")
	}
	if got := f.userinfo(noOpenID.text("access_token")); got.status != 403 {
		t.Errorf("without openid: %d, want 403", got.status)
	}
	r = newRequest()
	tokens := f.redeem(f.browser().signIn(r), r)
	if got := f.userinfo(tokens.text("id_token")); got.status != 401 {
		t.Errorf("an ID token as bearer: %d, want 401", got.status)
	}
	f.later(time.Hour + time.Second)
	if got := f.userinfo(tokens.text("access_token")); got.status != 401 {
		t.Errorf("an expired token: %d, want 401", got.status)
	}
	if got := f.post("/oauth2/userInfo?access_token="+tokens.text("access_token"), url.Values{}, nil); got.status != 401 {
		t.Errorf("a token in the query: %d, want 401", got.status)
	}
}
