package idp_test

import (
	"net/url"
	"testing"
	"time"
)

// demandFor is the claims parameter that demands one person.
func (f *fixture) demandFor(name string) string {
	return `{"id_token":{"sub":{"value":"` + f.userID(name) + `"},"auth_time":null}}`
}

// acr_values asks, it does not demand (OpenID Connect Core §3.1.2.1).
func TestUnknownContextClassesAreVoluntary(t *testing.T) {
	f := start(t, "")
	b, r := f.browser(), newRequest("acr_values", "urn:unknown phr")
	id := claims(t, f.redeem(b.signIn(r), r).text("id_token"))
	if _, said := id["acr"]; said || len(id["amr"].([]any)) != 1 || id["amr"].([]any)[0] != "pwd" {
		t.Errorf("ID token says acr %v, amr %v; want none and [pwd]", id["acr"], id["amr"])
	}
	if at, ok := id["auth_time"].(float64); !ok || time.Since(time.Unix(int64(at), 0)) > time.Minute {
		t.Errorf("auth_time = %v", id["auth_time"])
	}
	for _, essential := range []string{`{"id_token":{"acr":{"essential":true,"value":"x"}}}`, `{"id_token":{"acr":{"essential":true,"values":["x","y"]}}}`} {
		if to := b.get(f.authorizeURL(newRequest("claims", essential))).location(t); to.Query().Get("error") != "unmet_authentication_requirements" {
			t.Errorf("%s: %s, want unmet_authentication_requirements", essential, to)
		}
	}
	if to := b.get(f.authorizeURL(newRequest("claims", `{"id_token":{"acr":{"values":["x"]}},"userinfo":{"email":null}}`))).location(t); to.Query().Get("code") == "" {
		t.Errorf("a voluntary acr: %s, want a code", to)
	}
}

// A client counts max_age from auth_time, which has whole seconds: what passed
// here and failed there would go round in circles.
func TestMaxAgeCountsFromTheTimeThatIsTold(t *testing.T) {
	f := start(t, "")
	// Late in a second of the provider's clock.
	f.later(time.Second + 900*time.Millisecond - time.Duration(f.now().Nanosecond()))
	b, r := f.browser(), newRequest()
	id := claims(t, f.redeem(b.signIn(r), r).text("id_token"))
	told := time.Unix(int64(id["auth_time"].(float64)), 0)
	for age, silent := range map[time.Duration]bool{59 * time.Second: true, 60*time.Second + 20*time.Millisecond: false} {
		f.later(told.Add(age).Sub(f.now()))
		to := b.get(f.authorizeURL(newRequest("max_age", "60", "prompt", "none"))).location(t)
		if got := to.Query().Get("code") != ""; got != silent {
			t.Errorf("auth_time %v ago, max_age=60: a code = %t, want %t", age, got, silent)
		}
	}
}

// TestAnotherPersonDoesNotTakeThePlace: a request for one person that another
// one answers is refused, and ends nobody's session.
func TestAnotherPersonDoesNotTakeThePlace(t *testing.T) {
	bothMounts(t, func(t *testing.T, f *fixture) {
		b, r := f.browser(), newRequest()
		tokens := f.redeem(b.signIn(r), r)
		demand := newRequest("claims", f.demandFor("alice"), "max_age", "0")
		page := b.open(demand)
		if to := b.submit(page, "bob", password).location(t); to.Query().Get("error") != "login_required" || to.Query().Get("state") == "" {
			t.Fatalf("bob answers where alice was asked for: %s, want login_required", to)
		}
		if to := b.get(f.authorizeURL(newRequest("prompt", "none"))).location(t); to.Query().Get("code") == "" {
			t.Errorf("alice's session afterwards: %s, want a code", to)
		}
		if got := f.userinfo(tokens.text("access_token")); got.status != 200 {
			t.Errorf("alice's access token afterwards: %d", got.status)
		}
		if a := b.submit(page, "alice", password); a.StatusCode < 400 && a.Header.Get("Location") != "" {
			if to := a.location(t); to.Query().Get("code") != "" {
				t.Errorf("the used page still signs in: %s", to)
			}
		}
		r = newRequest("claims", f.demandFor("alice"), "max_age", "0")
		if id := claims(t, f.redeem(b.signIn(r), r).text("id_token")); id["sub"] != f.userID("alice") {
			t.Errorf("sub = %v, want alice's", id["sub"])
		}
	})
}

func TestDemandsForAPerson(t *testing.T) {
	f := start(t, "")
	b, r := f.browser(), newRequest()
	hint := f.redeem(b.signIn(r), r).text("id_token")
	for name, c := range map[string]struct {
		edit []string
		want string // the error; "" for a code
	}{
		"alice":             {[]string{"claims", f.demandFor("alice"), "prompt", "none"}, ""},
		"alice, twice":      {[]string{"claims", f.demandFor("alice"), "id_token_hint", hint}, ""},
		"nothing":           {[]string{"claims", `{"id_token":null}`, "prompt", "none"}, ""},
		"bob":               {[]string{"claims", f.demandFor("bob"), "prompt", "none"}, "login_required"},
		"nobody":            {[]string{"claims", `{"id_token":{"sub":{"value":"nobody"}}}`, "prompt", "none"}, "login_required"},
		"bob and alice":     {[]string{"claims", f.demandFor("bob"), "id_token_hint", hint}, "invalid_request"},
		"a list":            {[]string{"claims", `{"id_token":{"sub":{"values":["a","b"]}}}`}, "invalid_request"},
		"not JSON":          {[]string{"claims", `{`}, "invalid_request"},
		"of another kind":   {[]string{"claims", `{"id_token":{"sub":{"value":7}}}`}, "invalid_request"},
		"something behind":  {[]string{"claims", `{} {}`}, "invalid_request"},
		"a list for object": {[]string{"claims", `[]`}, "invalid_request"},
	} {
		q := b.get(f.authorizeURL(newRequest(c.edit...))).location(t).Query()
		if q.Get("error") != c.want || (q.Get("code") == "") != (c.want != "") {
			t.Errorf("%s: code %t, error %q, want %q", name, q.Has("code"), q.Get("error"), c.want)
		}
	}
}

// TestScopesThatGroupsDoNotGrantAreLeftOut: the sign-in goes on without them,
// and no refresh adds one.
func TestScopesThatGroupsDoNotGrantAreLeftOut(t *testing.T) {
	f := start(t, "")
	const all = "openid orders.read orders.admin"
	sign := func(name string) reply {
		r := newRequest("scope", all)
		b := f.browser()
		return f.redeem(b.submit(b.open(r), name, password).location(t), r)
	}
	if got := sign("alice").text("scope"); got != all {
		t.Errorf("alice is granted %q, want %q", got, all)
	}
	bob := sign("bob")
	if got := bob.text("scope"); got != "openid orders.read" || claims(t, bob.text("access_token"))["scope"] != got {
		t.Errorf("bob is granted %q, want all but the scope of admins", got)
	}
	if err := f.p.Pool.AddToGroup(t.Context(), f.userID("bob"), "admins"); err != nil {
		t.Fatal(err)
	}
	again := f.post("/oauth2/token", url.Values{
		"client_id": {"web"}, "client_secret": {webSecret}, "grant_type": {"refresh_token"}, "refresh_token": {bob.text("refresh_token")},
	}, nil)
	if got := again.text("scope"); again.status == 200 && got != "openid orders.read" {
		t.Errorf("bob's old grant grew to %q", got)
	}
	if got := sign("bob").text("scope"); got != all {
		t.Errorf("bob, an administrator now, is granted %q, want %q", got, all)
	}
}
