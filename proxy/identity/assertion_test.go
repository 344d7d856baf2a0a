package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/jose"
	"gatehouse/session"
)

const (
	kidOne = "0b2f6a34-7f0e-4c59-9f2e-0d6a1c0f3b11"
	kidTwo = "5d1c7b1a-91a4-4ad2-8d3f-6b1f0e2a9c22"
	lb     = "arn:aws:elasticloadbalancing:xx-gatehouse-1:000000000000:loadbalancer/app/gatehouse/0123456789abcdef"
)

// clock is a time that tests move by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time      { c.mu.Lock(); defer c.mu.Unlock(); return c.t }
func (c *clock) add(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.t = c.t.Add(d) }

func key(t *testing.T, kid string) *jose.Key {
	t.Helper()
	k, err := jose.GenerateKey(jose.ES256, kid)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func signer(t *testing.T, keys ...*jose.Key) (*Signer, *clock) {
	t.Helper()
	c := &clock{t: time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)}
	s, err := NewSigner(lb, keys)
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

// asker is alice with a session that ends in an hour.
func asker(c *clock) *session.Identity {
	id := alice()
	id.Expires = c.now().Add(time.Hour)
	return id
}

func sign(t *testing.T, s *Signer, id *session.Identity, c *clock) string {
	t.Helper()
	a, err := s.Sign(id, "app", c.now())
	if err != nil {
		t.Fatal(err)
	}
	return a.Token
}

// claims verifies a token as an application would and returns what it says.
func claims(t *testing.T, s *Signer, token string) *jose.Token {
	t.Helper()
	keys, err := jose.ParseKeySet(s.JWKS())
	if err != nil {
		t.Fatal(err)
	}
	verified, err := jose.Verify(token, keys, jose.ES256)
	if err != nil {
		t.Fatalf("verify %s: %v", token, err)
	}
	return verified
}

func TestAssertionHasTheShapeOfALoadBalancers(t *testing.T) {
	s, c := signer(t, key(t, kidOne))
	token := sign(t, s, asker(c), c)
	parts := strings.Split(token, ".")
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil {
		t.Fatal(err)
	}
	exp := c.now().Add(2 * time.Minute).Unix()
	want := fmt.Sprintf(`{"typ":"JWT","kid":"%s","alg":"ES256","iss":"https://login.test","client":"gatehouse","signer":"%s","exp":%d`, kidOne, lb, exp)
	if !strings.HasPrefix(string(header), want) || strings.Trim(string(header[len(want):]), " ") != "}" {
		t.Errorf("header %s, want %s padded with spaces", header, want)
	}
	for i, part := range parts[:2] {
		if len(part)%4 != 0 {
			t.Errorf("part %d has %d characters: strict decoders want padding", i, len(part))
		}
	}
	got := claims(t, s, token).Claims
	for name, want := range map[string]string{
		"sub": "7f1c", "iss": "https://login.test", "aud": "app", "exp": fmt.Sprint(exp), "email": "alice@example.com",
		"email_verified": "true", "username": "alice", "team": "blue", "name": "Zoë Łukasz 李",
	} {
		if fmt.Sprint(got[name]) != want {
			t.Errorf("claim %s = %v, want %s", name, got[name], want)
		}
	}
	if _, ok := got["nonce"]; ok {
		t.Error("a claim about the token and not the person is in the assertion")
	}
}

func TestAnyLengthNeedsNoPadding(t *testing.T) {
	s, c := signer(t, key(t, kidOne))
	for n := range 7 {
		id := asker(c)
		id.Username, id.ClientID = strings.Repeat("u", n), "клиент"+strings.Repeat("c", n)
		for i, part := range strings.Split(sign(t, s, id, c), ".")[:2] {
			text, err := base64.URLEncoding.DecodeString(part) // demands padding
			if err != nil {
				t.Errorf("part %d: %v", i, err)
			}
			if i == 0 && (!isASCII(string(text)) || !json.Valid(text)) {
				t.Errorf("header %s is not ASCII JSON", text)
			}
		}
	}
}

// What a plan tells is sent for half the life of its assertion, and not once
// another key signs.
func TestAssertionIsSentForHalfItsLife(t *testing.T) {
	s, c := signer(t, key(t, kidOne))
	plan, err := NewPreset(t, "alb").Compile(s, "app")
	if err != nil {
		t.Fatal(err)
	}
	told, err := plan.Tell(asker(c), c.now())
	if err != nil {
		t.Fatal(err)
	}
	for wait, good := range map[time.Duration]bool{0: true, 59 * time.Second: true, time.Minute: false} {
		if told.Good(c.now().Add(wait)) != good {
			t.Errorf("after %v it is good: %t, want %t", wait, !good, good)
		}
	}
	if err := s.SetKeys([]*jose.Key{key(t, kidTwo)}); err != nil {
		t.Fatal(err)
	}
	if told.Good(c.now()) {
		t.Error("an assertion under the old key outlived the rotation")
	}
	if other := compile(t, "default"); told.Of(other) || !told.Of(plan) {
		t.Error("told says another plan made it")
	}
	// Without an assertion there is nothing that ages.
	if told, err := compile(t, "default").Tell(asker(c), c.now()); err != nil || !told.Good(c.now().Add(time.Hour)) {
		t.Errorf("without an assertion it ages, or %v", err)
	}
}

func TestAssertionIsForOneUpstream(t *testing.T) {
	s, c := signer(t, key(t, kidOne))
	a, err := s.Sign(asker(c), "api", c.now())
	if err != nil {
		t.Fatal(err)
	}
	if got := claims(t, s, a.Token).Claims["aud"]; got != "api" {
		t.Errorf("aud = %v, want api", got)
	}
	if got := claims(t, s, sign(t, s, asker(c), c)).Claims["aud"]; got != "app" {
		t.Errorf("aud = %v, want app", got)
	}
}

func TestAssertionEndsWithTheCredential(t *testing.T) {
	s, c := signer(t, key(t, kidOne))
	id := asker(c)
	id.Expires = c.now().Add(30 * time.Second)
	token := sign(t, s, id, c)
	if got := fmt.Sprint(claims(t, s, token).Claims["exp"]); got != fmt.Sprint(id.Expires.Unix()) {
		t.Errorf("exp = %s, want that of the credential %d", got, id.Expires.Unix())
	}
	c.add(30 * time.Second)
	if _, err := s.Sign(id, "app", c.now()); !errors.Is(err, ErrExpired) {
		t.Errorf("after the end: %v, want ErrExpired", err)
	}
}

func TestAssertionSaysNothingUnproven(t *testing.T) {
	s, c := signer(t, key(t, kidOne))
	id := asker(c)
	id.EmailVerified, id.Listed = false, false
	id.Claims["email_verified"] = "true"
	id.Claims["bad\"name"] = true
	got := claims(t, s, sign(t, s, id, c)).Claims
	for _, name := range []string{"email", "email_verified", "cognito:groups", "bad\"name"} {
		if v, ok := got[name]; ok {
			t.Errorf("claim %s = %v is in the assertion", name, v)
		}
	}
}

func TestHugeClaimsAreReducedToTheCore(t *testing.T) {
	s, c := signer(t, key(t, kidOne))
	id := asker(c)
	id.Claims["story"] = strings.Repeat("x", 10_000)
	token := sign(t, s, id, c)
	got := claims(t, s, token).Claims
	if len(token) > 8<<10 || got["story"] != nil || got["sub"] != "7f1c" || got["aud"] != "app" {
		t.Errorf("%d bytes with %d claims, want the core in 8 KiB", len(token), len(got))
	}
	id = asker(c)
	id.Username = strings.Repeat("x", 10_000)
	if _, err := s.Sign(id, "app", c.now()); !errors.Is(err, ErrTooLong) {
		t.Errorf("a user name of 10,000 letters: %v, want ErrTooLong", err)
	}
}

func TestKeysArePublished(t *testing.T) {
	one, two := key(t, kidOne), key(t, kidTwo)
	s, c := signer(t, two, one)
	if got := claims(t, s, sign(t, s, asker(c), c)).Header["kid"]; got != kidTwo {
		t.Errorf("signed with %v, want the first key", got)
	}
	for _, kid := range []string{kidOne, kidTwo} {
		text, ok := s.PEM(kid)
		block, rest := pem.Decode(text)
		if !ok || block == nil || block.Type != "PUBLIC KEY" || len(bytes.TrimSpace(rest)) > 0 {
			t.Fatalf("PEM(%s) = %q", kid, text)
		}
		public, err := x509.ParsePKIXPublicKey(block.Bytes)
		if p, isEC := public.(*ecdsa.PublicKey); err != nil || !isEC || p.Curve != elliptic.P256() {
			t.Errorf("PEM(%s) is %T, %v, want a P-256 key", kid, public, err)
		}
	}
	if _, ok := s.PEM("other"); ok {
		t.Error("an unknown key was found")
	}
	if !strings.Contains(string(s.JWKS()), kidOne) || strings.Contains(string(s.JWKS()), `"d"`) {
		t.Errorf("JWKS = %s", s.JWKS())
	}
	rsa, err := jose.GenerateKey(jose.EdDSA, kidOne)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]*jose.Key{nil, {key(t, "k1")}, {rsa}} {
		if _, err := NewSigner(lb, bad); !errors.Is(err, ErrKey) {
			t.Errorf("keys %v: %v, want ErrKey", bad, err)
		}
	}
}

func TestALBHeaders(t *testing.T) {
	s, c := signer(t, key(t, kidOne))
	plan, err := NewPreset(t, "alb").Compile(s, "app")
	if err != nil {
		t.Fatal(err)
	}
	if !plan.NeedsAccessToken() {
		t.Error("alb passes on the access token and says it does not")
	}
	h := http.Header{}
	told, err := plan.Tell(asker(c), c.now())
	if err != nil || told.Left != 0 {
		t.Fatalf("%+v, %v", told, err)
	}
	told.SetOn(h)
	if h.Get("X-Amzn-Oidc-Accesstoken") != "at.x.y" || h.Get("X-Amzn-Oidc-Identity") != "7f1c" || len(h) != 3 {
		t.Errorf("headers %v", h)
	}
	claims(t, s, h.Get("X-Amzn-Oidc-Data"))
	ended := asker(c)
	ended.Expires = c.now()
	if _, err := plan.Tell(ended, c.now()); !errors.Is(err, ErrExpired) {
		t.Errorf("an ended credential: %v, want ErrExpired", err)
	}
}

func BenchmarkTell(b *testing.B) {
	k, err := jose.GenerateKey(jose.ES256, kidOne)
	if err != nil {
		b.Fatal(err)
	}
	s, err := NewSigner(lb, []*jose.Key{k})
	if err != nil {
		b.Fatal(err)
	}
	id, now := alice(), time.Now()
	id.Expires = now.Add(time.Hour)
	for _, name := range []string{presetDefault, presetALB} {
		headers, err := Preset(name)
		if err != nil {
			b.Fatal(err)
		}
		plan, err := headers.Compile(s, "app")
		if err != nil {
			b.Fatal(err)
		}
		told, err := plan.Tell(id, now)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name+"/anew", func(b *testing.B) {
			for b.Loop() {
				if _, err := plan.Tell(id, now); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/remembered", func(b *testing.B) {
			h := http.Header{}
			for b.Loop() {
				told.SetOn(h)
			}
		})
	}
}
