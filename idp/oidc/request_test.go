package oidc

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/httpx"
)

// FuzzParseRequest holds what the rest relies on: a request that passes has an
// S256 challenge, scopes the client has, and the state byte by byte.
func FuzzParseRequest(f *testing.F) {
	f.Add("response_type=code&code_challenge_method=S256&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&scope=openid&state=%25+x&max_age=0")
	f.Add("response_type=code&prompt=none&scope=openid%20openid")
	f.Add("a=%ff&state=&state=")
	allowed := []string{"openid", "email", "orders.read"}
	f.Fuzz(func(t *testing.T, query string) {
		form, err := httpx.ParseForm(query)
		if err != nil {
			return
		}
		req, refused := parseRequest(form, allowed)
		if req == nil {
			t.Fatal("no request to answer")
		}
		if req.HasState && req.State != form.Get("state") {
			t.Errorf("state = %q, want %q", req.State, form.Get("state"))
		}
		if refused != nil {
			return
		}
		if len(req.Challenge) != 43 || form.Get("code_challenge_method") != "S256" || len(req.Scopes) == 0 || req.Silent && req.Again {
			t.Errorf("passed: %+v", req)
		}
		for i, s := range req.Scopes {
			if !slices.Contains(allowed, s) || slices.Contains(req.Scopes[:i], s) {
				t.Errorf("scopes = %q", req.Scopes)
			}
		}
	})
}

// FuzzLoopback holds that the exception never leaves the loopback address.
func FuzzLoopback(f *testing.F) {
	for _, s := range []string{"http://127.0.0.1:80/cb", "http://127.0.0.1:1@evil/cb", "http://[::1]:9/cb", "http://127.0.0.1.evil/cb", "http://127.0.0.1/cb"} {
		f.Add(s)
	}
	registered := []string{"http://127.0.0.1/cb", "http://[::1]:1234/cb"}
	f.Fuzz(func(t *testing.T, got string) {
		if !allowsRedirect(registered, true, got) {
			return
		}
		u, err := url.Parse(got)
		if err != nil || u.Scheme != "http" || u.User != nil || u.Path != "/cb" || u.RawQuery != "" || u.Fragment != "" ||
			u.Hostname() != "127.0.0.1" && u.Hostname() != "::1" {
			t.Errorf("%q is allowed", got)
		}
	})
}

func TestWithParamsKeepsTheQuery(t *testing.T) {
	params := url.Values{"state": {"a b&c"}}
	for uri, want := range map[string]string{
		"https://a.test/cb": "https://a.test/cb?state=a+b%26c", "https://a.test/cb?x=1": "https://a.test/cb?x=1&state=a+b%26c",
		"https://a.test/cb?": "https://a.test/cb?state=a+b%26c", "app:/cb": "app:/cb?state=a+b%26c",
	} {
		if got := withParams(uri, params); got != want {
			t.Errorf("withParams(%s) = %s, want %s", uri, got, want)
		}
	}
	if got := withParams("https://a.test/", url.Values{}); strings.HasSuffix(got, "?") {
		t.Errorf("no parameters: %s", got)
	}
}
