package session

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func site(t testing.TB, u string) Site {
	t.Helper()
	parsed, err := url.Parse(u)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSite(parsed)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// key returns a key of the ring, different for each n.
func key(n byte) CookieKey {
	return CookieKey{Hash: bytes.Repeat([]byte{n}, 64), Block: bytes.Repeat([]byte{n}, 32)}
}

func config() Config {
	var c Config
	c.Defaults()
	return c
}

func cookies(t testing.TB, boot string, keys ...CookieKey) *Cookies {
	t.Helper()
	c, err := NewCookies(config(), keys, Options{Boot: boot})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func alice(host string) *Session {
	now := time.Now().Truncate(time.Millisecond)
	return &Session{
		ID: NewID(), Host: host, Provider: "gatehouse", Issuer: "https://login.example.com", ClientID: "gatehouse",
		Created: now, Expires: now.Add(12 * time.Hour),
		Subject: "7d1b0e1e-0001", Username: "alice", Email: "alice@example.com", EmailVerified: true, Name: "Alice Ä.",
		Groups: []string{"admins", "staff"}, Scopes: []string{"openid", "email"},
		AuthTime: now, ACR: "1", AMR: []string{"pwd"},
		IssuerSID: "issuer-session", OriginJTI: "family", RefreshToken: strings.Repeat("r", 43),
		AccessExpires: now.Add(10 * time.Minute),
		Claims: map[string]any{
			"iss": "https://login.example.com", "sub": "7d1b0e1e-0001", "email": "alice@example.com", "email_verified": true,
			"name": "Alice Ä.", "cognito:username": "alice", "cognito:groups": []any{"admins", "staff"},
			"custom:n": json.Number("12345678901234567890"), "deep": map[string]any{"a": []any{nil, true, false, "x", map[string]any{}}},
		},
	}
}

// request carries the given cookies as a browser would, expired ones left out.
func request(cookies ...*http.Cookie) *http.Request {
	r, _ := http.NewRequest(http.MethodGet, "/", nil)
	var pairs []string
	for _, c := range cookies {
		if c.MaxAge >= 0 {
			pairs = append(pairs, c.Name+"="+c.Value)
		}
	}
	if len(pairs) > 0 {
		r.Header.Set("Cookie", strings.Join(pairs, "; "))
	}
	return r
}

func withHeader(lines ...string) *http.Request {
	r, _ := http.NewRequest(http.MethodGet, "/", nil)
	r.Header["Cookie"] = lines
	return r
}

func mustSeal(t testing.TB, c *Cookies, at Site, s *Session) []*http.Cookie {
	t.Helper()
	sealed, err := c.Seal(at, s)
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// valid and login say what a request must mean; login is the word of the
// attack catalogue for "as if nobody were signed in".
func valid(t *testing.T, what string, c *Cookies, at Site, r *http.Request) *Session {
	t.Helper()
	s, state := c.Open(at, r)
	if state != Valid {
		t.Fatalf("%s: state %d, want valid", what, state)
	}
	return s
}

func login(t *testing.T, what string, c *Cookies, at Site, r *http.Request) {
	t.Helper()
	if s, state := c.Open(at, r); state != Invalid || s != nil {
		t.Errorf("%s: state %d, want invalid", what, state)
		return
	}
	if len(c.Clear(at, r)) == 0 {
		t.Errorf("%s: nothing is cleared", what)
	}
}

var app = "https://app.example.com"
