package session

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// SignedOutState is the state that comes back with a browser that the issuer has
// signed out. It proves nothing: it spares the person a question.
const SignedOutState = "signed-out"

// Site is one public URL: the host people type, and so the host that cookies
// and redirects belong to. It is immutable.
type Site struct {
	// Origin is scheme://host[:port], lower case, without a default port.
	Origin string
	// Host is host[:port] as in Origin: what a canonical Host header says.
	Host string
	// Secure is true for https.
	Secure bool
	// Port is the port in digits, the scheme's default written out.
	Port string
}

// NewSite reads a public URL: http or https, a host in ASCII, nothing else but
// an optional port and a trailing slash.
func NewSite(u *url.URL) (Site, error) {
	if u == nil {
		return Site{}, errors.New("read public URL: there is none")
	}
	defaults := map[string]string{"http": "80", "https": "443"}
	scheme := strings.ToLower(u.Scheme)
	name := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	port, known := defaults[scheme]
	if !known || name == "" || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return Site{}, fmt.Errorf("read public URL %q: want only scheme, host and port", u.Redacted())
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] >= 0x7f || strings.IndexByte("/\\?#@%", name[i]) >= 0 {
			return Site{}, fmt.Errorf("read public URL %q: write the host in ASCII", u.Redacted())
		}
	}
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	site := Site{Host: name, Secure: scheme == "https", Port: port}
	if p := u.Port(); p != "" && p != port {
		site.Host, site.Port = name+":"+p, p
	}
	site.Origin = scheme + "://" + site.Host
	return site, nil
}

const (
	secureName = "__Host-gatehouse"
	plainName  = "gatehouse-"
)

// CookieName returns the name of the session cookie: "__Host-gatehouse", which
// no other host can set; on plain http, where browsers refuse that prefix and
// share cookies between ports, "gatehouse-" and the port.
func (s Site) CookieName() string {
	if s.Secure {
		return secureName
	}
	return plainName + s.Port
}

// AttemptPrefix returns what names of sign-in attempt cookies begin with; 8
// hex digits follow.
func (s Site) AttemptPrefix() string { return s.CookieName() + "-login-" }

// Owns tells whether a cookie's name is one of the gateway's or the provider's
// on any site, in any case and with anything around it that a lenient parser
// might trim. Such cookies are neither passed to an upstream nor taken from
// one. Names that only begin with "gatehouse-" count too: cookies do not know
// ports, and another gatehouse on this host may have set them.
func (s Site) Owns(name string) bool {
	if strings.IndexByte(name, '%') >= 0 {
		// Some applications decode names.
		if decoded, err := url.QueryUnescape(name); err == nil {
			name = decoded
		}
	}
	for name != "" && !nameByte(name[0]) {
		name = name[1:]
	}
	for _, prefix := range []string{"__host-", "__secure-", "__http-", "__hosthttp-"} {
		if len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			name = name[len(prefix):]
			break
		}
	}
	const ours = "gatehouse"
	if len(name) < len(ours) || !strings.EqualFold(name[:len(ours)], ours) {
		return false
	}
	// "gatehouse" and then nothing, a dash, or something no name goes on with.
	rest := name[len(ours):]
	return rest == "" || rest[0] == '-' || !nameByte(rest[0])
}

// nameByte tells whether a cookie name of ours, or a longer word, could hold b.
func nameByte(b byte) bool {
	return b == '_' || '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}
