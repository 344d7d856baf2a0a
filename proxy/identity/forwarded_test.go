package identity

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

var trusted = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}

func TestClientAddress(t *testing.T) {
	many := strings.Repeat("10.1.1.1, ", 5000) + "10.1.1.2"
	for _, c := range []struct {
		peer, want string
		xff        []string
	}{
		{"203.0.113.9:1", "203.0.113.9", nil},
		{"203.0.113.9:1", "203.0.113.9", []string{"10.0.0.1"}}, // nobody asked them
		{"[::ffff:203.0.113.9]:1", "203.0.113.9", []string{"10.0.0.1"}},
		{"10.0.0.7:1", "10.0.0.7", nil},
		{"10.0.0.7:1", "198.51.100.4", []string{"198.51.100.4"}},
		{"[::ffff:10.0.0.7]:1", "198.51.100.4", []string{"198.51.100.4"}},
		{"10.0.0.7:1", "198.51.100.4", []string{"1.2.3.4, 198.51.100.4"}},           // left of it is anybody's word
		{"10.0.0.7:1", "198.51.100.4", []string{"1.2.3.4", "198.51.100.4"}},         // lines count as one list
		{"10.0.0.7:1", "198.51.100.4", []string{"garbage, 198.51.100.4, 10.0.0.9"}}, // garbage that was not reached
		{"10.0.0.7:1", "10.0.0.8", []string{"10.0.0.8, 10.0.0.9"}},                  // all trusted: the first
		{"10.0.0.7:1", "198.51.100.4", []string{"198.51.100.4:5678"}},
		{"10.0.0.7:1", "198.51.100.4", []string{"::ffff:198.51.100.4"}},
		{"[fd00::1]:1", "2001:db8::1", []string{"2001:db8::1"}},
		{"[fd00::1]:1", "2001:db8::1", []string{"[2001:db8::1]:80"}},
		{"10.0.0.7:1", "10.0.0.7", []string{"a"}},
		{"10.0.0.7:1", "10.0.0.7", []string{""}},
		{"10.0.0.7:1", "10.0.0.7", []string{"1.2.3.4, a"}},
		{"10.0.0.7:1", "10.0.0.7", []string{"1.2.3.4,"}},
		{"10.0.0.7:1", "10.0.0.7", []string{"fe80::1%eth0"}},
		{"10.0.0.7:1", "10.0.0.7", []string{many}},
		{"in-process", "invalid IP", []string{"1.2.3.4"}},
		{"@", "invalid IP", nil},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.xff, "X-Real-Ip": {"9.9.9.9"}, "Forwarded": {"for=9.9.9.9"}}}
		got, err := ClientOf(r, trusted)
		if err != nil || got.Addr.String() != c.want {
			t.Errorf("peer %s, X-Forwarded-For %.60q: %s, %v, want %s", c.peer, c.xff, got.Addr, err, c.want)
		}
	}
	r := &http.Request{RemoteAddr: "10.0.0.7:1", Header: http.Header{"X-Forwarded-For": {"1.2.3.4"}}}
	if got, _ := ClientOf(r, nil); got.Addr.String() != "10.0.0.7" {
		t.Errorf("with no trusted proxies: %s, want the peer", got.Addr)
	}
}

func TestClientProto(t *testing.T) {
	for _, c := range []struct {
		peer  string
		tls   bool
		proto []string
		want  string
		err   bool
	}{
		{"203.0.113.9:1", false, []string{"https"}, "http", false},
		{"203.0.113.9:1", true, []string{"gopher"}, "https", false},
		{"10.0.0.7:1", false, nil, "http", false},
		{"10.0.0.7:1", false, []string{"https"}, "https", false},
		{"10.0.0.7:1", true, []string{"HTTP"}, "http", false},
		{"10.0.0.7:1", false, []string{"wss"}, "https", false},
		{"10.0.0.7:1", false, []string{"ws"}, "http", false},
		{"10.0.0.7:1", false, []string{"gopher"}, "", true},
		{"10.0.0.7:1", false, []string{""}, "", true},
		{"10.0.0.7:1", false, []string{"https", "http"}, "", true},
		{"10.0.0.7:1", false, []string{"https, http"}, "", true},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{}}
		if c.proto != nil {
			r.Header["X-Forwarded-Proto"] = c.proto
		}
		if c.tls {
			r.TLS = &tls.ConnectionState{}
		}
		got, err := ClientOf(r, trusted)
		if errors.Is(err, ErrForwarded) != c.err || !c.err && got.Proto != c.want {
			t.Errorf("peer %s, X-Forwarded-Proto %q: %s, %v, want %s", c.peer, c.proto, got.Proto, err, c.want)
		}
	}
}

func TestForwardedHeadersAreRebuilt(t *testing.T) {
	for host, port := range map[string]string{"app.test": "443", "app.test:8443": "8443", "[::1]": "443", "[::1]:81": "81"} {
		h := http.Header{}
		to := NewForwarded(host)
		(&Client{Addr: netip.MustParseAddr("203.0.113.9"), Proto: "https"}).SetForwarded(h, &to)
		for name, want := range map[string]string{
			"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": host, "X-Forwarded-Proto": "https", "X-Forwarded-Port": port,
		} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s = %q, want %q", host, name, got, want)
			}
		}
	}
	h := http.Header{}
	to := NewForwarded("app.test")
	(&Client{Proto: "http"}).SetForwarded(h, &to)
	if _, ok := h["X-Forwarded-For"]; ok || h.Get("X-Forwarded-Port") != "80" {
		t.Errorf("without an address: %v", h)
	}
}
