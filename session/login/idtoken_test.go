package login

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestIDTokenIsVerified(t *testing.T) {
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

func TestForeignIssuerCountsOnlyWhereMapped(t *testing.T) {
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

// TestAbsentGroups: our provider leaves the claim out for people without
// groups, so that they are known to be in none; what another issuer leaves out
// is unknown, and no `not: {groups: [contractors]}` may be met by it.
func TestAbsentGroups(t *testing.T) {
	mapped := func(i *issuer) *Provider {
		p := foreign(i)
		p.GroupsClaim = "cognito:groups"
		return p
	}
	for _, c := range []struct {
		what   string
		kind   func(*issuer) *Provider
		groups any // nil: absent
		known  bool
	}{
		{"own, absent", own, nil, true},
		{"own, empty", own, []string{}, true},
		{"own, of another shape", own, "admins", false},
		{"foreign, absent", mapped, nil, false},
		{"foreign, empty", mapped, []string{}, true},
		{"foreign, of another shape", mapped, map[string]any{"admins": true}, false},
		{"foreign, not mapped", foreign, []string{}, false},
	} {
		w := newWorld(t, c.kind)
		w.issuer.mutate = func(claims map[string]any) { claims["cognito:groups"] = c.groups }
		b := w.browser()
		b.signIn("alice", "/")
		id := b.session().Identity()
		if known := id.Groups != nil; known != c.known || len(id.Groups) != 0 {
			t.Errorf("%s: groups %#v, want known %v and none", c.what, id.Groups, c.known)
		}
	}
}
