package sso

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestCookieNames(t *testing.T) {
	for issuer, want := range map[string]Cookie{
		"https://login.example.com":              {"__Host-gatehouse-sso", "/", true},
		"https://app.example.com/_gatehouse/idp": {"__Host-gatehouse-sso", "/", true},
		"http://localhost:8080/_gatehouse/idp":   {"gatehouse-sso-8080", "/_gatehouse/idp", false},
		"http://localhost":                       {"gatehouse-sso-80", "/", false},
	} {
		u, err := url.Parse(issuer)
		if err != nil {
			t.Fatal(err)
		}
		if got := NewCookie(u); got != want {
			t.Errorf("cookie of %s = %+v, want %+v", issuer, got, want)
		}
		want.Name = strings.Replace(want.Name, "-sso", "-device", 1)
		if got := NewDeviceCookie(u); got != want {
			t.Errorf("device cookie of %s = %+v, want %+v", issuer, got, want)
		}
	}
}

func TestTwoCookiesAreNone(t *testing.T) {
	c := Cookie{Name: "gatehouse-sso-80", Path: "/"}
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: c.Name, Value: "mine"})
	if got := c.Read(r); got != "mine" {
		t.Errorf("one cookie reads %q", got)
	}
	r.AddCookie(&http.Cookie{Name: c.Name, Value: "theirs"})
	if got := c.Read(r); got != "" {
		t.Errorf("two cookies read %q, want none", got)
	}
}
