package login

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
)

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
		!slices.Equal(id.Groups, []string{"staff"}) || !slices.Equal(id.Scopes, []string{"openid", "email"}) || !id.Person || !id.Listed || !id.ClientNamed ||
		id.IssuerSID != "sid-alice" || !strings.HasPrefix(id.OriginJTI, "family-") || id.AuthTime.IsZero() || id.AccessToken != "" || id.Name != "ALICE" {
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

func TestNewSessionAtEachSignIn(t *testing.T) {
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
