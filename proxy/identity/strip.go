package identity

import (
	"net/http"
	"strings"
)

// Stripper removes from a request whatever could pass for a header of the
// gateway. It is made at load and safe for concurrent use.
type Stripper struct {
	exact    map[string]bool
	families map[string]bool
	framing  map[string]bool
	// passes are names that are not stripped, the frequent ones: most headers of
	// most requests are among them.
	passes map[string]bool
	// honest are names that are stripped and yet no sign of anything.
	honest map[string]bool
}

// NewStripper returns a Stripper for the names of all known gateways and for
// those that plans set. Give it the plans of every route: an application may
// stand behind more than one.
func NewStripper(plans ...*Plan) *Stripper {
	s := &Stripper{exact: set(exact), families: set(families), framing: set(framing), honest: set(route)}
	seen := map[*Plan]bool{}
	for _, p := range plans {
		if seen[p] {
			continue // routes share plans
		}
		seen[p] = true
		for _, name := range p.Names() {
			s.exact[fold(name)] = true
			s.exact[fold(name+truncated)] = true
		}
	}
	frequent := map[string]bool{}
	for _, name := range common {
		frequent[name] = !s.Strips(name)
	}
	s.passes = frequent
	return s
}

// route are headers that proxies in front add about the way of a request, in
// canonical form.
var route = []string{
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Real-Ip",
}

// common are headers that browsers and programs send, in canonical form.
var common = []string{
	"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Content-Length", "Content-Type", "Cookie",
	"Dnt", "If-Modified-Since", "If-None-Match", "Origin", "Pragma", "Priority", "Range", "Referer", "Sec-Ch-Ua", "Sec-Ch-Ua-Mobile",
	"Sec-Ch-Ua-Platform", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-User", "Te", "Traceparent",
	"Upgrade-Insecure-Requests", "User-Agent",
}

func set(names []string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

// Strip removes from h every control and identity header. Case does not count,
// and every character that is neither letter nor digit counts as a dash: WSGI,
// CGI and PHP fold X_Forwarded_User, X.Forwarded.User and X-Forwarded-User
// into one name. It reports whether there was any that is not among the headers
// that honest proxies add.
func (s *Stripper) Strip(h http.Header) (forged bool) {
	for name := range h {
		if !s.passes[name] && s.Strips(name) {
			delete(h, name)
			forged = forged || !s.honest[name]
		}
	}
	return forged
}

// maxName is the longest name that is folded without allocating.
const maxName = 64

// Strips reports whether Strip removes a header of this name.
func (s *Stripper) Strips(name string) bool {
	var space [maxName]byte
	b, plain := space[:0], true
	if len(name) > maxName {
		b = make([]byte, 0, len(name))
	}
	for i := 0; i < len(name); i++ {
		c, dash := foldByte(name[i])
		plain = plain && (!dash || name[i] == '-')
		b = append(b, c)
		if c == '-' && s.families[string(b)] {
			return true
		}
	}
	return s.exact[string(b)] || !plain && s.framing[string(b)]
}

// fold returns a header name as this package compares names.
func fold(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		c, _ := foldByte(name[i])
		b.WriteByte(c)
	}
	return b.String()
}

// foldByte returns c in lower case, or a dash when it is neither letter nor
// digit, and whether it was such.
func foldByte(c byte) (byte, bool) {
	switch {
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A', false
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		return c, false
	}
	return '-', true
}
