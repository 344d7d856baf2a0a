package sso

import (
	"net/http"
	"net/url"
	"strings"
)

// Cookie is one cookie of the provider: its name and where it is sent. The
// zero value is not usable; NewCookie makes one.
type Cookie struct {
	Name   string
	Path   string
	Secure bool
}

// NewCookie returns the provider's session cookie for an issuer; the cookies of
// its flows have the same name with something after a dash.
//
// Over https it is `__Host-gatehouse-sso`, which no other host can set; the
// prefix demands Path=/. Over plain http browsers refuse the prefix and share
// cookies between ports: the port is part of the name, and the path is the
// issuer's, so that what else lives on the host does not see it.
func NewCookie(issuer *url.URL) Cookie { return newCookie(issuer, "gatehouse-sso") }

// NewDeviceCookie returns the cookie of a remembered device for an issuer, named
// and placed like the session cookie: `__Host-gatehouse-device`.
func NewDeviceCookie(issuer *url.URL) Cookie { return newCookie(issuer, "gatehouse-device") }

func newCookie(issuer *url.URL, name string) Cookie {
	if issuer.Scheme == "https" {
		return Cookie{Name: "__Host-" + name, Path: "/", Secure: true}
	}
	port := issuer.Port()
	if port == "" {
		port = "80"
	}
	path := strings.TrimSuffix(issuer.Path, "/")
	if path == "" {
		path = "/"
	}
	return Cookie{Name: name + "-" + port, Path: path}
}

// Read returns the cookie's value, or "" when r has none or has two: a second
// one was put there by somebody else, and nobody can tell which (RFC 6265 §8.6).
func (c Cookie) Read(r *http.Request) string {
	found := r.CookiesNamed(c.Name)
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}

// Set hands value to the browser until it closes. Lax, because people arrive
// by a link from another site; a cross-site POST does not carry it.
func (c Cookie) Set(w http.ResponseWriter, value string) {
	http.SetCookie(w, &http.Cookie{
		Name: c.Name, Value: value, Path: c.Path,
		Secure: c.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// Clear takes the cookie from the browser.
func (c Cookie) Clear(w http.ResponseWriter) {
	http.SetCookie(w, &http.Cookie{
		Name: c.Name, Path: c.Path, MaxAge: -1,
		Secure: c.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
