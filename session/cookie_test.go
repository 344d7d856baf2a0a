package session

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

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
	if id.Credential != Cookie || !id.Person || !id.Listed || !id.ClientNamed || id.SID != s.ID || !id.IssuedAt.Equal(s.Created) || id.Subject != s.Subject || len(id.Scopes) != 2 {
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

func TestBothKeysAreDemanded(t *testing.T) {
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

func TestChunks(t *testing.T) {
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
	// One value has one spelling: a further part that is empty makes it another.
	exact := strings.Repeat("v", partSize)
	for _, more := range []string{"", "; " + partName(at, 1) + "=", "; " + partName(at, 1) + "=; " + partName(at, 2) + "=w"} {
		k, state := c.Find(at, withHeader(partName(at, 0)+"="+exact+more))
		if (state == Valid) != (more == "") || more == "" && k.Value != exact {
			t.Errorf("a value that fills a part, then %q: state %v", more, state)
		}
	}
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

func TestKeyRotation(t *testing.T) {
	at := site(t, app)
	sealed := mustSeal(t, cookies(t, "", key(1)), at, alice(at.Host))
	valid(t, "rotated once", cookies(t, "", key(2), key(1)), at, request(sealed...))
	valid(t, "rotated twice", cookies(t, "", key(3), key(2), key(1)), at, request(sealed...))
	login(t, "rotated three times", cookies(t, "", key(4), key(3), key(2)), at, request(sealed...))
	newest := mustSeal(t, cookies(t, "", key(2), key(1)), at, alice(at.Host))
	login(t, "sealed with the newest key", cookies(t, "", key(1)), at, request(newest...))
}

func TestSessionsDieWithTheProcessWithoutAJournal(t *testing.T) {
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
