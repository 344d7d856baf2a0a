package bearer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/inproc"
	"gatehouse/internal/jose"
	"gatehouse/session"
)

// fake is an issuer that publishes keys, over HTTP or in process.
type fake struct {
	url     string
	mu      sync.Mutex
	keys    []*jose.Key
	answer  http.HandlerFunc // instead of the key set
	fetches atomic.Int64
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	keys, answer := f.keys, f.answer
	f.mu.Unlock()
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(map[string]string{"issuer": f.url, "jwks_uri": f.url + "/jwks"})
	case "/jwks":
		f.fetches.Add(1)
		if answer != nil {
			answer(w, r)
			return
		}
		var public []*jose.PublicKey
		for _, k := range keys {
			public = append(public, k.Public())
		}
		_ = json.NewEncoder(w).Encode(jose.NewKeySet(public...))
	default:
		http.NotFound(w, r)
	}
}

func (f *fake) set(answer http.HandlerFunc, keys ...*jose.Key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer, f.keys = answer, keys
}

func (f *fake) client(string) *http.Client {
	u, _ := url.Parse(f.url)
	return inproc.Client(u, f)
}

func newKey(t testing.TB, id string) *jose.Key {
	t.Helper()
	k, err := jose.GenerateKey(jose.ES256, id)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

const ownURL = "https://login.example.com"

type claims = map[string]any

// person is an access token of alice as our provider mints it.
func person(changes claims) claims {
	now := time.Now().Unix()
	c := claims{
		"iss": ownURL, "sub": "7d1b", "token_use": "access", "client_id": "web", "scope": "openid orders.read",
		"username": "alice", "cognito:groups": []string{"admins", "staff"}, "version": 2,
		"iat": now, "exp": now + 3600, "auth_time": now - 10, "jti": "j1", "origin_jti": "o1",
	}
	for name, v := range changes {
		if c[name] = v; v == nil {
			delete(c, name)
		}
	}
	return c
}

func sign(t testing.TB, k *jose.Key, header, c claims) string {
	t.Helper()
	token, err := jose.Sign(k, header, c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func verifier(t testing.TB, f *fake, cfg Config, own *Issuer) *Verifier {
	t.Helper()
	v, err := New(cfg, own, f.client, nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func own(t testing.TB, clients ...string) (*Verifier, *fake, *jose.Key) {
	t.Helper()
	k := newKey(t, "k1")
	f := &fake{url: ownURL, keys: []*jose.Key{k}}
	return verifier(t, f, Config{Clients: clients}, Own(ownURL)), f, k
}

func take(t *testing.T, v *Verifier, token string) *session.Identity {
	t.Helper()
	id, err := v.Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func refuse(t *testing.T, what string, v *Verifier, token string, want Reason) {
	t.Helper()
	id, err := v.Verify(t.Context(), token)
	var e *Error
	if !errors.As(err, &e) || id != nil {
		t.Errorf("%s: accepted", what)
		return
	}
	if want != "" && e.Reason != want {
		t.Errorf("%s: %v, want %s", what, err, want)
	}
	if strings.Contains(err.Error(), "7d1b") || len(token) > 20 && strings.Contains(err.Error(), token[:20]) {
		t.Errorf("%s: the error quotes the token: %v", what, err)
	}
}

func TestIssuerIsExact(t *testing.T) {
	v, _, k := own(t)
	for _, iss := range []any{
		nil, "", ownURL + "/", "HTTPS://login.example.com", "https://login.example.co", "https://login.example.com.evil.test",
		"https://login.example.com:443", " " + ownURL, ownURL + "\u200b",
		[]string{ownURL},
		[]string{"https://evil.test", ownURL},
		7, true,
		map[string]any{"x": ownURL},
		"https://login.example.com/pool",
	} {
		refuse(t, fmt.Sprint(iss), v, sign(t, k, nil, person(claims{"iss": iss})), WrongIssuer)
	}
}

func TestTimes(t *testing.T) {
	v, _, k := own(t)
	now := time.Now().Unix()
	raw := func(exp string) string {
		c, _ := json.Marshal(person(claims{"exp": 0}))
		payload := strings.Replace(string(c), `"exp":0`, `"exp":`+exp, 1)
		token, err := jose.SignPayload(k, []byte(`{"alg":"ES256","kid":"k1"}`), []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	refuse(t, "no exp", v, sign(t, k, nil, person(claims{"exp": nil})), Expired)
	for _, exp := range []string{`"9999999999"`, "1e300", "-1", "null", "true", `"NaN"`, "[]", "{}", "1e18", "0", fmt.Sprint(now - 31), "253402300800"} {
		refuse(t, "exp "+exp, v, raw(exp), Expired)
	}
	take(t, v, raw(fmt.Sprint(now)+".75"))
	take(t, v, raw(fmt.Sprint(now-25))) // within the leeway
	for _, name := range []string{"nbf", "iat"} {
		refuse(t, name+" in the future", v, sign(t, k, nil, person(claims{name: now + 40})), Expired)
		refuse(t, name+" a string", v, sign(t, k, nil, person(claims{name: "0"})), Expired)
		take(t, v, sign(t, k, nil, person(claims{name: now + 20})))
	}
}

// TestLeewayEndsOnTheSecond: whoever is believed has an identity that has not
// ended, or what is signed for upstreams would have ended before it began.
func TestLeewayEndsOnTheSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, f, k := own(t)
		exp := time.Now().Add(time.Minute)
		token := sign(t, k, nil, person(claims{"exp": exp.Unix()}))
		for range 89 {
			if id := take(t, v, token); !time.Now().Before(id.Expires) || !id.Expires.Equal(exp.Add(defaultLeeway)) {
				t.Fatalf("believed %v after exp, ends %v after it", time.Since(exp), id.Expires.Sub(exp))
			}
			time.Sleep(time.Second)
		}
		take(t, v, token)
		time.Sleep(time.Second)
		refuse(t, "past the leeway", v, token, Expired)

		strict := verifier(t, f, Config{Issuers: []*Issuer{{Issuer: ownURL, Audiences: []string{"api"}}}}, nil)
		exp = time.Now().Add(time.Minute)
		token = sign(t, k, nil, person(claims{"aud": "api", "exp": exp.Unix()}))
		if id := take(t, strict, token); !id.Expires.Equal(exp) {
			t.Errorf("ends %v after exp, want no leeway", id.Expires.Sub(exp))
		}
	})
}

func TestOtherKindsOfTokenAreRefused(t *testing.T) {
	v, _, k := own(t)
	for what, c := range map[string]claims{
		"ID token":                person(claims{"token_use": "id", "aud": "web", "nonce": "n", "at_hash": "h"}),
		"ID token of another use": person(claims{"token_use": nil, "aud": "web"}),
		"no token_use":            person(claims{"token_use": nil}),
		"token_use of a list":     person(claims{"token_use": []string{"access"}}),
		"refresh token":           person(claims{"token_use": "refresh"}),
		"nonce":                   person(claims{"nonce": "x"}),
		"at_hash":                 person(claims{"at_hash": "x"}),
		"logout token":            person(claims{"events": claims{"http://schemas.openid.net/event/backchannel-logout": claims{}}}),
		"Keycloak refresh":        person(claims{"typ": "Refresh"}),
		"Keycloak ID":             person(claims{"typ": "ID"}),
	} {
		refuse(t, what, v, sign(t, k, nil, c), WrongType)
	}
	for _, typ := range []any{"logout+jwt", "dpop+jwt", "secevent+jwt", "gatehouse-assertion+jwt", "JWE", "", "at+jwt;x", "application/x", "token-introspection+jwt"} {
		refuse(t, fmt.Sprint("typ ", typ), v, sign(t, k, claims{"typ": typ}, person(nil)), WrongType)
	}
	for _, typ := range []string{"JWT", "jwt", "at+jwt", "application/at+jwt", "AT+JWT"} {
		take(t, v, sign(t, k, claims{"typ": typ}, person(nil)))
	}
	// An assertion to an upstream names our issuer, under a key of its own.
	assertion := newKey(t, "assertion")
	refuse(t, "assertion", v, sign(t, assertion, claims{"typ": "JWT"}, person(nil)), BadKey)
	refuse(t, "no sub", v, sign(t, k, nil, person(claims{"sub": nil})), Malformed)
	refuse(t, "empty sub", v, sign(t, k, nil, person(claims{"sub": ""})), Malformed)
}

func TestAudience(t *testing.T) {
	k := newKey(t, "k1")
	f := &fake{url: ownURL, keys: []*jose.Key{k}}
	mine := verifier(t, f, Config{}, Own(ownURL, "https://app.example.com"))
	take(t, mine, sign(t, k, nil, person(nil)))
	take(t, mine, sign(t, k, nil, person(claims{"aud": "https://app.example.com"})))
	take(t, mine, sign(t, k, nil, person(claims{"aud": []string{"x", "https://app.example.com"}})))
	for _, aud := range []any{"https://api.example.com", "", []string{}, []string{"x"}, 7, "https://app.example.com/", claims{}} {
		refuse(t, fmt.Sprint("own, aud ", aud), mine, sign(t, k, nil, person(claims{"aud": aud})), Audience)
	}
	foreign := verifier(t, f, Config{Issuers: []*Issuer{{Issuer: ownURL, Audiences: []string{"api"}}}}, nil)
	refuse(t, "foreign without aud", foreign, sign(t, k, nil, person(nil)), Audience)
	take(t, foreign, sign(t, k, nil, person(claims{"aud": "api"})))
	if _, err := New(Config{Issuers: []*Issuer{{Issuer: ownURL}}}, nil, f.client, nil); err == nil {
		t.Error("a foreign issuer without audiences")
	}
}

func TestUnknownKidFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, f, k := own(t)
		take(t, v, sign(t, k, nil, person(nil)))
		for i := range 1000 {
			refuse(t, "invented kid", v, sign(t, newKey(t, fmt.Sprint("kid", i)), nil, person(nil)), BadKey)
		}
		if n := f.fetches.Load(); n != 1 {
			t.Errorf("%d fetches within 30 s", n)
		}
		time.Sleep(31 * time.Second)
		for i := range 100 {
			refuse(t, "invented kid", v, sign(t, newKey(t, fmt.Sprint("kid", i)), nil, person(nil)), BadKey)
		}
		if n := f.fetches.Load(); n != 2 {
			t.Errorf("%d fetches, want one more", n)
		}
	})
}

func TestKeyRotationAtTheIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, f, old := own(t)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { v.Run(ctx); close(done) }()
		synctest.Wait()
		token := func(k *jose.Key) string { return sign(t, k, nil, person(claims{"exp": time.Now().Unix() + 100000})) }
		take(t, v, token(old))
		first := v.Generation()
		time.Sleep(keysFresh + time.Minute) // fetched again, and the same
		synctest.Wait()
		if v.Generation() != first {
			t.Error("the generation changed though the keys did not")
		}
		next := newKey(t, "k2")
		f.set(nil, old, next)
		time.Sleep(31 * time.Second)
		take(t, v, token(next)) // a new kid is fetched on sight
		f.set(nil, next)
		before := v.Generation()
		time.Sleep(keysFresh + time.Minute)
		synctest.Wait()
		if v.Generation() == before || before == first {
			t.Error("keys came and went, and the generation is the same")
		}
		refuse(t, "retired key", v, token(old), BadKey)

		// Down, nonsense, empty: the last good keys serve for a day, no longer.
		for _, answer := range []http.HandlerFunc{
			func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "down", http.StatusBadGateway) },
			func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>maintenance")) },
			func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) },
			func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/other", http.StatusFound) },
		} {
			f.set(answer)
			time.Sleep(5 * time.Hour)
			take(t, v, token(next))
		}
		before = v.Generation()
		time.Sleep(5 * time.Hour)
		if v.Generation() == before {
			t.Error("keys are too old to be believed, and the generation is the same")
		}
		refuse(t, "a day later", v, token(next), Unavailable)
		f.set(nil, next)
		time.Sleep(time.Minute)
		take(t, v, token(next))
		stop()
		<-done
	})
}

func TestSlowIssuerDelaysNobodyItsKeysAreKnownOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, f, k := own(t)
		token := sign(t, k, nil, person(claims{"exp": time.Now().Unix() + 100000}))
		take(t, v, token)
		f.set(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		time.Sleep(keysFresh + 10*time.Minute)
		slow := make(chan struct{})
		go func() {
			defer close(slow)
			_, _ = v.Verify(context.Background(), sign(t, newKey(t, "other"), nil, person(nil)))
		}()
		synctest.Wait()
		start := time.Now()
		take(t, v, token)
		if took := time.Since(start); took != 0 {
			t.Errorf("a valid token waited %v", took)
		}
		// Whoever waits leaves when its own patience ends.
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := v.Verify(impatient, sign(t, newKey(t, "another"), nil, person(nil))); err == nil || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		<-slow
	})
}

func TestManyAtOnceFetchOnce(t *testing.T) {
	v, f, k := own(t)
	token := sign(t, k, nil, person(nil))
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			if i%2 == 1 {
				cancel()
			}
			defer cancel()
			if _, err := v.Verify(ctx, token); err != nil && i%2 == 0 {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := f.fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func TestOverHTTPAndUnavailable(t *testing.T) {
	f := &fake{keys: []*jose.Key{newKey(t, "k1")}}
	server := httptest.NewServer(f)
	f.url = server.URL
	direct := func(string) *http.Client { return &http.Client{} }
	v, err := New(Config{}, Own(server.URL), direct, nil)
	if err != nil {
		t.Fatal(err)
	}
	take(t, v, sign(t, f.keys[0], nil, person(claims{"iss": server.URL})))
	server.Close()
	take(t, v, sign(t, f.keys[0], nil, person(claims{"iss": server.URL})))
	down, err := New(Config{}, Own(server.URL), direct, nil)
	if err != nil {
		t.Fatal(err)
	}
	refuse(t, "issuer down", down, sign(t, f.keys[0], nil, person(claims{"iss": server.URL})), Unavailable)
}

func TestDiscoveryOfAnotherIssuerIsRefused(t *testing.T) {
	k := newKey(t, "k1")
	for _, doc := range []string{
		`{"issuer":"https://evil.test","jwks_uri":"https://login.example.com/jwks"}`,
		`{"issuer":"https://login.example.com","jwks_uri":"http://login.example.com/jwks"}`,
		`{"issuer":"https://login.example.com"}`, `<html>`, ``,
	} {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(doc)) })
		u, _ := url.Parse(ownURL)
		v, err := New(Config{}, Own(ownURL), func(string) *http.Client { return inproc.Client(u, h) }, nil)
		if err != nil {
			t.Fatal(err)
		}
		refuse(t, doc, v, sign(t, k, nil, person(nil)), Unavailable)
	}
}

func TestMalformedTokens(t *testing.T) {
	v, f, _ := own(t)
	for _, token := range []string{"", "junk", "a.b.c", "e30.e30.", strings.Repeat("a", 9000), "e30.e30.AA", "Bearer x"} {
		refuse(t, token, v, token, "")
	}
	if f.fetches.Load() != 0 {
		t.Error("junk caused a fetch")
	}
}

func BenchmarkVerify(b *testing.B) {
	v, _, k := own(b, "web")
	token := sign(b, k, nil, person(nil))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}
