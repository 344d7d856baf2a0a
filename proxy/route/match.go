package route

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/conf"
	"gatehouse/proxy/canon"
)

// Match says which requests a route takes. Keys AND together, items of one list
// OR. The zero Match takes every request for the first public URL's host.
type Match struct {
	Pos conf.Pos `yaml:"-"`
	// Host lists hosts, each that of one of the public URLs, with the port if
	// that has one: app.example.com, localhost:8080. Literal, any case.
	// Default: the host of the first public URL.
	Host []string `yaml:"host"`
	// Path lists path patterns: /healthz is one path, /img/* one segment more,
	// /img/*.png part of a segment, /admin/** this path and everything below,
	// /tenants/{tenant}/** takes like /tenants/*/** and tells rules the segment as
	// the path variable tenant.
	// Patterns are written decoded ("/a b", not "/a%20b"); case counts; a slash
	// at the end does not. Default: every path.
	Path []string `yaml:"path"`
	// Methods lists methods in upper case. GET takes HEAD too. Default: every
	// method that is passed on.
	Methods []string `yaml:"methods"`
	// Websocket true takes only requests to open a web socket, false only
	// others. Default: both.
	Websocket *bool `yaml:"websocket"`
}

// Check reports what is wrong with the match by itself; whether its hosts
// exist is known when the Table is compiled.
func (m *Match) Check(r *conf.Report) {
	_, problems := m.read()
	for _, p := range problems {
		r.Errorf(p.field, "%s", p.text)
	}
	for i, p := range m.Path {
		if likeRegexp(p) {
			r.Warnf(&m.Path[i], "path %q looks like a regular expression; patterns know only * (one segment or a part of it), {name} (one segment) and ** (everything below)", p)
		}
	}
}

// problem is one mistake and the field it is in.
type problem struct {
	field any
	text  string
}

// read returns the compiled patterns, and what is wrong with the match.
func (m *Match) read() (patterns []pattern, list []problem) {
	add := func(field any, format string, a ...any) {
		list = append(list, problem{field, fmt.Sprintf(format, a...)})
	}
	if m.Path != nil && len(m.Path) == 0 {
		add(&m.Path, "path is empty, so the route would never match; leave the key out for every path")
	}
	patterns = make([]pattern, len(m.Path))
	for i, p := range m.Path {
		var err error
		if patterns[i], err = parsePattern(p); err != nil {
			add(&m.Path[i], "path %q: %v", p, err)
		}
	}
	if m.Host != nil && len(m.Host) == 0 {
		add(&m.Host, "host is empty, so the route would never match; leave the key out for the first public URL's host")
	}
	for i, h := range m.Host {
		if _, ok := canon.Host(h, true); !ok {
			add(&m.Host[i], "host %q: %s", h, badHost(h))
		}
	}
	if m.Methods != nil && len(m.Methods) == 0 {
		add(&m.Methods, "methods is empty, so the route would never match; leave the key out for every method")
	}
	for i, name := range m.Methods {
		if canon.Known(name) {
			continue
		}
		if upper := strings.ToUpper(name); canon.Known(upper) {
			add(&m.Methods[i], "methods names %q: methods are case sensitive, write %s", name, upper)
		} else {
			add(&m.Methods[i], "methods names %q, which is never passed on; there are %s", name, strings.Join(canon.Methods(), ", "))
		}
	}
	if m.Websocket != nil && *m.Websocket && len(m.Methods) > 0 && !slices.Contains(m.Methods, "GET") {
		add(&m.Methods, "websocket: true never matches without GET, the method that opens a web socket")
	}
	return patterns, list
}

func badHost(h string) string {
	switch {
	case strings.Contains(h, "*"):
		return "hosts are literal; there are no wildcards"
	case strings.Contains(h, "/"):
		return "write the host alone, without scheme and path"
	}
	return "not a host name (an international one is written in its xn-- form)"
}
