package session

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
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

func TestSessionRoundTrip(t *testing.T) {
	at, c := site(t, app), cookies(t, "", key(1))
	s := alice(at.Host)
	sealed := mustSeal(t, c, at, s)
	if len(sealed) != 1 || len(sealed[0].Value) > 1600 {
		t.Errorf("%d cookies, the first has %d bytes", len(sealed), len(sealed[0].Value))
	}
	got := valid(t, "sealed", c, at, request(sealed...))
	want := *s
	want.Seen, want.parts = got.Seen, 1
	if time.Since(got.Seen) > time.Minute {
		t.Errorf("seen at %v", got.Seen)
	}
	if !reflect.DeepEqual(fmt.Sprintf("%+v", *got), fmt.Sprintf("%+v", want)) {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
	if !reflect.DeepEqual(got.Claims, want.Claims) {
		t.Errorf("claims %v, want %v", got.Claims, want.Claims)
	}
	id := got.Identity()
	if id.Credential != Cookie || !id.Person || !id.Listed || id.SID != s.ID || !id.IssuedAt.Equal(s.Created) || id.Subject != s.Subject || len(id.Scopes) != 2 {
		t.Errorf("identity %+v", id)
	}
}

func TestCookieAttributes(t *testing.T) {
	c := cookies(t, "", key(1))
	at := site(t, app)
	got := mustSeal(t, c, at, alice(at.Host))[0].String()
	value := got[strings.IndexByte(got, '=')+1 : strings.IndexByte(got, ';')]
	if want := "__Host-gatehouse=" + value + "; Path=/; HttpOnly; Secure; SameSite=Lax"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	plain := site(t, "http://localhost:8080")
	got = mustSeal(t, c, plain, alice(plain.Host))[0].String()
	if !strings.HasPrefix(got, "gatehouse-8080=") || strings.Contains(got, "Secure") {
		t.Errorf("plain http: %s", got)
	}
	if got := c.Clear(at, withHeader("a=b; __Host-gatehouse=x")); len(got) != 1 || got[0].String() != "__Host-gatehouse=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax" {
		t.Errorf("cleared by %v", got)
	}
	if got := c.Clear(at, withHeader("a=b")); got != nil {
		t.Errorf("cleared %v from a browser without", got)
	}
}

func TestBothKeysAreDemanded(t *testing.T) { // S30
	good := key(1)
	for name, k := range map[string]CookieKey{
		"no keys": {}, "no block key": {Hash: good.Hash}, "no hash key": {Block: good.Block},
		"short hash": {Hash: good.Hash[:32], Block: good.Block}, "AES-128": {Hash: good.Hash, Block: good.Block[:16]},
	} {
		if _, err := NewCookies(config(), []CookieKey{k}, Options{}); err == nil {
			t.Errorf("accepted %s", name)
		}
	}
	for name, keys := range map[string][]CookieKey{"none": nil, "four": {key(1), key(2), key(3), key(4)}, "twice": {key(1), key(1)}} {
		if _, err := NewCookies(config(), keys, Options{}); err == nil {
			t.Errorf("accepted %s", name)
		}
	}
	if _, err := NewCookies(Config{}, []CookieKey{good}, Options{}); err == nil {
		t.Error("accepted a configuration without limits")
	}
	// What is sealed is not readable.
	at, c := site(t, app), cookies(t, "", good)
	for _, ck := range mustSeal(t, c, at, alice(at.Host)) {
		if strings.Contains(ck.Value, "alice") {
			t.Error("the cookie is not encrypted")
		}
	}
}

func TestSealDoesNotTouchTheCallersBytes(t *testing.T) {
	c := cookies(t, "", key(1))
	box, err := c.Box("test", 1000, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	plain := []byte("the caller's own bytes")
	value, err := box.Seal("h", plain)
	if err != nil || string(plain) != "the caller's own bytes" {
		t.Fatalf("%v, %q", err, plain)
	}
	if got, ok := box.Open("h", value); !ok || string(got) != string(plain) {
		t.Errorf("opened %q %v", got, ok)
	}
}

// large returns a session that needs n cookies.
func large(t *testing.T, c *Cookies, at Site, n int) (*Session, []*http.Cookie) {
	t.Helper()
	s := alice(at.Host)
	for {
		sealed := mustSeal(t, c, at, s)
		if len(sealed) >= n {
			return s, sealed
		}
		s.IDToken += rand.Text()
	}
}

func TestTamperedCookiesCountAsNone(t *testing.T) { // T139
	at, c := site(t, app), cookies(t, "", key(1))
	sealed := mustSeal(t, c, at, alice(at.Host))
	value := sealed[0].Value
	set := func(v string) *http.Request { return withHeader("__Host-gatehouse=" + v) }
	valid(t, "control", c, at, set(value))
	for i := range value {
		for _, b := range []byte{value[i] ^ 1, value[i] ^ 0x20, 'A', '=', '-', '+', '/', '\n', '%', '"'} {
			if b != value[i] && b != ';' {
				login(t, fmt.Sprintf("byte %d is %q", i, b), c, at, set(value[:i]+string(b)+value[i+1:]))
			}
		}
	}
	for i := range value {
		login(t, fmt.Sprintf("cut to %d", i), c, at, set(value[:i]))
	}
	for _, v := range []string{
		value + "A", value + "AAAA", value + "=", value + value, "A" + value, `"` + value + `"`, value + "%3D",
		strings.TrimRight(value, "=") + "====", value[:8] + "\r\n" + value[8:], strings.ToUpper(value), "", "x",
	} {
		login(t, fmt.Sprintf("%.20q… (%d bytes)", v, len(v)), c, at, set(v))
	}
}

// TestEveryCookieHasOneSpelling looks for stray bits at the end of the base64:
// a lenient decoder ignores them (S9).
func TestEveryCookieHasOneSpelling(t *testing.T) {
	at, c := site(t, app), cookies(t, "", key(1))
	s := alice(at.Host)
	for range 6 {
		s.Name += "x"
		v := mustSeal(t, c, at, s)[0].Value
		body := strings.TrimRight(v, "=")
		for _, d := range digits {
			other := body[:len(body)-1] + string(d) + v[len(body):]
			if other != v {
				login(t, "other last digit", c, at, withHeader("__Host-gatehouse="+other))
			}
		}
		if len(body) != len(v) {
			login(t, "no padding", c, at, withHeader("__Host-gatehouse="+body))
		}
	}
}

func TestChunks(t *testing.T) { // T139
	at, c := site(t, app), cookies(t, "", key(1))
	for n := 1; n <= 4; n++ {
		_, sealed := large(t, c, at, n)
		if len(sealed) != n {
			t.Fatalf("%d cookies, want %d", len(sealed), n)
		}
		for i, ck := range sealed {
			if want := partName(at, i); ck.Name != want || len(ck.Name)+len(ck.Value) > 4096 {
				t.Errorf("part %d is %s with %d bytes", i, ck.Name, len(ck.Value))
			}
		}
		valid(t, fmt.Sprintf("%d parts", n), c, at, request(sealed...))
		shuffled := append([]*http.Cookie{sealed[n-1]}, sealed[:n-1]...)
		valid(t, "order of cookies", c, at, request(shuffled...))
	}
	s, sealed := large(t, c, at, 3)
	name := func(i, from int) *http.Cookie { return &http.Cookie{Name: sealed[i].Name, Value: sealed[from].Value} }
	login(t, "parts exchanged", c, at, request(sealed[0], name(1, 2), name(2, 1)))
	login(t, "first and second exchanged", c, at, request(name(0, 1), name(1, 0), sealed[2]))
	login(t, "last part lost", c, at, request(sealed[0], sealed[1]))
	login(t, "middle part lost", c, at, request(sealed[0], sealed[2]))
	login(t, "first part lost", c, at, request(sealed[1], sealed[2]))
	login(t, "a part twice", c, at, request(sealed[0], sealed[1], sealed[2], sealed[1]))
	again := mustSeal(t, c, at, s)
	login(t, "parts of two seals", c, at, request(sealed[0], again[1], sealed[2]))
	// The same bytes cut elsewhere.
	cut := sealed[0].Value[:partSize-4]
	login(t, "cut elsewhere", c, at, request(&http.Cookie{Name: sealed[0].Name, Value: cut}, &http.Cookie{Name: sealed[1].Name, Value: sealed[0].Value[partSize-4:] + sealed[1].Value}, sealed[2]))

	s.IDToken = strings.Repeat("x", 20000)
	if _, err := c.Seal(at, s); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a session of 20 kB: %v", err)
	}
}

func TestStalePartsAreClearedAndDoNotCount(t *testing.T) {
	at, c := site(t, app), cookies(t, "", key(1))
	_, long := large(t, c, at, 3)
	short := mustSeal(t, c, at, alice(at.Host))
	mixed := request(short[0], long[1], long[2])
	s := valid(t, "left-over parts", c, at, mixed)
	next := mustSeal(t, c, at, s)
	if len(next) != 3 || next[1].MaxAge >= 0 || next[2].MaxAge >= 0 || next[1].Name != "__Host-gatehouse-1" {
		t.Errorf("left-over parts stay: %v", next)
	}
	replaced, err := c.Replace(at, request(long...), alice(at.Host))
	if err != nil || len(replaced) != 3 || replaced[2].MaxAge >= 0 {
		t.Errorf("replaced by %v, %v", replaced, err)
	}
}

func TestDoubledCookiesCountAsNone(t *testing.T) { // T130
	at, c := site(t, app), cookies(t, "", key(1))
	one := mustSeal(t, c, at, alice(at.Host))[0]
	other := mustSeal(t, c, at, alice(at.Host))[0]
	login(t, "two sessions", c, at, request(one, other))
	login(t, "the same twice", c, at, request(one, one))
	login(t, "two header lines", c, at, withHeader("__Host-gatehouse="+one.Value, "a=b; __Host-gatehouse="+other.Value))
	login(t, "empty and valid", c, at, withHeader("__Host-gatehouse=; __Host-gatehouse="+one.Value))
	login(t, "spaces around one", c, at, withHeader("__Host-gatehouse ="+one.Value+"; __Host-gatehouse="+one.Value))
}

func TestOnlyTheExactNameCounts(t *testing.T) { // T138
	at, c := site(t, app), cookies(t, "", key(1))
	v := mustSeal(t, c, at, alice(at.Host))[0].Value
	for _, line := range []string{
		"\xe2\x80\x80__Host-gatehouse=" + v, "\x85__Host-gatehouse=" + v, "\xa0__Host-gatehouse=" + v,
		"=__Host-gatehouse=" + v, "$Version=1; $__Host-gatehouse=" + v, "__host-gatehouse=" + v, "__Host-gatehouse-4=" + v,
		"__Host-gatehouse-01=" + v, "__Host-gatehouse-login-12345678=" + v, "x__Host-gatehouse=" + v, "gatehouse-443=" + v,
		"__Host-gatehouse", "a=b; ;;; = ;", "", "__Host-gatehousex=" + v, "__Host-gatehouse-0=" + v,
	} {
		if _, state := c.Open(at, withHeader(line)); state != None {
			t.Errorf("%.40q: state %d, want none", line, state)
		}
	}
	valid(t, "among others", c, at, withHeader("a=b;c=d ; \t__Host-gatehouse\t= "+v+" ;e"))
	login(t, "part without a first", c, at, withHeader("__Host-gatehouse-1="+v))
}

func TestForeignSessionsCountAsNone(t *testing.T) { // T139, T141
	at, c := site(t, app), cookies(t, "", key(1))
	other := site(t, "https://admin.example.com")
	sealed := mustSeal(t, c, at, alice(at.Host))
	login(t, "another host", c, other, request(sealed...))
	login(t, "another port", c, site(t, app+":8443"), request(sealed...))
	if _, err := c.Seal(other, alice(at.Host)); err == nil {
		t.Error("sealed for another host")
	}
	login(t, "another installation", cookies(t, "", key(2)), at, request(sealed...))

	box, err := c.Box("login attempt", 4000, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	attempt, err := box.Seal(at.Host, alice(at.Host).encode(1, "", time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	login(t, "another purpose", c, at, withHeader("__Host-gatehouse="+attempt))
	if _, ok := box.Open(at.Host, sealed[0].Value); ok {
		t.Error("a session opens as an attempt")
	}
	if _, err := c.Box("session", 10, time.Hour); err == nil {
		t.Error("another box of the session's purpose")
	}
	// A plain-http cookie of another port or the secure name.
	plain := site(t, "http://localhost:8080")
	p := mustSeal(t, c, plain, alice(plain.Host))
	login(t, "moved to https", c, at, withHeader("__Host-gatehouse="+p[0].Value))
}

func TestKeyRotation(t *testing.T) {
	at := site(t, app)
	sealed := mustSeal(t, cookies(t, "", key(1)), at, alice(at.Host))
	valid(t, "rotated once", cookies(t, "", key(2), key(1)), at, request(sealed...))
	valid(t, "rotated twice", cookies(t, "", key(3), key(2), key(1)), at, request(sealed...))
	login(t, "rotated three times", cookies(t, "", key(4), key(3), key(2)), at, request(sealed...))
	newest := mustSeal(t, cookies(t, "", key(2), key(1)), at, alice(at.Host))
	login(t, "sealed with the newest key", cookies(t, "", key(1)), at, request(newest...))
}

func TestSessionsDieWithTheProcessWithoutAJournal(t *testing.T) { // S2
	at := site(t, app)
	sealed := mustSeal(t, cookies(t, "boot-1", key(1)), at, alice(at.Host))
	valid(t, "same run", cookies(t, "boot-1", key(1)), at, request(sealed...))
	login(t, "next run", cookies(t, "boot-2", key(1)), at, request(sealed...))
	login(t, "with a journal", cookies(t, "", key(1)), at, request(sealed...))
	durable := mustSeal(t, cookies(t, "", key(1)), at, alice(at.Host))
	login(t, "journal lost", cookies(t, "boot-1", key(1)), at, request(durable...))
}

func TestTimeLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at, c := site(t, app), cookies(t, "", key(1))
		s := alice(at.Host)
		s.RefreshToken = ""
		sealed := mustSeal(t, c, at, s)
		time.Sleep(59 * time.Second)
		s = valid(t, "fresh", c, at, request(sealed...))
		if c.Due(s) {
			t.Error("rewritten within a minute")
		}
		time.Sleep(2 * time.Second)
		if !c.Due(s) {
			t.Error("not rewritten after a minute")
		}
		time.Sleep(58 * time.Minute)
		valid(t, "almost idle", c, at, request(sealed...))
		time.Sleep(time.Minute)
		login(t, "idle", c, at, request(sealed...))

		// Busy, but not for ever.
		s = alice(at.Host)
		for range 23 {
			sealed = mustSeal(t, c, at, s)
			time.Sleep(30 * time.Minute)
			s = valid(t, "busy", c, at, request(sealed...))
		}
		sealed = mustSeal(t, c, at, s)
		time.Sleep(30 * time.Minute)
		login(t, "past its lifetime", c, at, request(sealed...))

		future := alice(at.Host)
		future.Created = time.Now().Add(time.Hour)
		login(t, "from the future", c, at, request(mustSeal(t, c, at, future)...))
	})
}

func TestRewriteKeepsClearOfARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cookies(t, "", key(1))
		s := alice("app.example.com")
		s.Seen = time.Now()
		time.Sleep(5 * time.Minute)
		if !c.Due(s) {
			t.Error("not rewritten long before a refresh")
		}
		time.Sleep(4 * time.Minute)
		if c.Due(s) {
			t.Error("rewritten shortly before a refresh")
		}
	})
}

func TestScanDoesNotAllocate(t *testing.T) {
	at, c := site(t, app), cookies(t, "", key(1))
	line := "theme=dark; lang=en; __Host-gatehouse=" + mustSeal(t, c, at, alice(at.Host))[0].Value + "; _ga=GA1.1.1"
	r := withHeader(line, "x=y")
	name := at.CookieName()
	if n := testing.AllocsPerRun(100, func() {
		var f found
		f.find(r, name)
		if f.count[0] != 1 {
			t.Fatal("not found")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(alice("h").encode(1, "", time.Now()))
	f.Add([]byte{1, 'S', 1})
	f.Fuzz(func(t *testing.T, text []byte) {
		s, parts, boot, err := decode(text)
		if err != nil {
			return
		}
		// What decodes means the same when written again.
		again, _, _, err := decode(s.encode(parts, boot, s.Seen))
		if err != nil || again.ID != s.ID || len(again.Claims) != len(s.Claims) {
			t.Errorf("%v: %+v became %+v", err, s, again)
		}
	})
}

func FuzzOpen(f *testing.F) {
	at := site(f, app)
	c, err := NewCookies(config(), []CookieKey{key(1)}, Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("__Host-gatehouse=abcd; __Host-gatehouse-1=x")
	f.Fuzz(func(t *testing.T, line string) {
		if _, state := c.Open(at, withHeader(line)); state == Valid {
			t.Errorf("%q is a session", line)
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	at, c := site(b, app), cookies(b, "", key(1))
	r := request(mustSeal(b, c, at, alice(at.Host))...)
	b.ReportAllocs()
	for b.Loop() {
		if _, state := c.Open(at, r); state != Valid {
			b.Fatal(state)
		}
	}
}
