package session

import (
	"net/url"
	"testing"
)

func TestSiteIsCanonical(t *testing.T) {
	for in, want := range map[string]Site{
		"https://App.Example.com":      {"https://app.example.com", "app.example.com", true, "443"},
		"https://app.example.com:443/": {"https://app.example.com", "app.example.com", true, "443"},
		"http://localhost:8080":        {"http://localhost:8080", "localhost:8080", false, "8080"},
		"http://localhost":             {"http://localhost", "localhost", false, "80"},
		"http://[::1]:8080":            {"http://[::1]:8080", "[::1]:8080", false, "8080"},
		"https://app.example.com.:444": {"https://app.example.com:444", "app.example.com:444", true, "444"},
	} {
		if got := site(t, in); got != want {
			t.Errorf("%s: %+v, want %+v", in, got, want)
		}
	}
	for _, in := range []string{"ftp://a", "https://", "/x", "https://a/b", "https://u@a", "https://a?q", "https://a#f", "https://bücher.example"} {
		u, err := url.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := NewSite(u); err == nil {
			t.Errorf("%s: accepted as %+v", in, s)
		}
	}
}

func TestOwnsItsCookiesInAnySpelling(t *testing.T) {
	at, plain := site(t, "https://app.example.com"), site(t, "http://localhost:8080")
	for _, name := range []string{
		"__Host-gatehouse", "__host-GATEHOUSE", "__Host-gatehouse-1", "__Host-gatehouse-login-1234abcd", "__Host-gatehouse-sso",
		"gatehouse-8080", "gatehouse-8080-1", "gatehouse-sso-8080", "gatehouse-9999", " __Host-gatehouse", "\t__Host-gatehouse ",
		"\xe2\x80\x80__Host-gatehouse", "\x85__Host-gatehouse", "\xa0__Host-gatehouse", "$__Host-gatehouse", "=__Host-gatehouse",
		"__Host-gatehouse\x00", "%5f%5fHost-gatehouse", "__Secure-gatehouse", "gatehouse", "__Host-gatehouse.x", "\"__Host-gatehouse\"",
	} {
		if !at.Owns(name) || !plain.Owns(name) {
			t.Errorf("%q is not ours", name)
		}
	}
	for _, name := range []string{"", "session", "gate", "gatehousekeeper", "my-gatehouse", "__Host-app", "gatehouse_x", "__Host-"} {
		if at.Owns(name) {
			t.Errorf("%q is ours", name)
		}
	}
}
