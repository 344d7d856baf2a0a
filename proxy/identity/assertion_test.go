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
	s, err := NewSigner(lb, keys, c.now)
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

func sign(t *testing.T, s *Signer, id *session.Identity, audience string) string {
	t.Helper()
	token, err := s.Sign(id, audience)
	if err != nil {
		t.Fatal(err)
	}
	return token
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
	token := sign(t, s, asker(c), "app")
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
		for i, part := range strings.Split(sign(t, s, id, "app"), ".")[:2] {
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

func TestAssertionIsReusedForHalfItsLife(t *testing.T) {
	s, c := signer(t, key(t, kidOne))
	id := asker(c)
	first := sign(t, s, id, "app")
	c.add(59 * time.Second)
	same := *id // the same session, opened again from its cookie
	if sign(t, s, &same, "app") != first {
		t.Error("signed again after 59 s")
	}
	c.add(time.Second)
	if sign(t, s, id, "app") == first {
		t.Error("still reused after 60 s")
	}
}

func TestAssertionIsNotSharedBeyondWhatItSays(t *testing.T) {
	s, c := signer(t, key(t, kidOne))
	first := sign(t, s, asker(c), "app")
	for name, change := range map[string]func(*session.Identity){
		"user":       func(id *session.Identity) { id.Subject = "other" },
		"issuer":     func(id *session.Identity) { id.Issuer = "https://other.test" },
		"client":     func(id *session.Identity) { id.ClientID = "other" },
		"session":    func(id *session.Identity) { id.SID = "s2" },
		"token":      func(id *session.Identity) { id.JTI = "j" },
		"end":        func(id *session.Identity) { id.Expires = id.Expires.Add(time.Second) },
		"claim":      func(id *session.Identity) { id.Claims = map[string]any{"team": "red"} },
		"credential": func(id *session.Identity) { id.Credential = session.Bearer },
	} {
		id := asker(c)
		change(id)
		if sign(t, s, id, "app") == first {
			t.Errorf("another %s got the assertion of the first", name)
		}
	}
	if sign(t, s, asker(c), "api") == first {
		t.Error("another upstream got the assertion of the first")
	}
	id := asker(c)
	sign(t, s, id, "app")
	if err := s.SetKeys([]*jose.Key{key(t, kidTwo)}); err != nil {
		t.Fatal(err)
	}
	if sign(t, s, id, "app") == first || sign(t, s, asker(c), "app") == first {
		t.Error("an assertion under the old key outlived the rotation")
	}
	if one, other := sign(t, s, id, "app"), sign(t, s, id, "api"); one == other {
		t.Error("another upstream got the assertion of the first")
	}
}

func TestAssertionEndsWithTheCredential(t *testing.T) {
	s, c := signer(t, key(t, kidOne))
	id := asker(c)
	id.Expires = c.now().Add(30 * time.Second)
	token := sign(t, s, id, "app")
	if got := fmt.Sprint(claims(t, s, token).Claims["exp"]); got != fmt.Sprint(id.Expires.Unix()) {
		t.Errorf("exp = %s, want that of the credential %d", got, id.Expires.Unix())
	}
	c.add(30 * time.Second)
	if _, err := s.Sign(id, "app"); !errors.Is(err, ErrExpired) {
		t.Errorf("after the end: %v, want ErrExpired", err)
	}
}

func TestAssertionSaysNothingUnproven(t *testing.T) {
	s, c := signer(t, key(t, kidOne))
	id := asker(c)
	id.EmailVerified, id.Listed = false, false
	id.Claims["email_verified"] = "true"
	id.Claims["bad\"name"] = true
	got := claims(t, s, sign(t, s, id, "app")).Claims
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
	token := sign(t, s, id, "app")
	got := claims(t, s, token).Claims
	if len(token) > 8<<10 || got["story"] != nil || got["sub"] != "7f1c" || got["aud"] != "app" {
		t.Errorf("%d bytes with %d claims, want the core in 8 KiB", len(token), len(got))
	}
	id = asker(c)
	id.Username = strings.Repeat("x", 10_000)
	if _, err := s.Sign(id, "app"); !errors.Is(err, ErrTooLong) {
		t.Errorf("a user name of 10,000 letters: %v, want ErrTooLong", err)
	}
}

func TestKeysArePublished(t *testing.T) {
	one, two := key(t, kidOne), key(t, kidTwo)
	s, c := signer(t, two, one)
	if got := claims(t, s, sign(t, s, asker(c), "app")).Header["kid"]; got != kidTwo {
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
		if _, err := NewSigner(lb, bad, nil); !errors.Is(err, ErrKey) {
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
	if left, err := plan.Apply(h, asker(c)); err != nil || left != 0 {
		t.Fatalf("%d left, %v", left, err)
	}
	if h.Get("X-Amzn-Oidc-Accesstoken") != "at.x.y" || h.Get("X-Amzn-Oidc-Identity") != "7f1c" || len(h) != 3 {
		t.Errorf("headers %v", h)
	}
	claims(t, s, h.Get("X-Amzn-Oidc-Data"))
	ended := asker(c)
	ended.Expires = c.now()
	if _, err := plan.Apply(http.Header{}, ended); !errors.Is(err, ErrExpired) {
		t.Errorf("an ended credential: %v, want ErrExpired", err)
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newAssertions[int]()
	now := time.Now()
	for i := range 100_000 {
		c.keep(i, assertion{token: "x", until: now.Add(time.Minute)})
		if _, ok := c.find(i, now); !ok {
			t.Fatalf("entry %d is forgotten at once", i)
		}
	}
	total := 0
	for i := range c.shards {
		total += len(c.shards[i].young) + len(c.shards[i].old)
	}
	if total > 2*cacheShards*shardSize {
		t.Errorf("%d entries are kept", total)
	}
}

func BenchmarkSignRemembered(b *testing.B) {
	k, err := jose.GenerateKey(jose.ES256, kidOne)
	if err != nil {
		b.Fatal(err)
	}
	s, err := NewSigner(lb, []*jose.Key{k}, nil)
	if err != nil {
		b.Fatal(err)
	}
	id := alice()
	id.Expires = time.Now().Add(time.Hour)
	b.Run("identity", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Sign(id, "app"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("content", func(b *testing.B) {
		for b.Loop() {
			again := *id
			if _, err := s.Sign(&again, "app"); err != nil {
				b.Fatal(err)
			}
		}
	})
}
