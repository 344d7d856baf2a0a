package session

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestTamperedCookiesCountAsNone(t *testing.T) {
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
// a lenient decoder ignores them.
func TestEveryCookieHasOneSpelling(t *testing.T) {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	at, c := site(t, app), cookies(t, "", key(1))
	s := alice(at.Host)
	for range 6 {
		s.Name += "x"
		v := mustSeal(t, c, at, s)[0].Value
		for _, d := range digits {
			if other := v[:len(v)-1] + string(d); other != v {
				login(t, "other last digit", c, at, withHeader("__Host-gatehouse="+other))
			}
		}
		for _, other := range []string{v + "=", v + "==", v + "\n", v[:4] + "\r\n" + v[4:]} {
			login(t, "padding or line break", c, at, withHeader("__Host-gatehouse="+other))
		}
		long, ok := lengthen(v)
		if !ok {
			t.Fatal("a value has no longer spelling")
		}
		login(t, "the spelling of securecookie", c, at, withHeader("__Host-gatehouse="+long))
	}
}

func TestBothSpellingsSayTheSame(t *testing.T) {
	for n := range 70 {
		raw := make([]byte, headSize+n)
		for i := range raw {
			raw[i] = byte(31*i + n) // holds "|" here and there
		}
		raw[0] = 0
		value := base64.RawURLEncoding.EncodeToString(raw)
		long, ok := lengthen(value)
		if !ok || len(long) > longLength(len(value)) {
			t.Fatalf("%d bytes: %d of at most %d, %t", len(raw), len(long), longLength(len(value)), ok)
		}
		if again, ok := shorten(long); !ok || again != value {
			t.Errorf("%q became %q", value, again)
		}
	}
}

// FuzzLengthen: whatever a browser sends, what opens is the one spelling of it.
func FuzzLengthen(f *testing.F) {
	f.Add(strings.Repeat("A", 51))
	f.Add("A\n" + strings.Repeat("A", 60))
	f.Fuzz(func(t *testing.T, value string) {
		long, ok := lengthen(value)
		if !ok {
			return
		}
		if again, ok := shorten(long); !ok || again != value || len(long) > longLength(len(value)) {
			t.Errorf("%q became %q", value, again)
		}
	})
}

func TestDoubledCookiesCountAsNone(t *testing.T) {
	at, c := site(t, app), cookies(t, "", key(1))
	one := mustSeal(t, c, at, alice(at.Host))[0]
	other := mustSeal(t, c, at, alice(at.Host))[0]
	login(t, "two sessions", c, at, request(one, other))
	login(t, "the same twice", c, at, request(one, one))
	login(t, "two header lines", c, at, withHeader("__Host-gatehouse="+one.Value, "a=b; __Host-gatehouse="+other.Value))
	login(t, "empty and valid", c, at, withHeader("__Host-gatehouse=; __Host-gatehouse="+one.Value))
	login(t, "spaces around one", c, at, withHeader("__Host-gatehouse ="+one.Value+"; __Host-gatehouse="+one.Value))
}

func TestOnlyTheExactNameCounts(t *testing.T) {
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

func TestForeignSessionsCountAsNone(t *testing.T) {
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
