package route_test

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"

	"gatehouse/proxy/canon"
	"gatehouse/proxy/route"
)

// The ways in which servers read a path, the widest first.
var servers = map[string]func(string) string{
	"decodes, cuts and merges all": func(p string) string {
		p, _ = url.PathUnescape(p)
		p, _, _ = strings.Cut(p, "?")
		p, _, _ = strings.Cut(p, "#")
		parts := strings.Split(strings.ReplaceAll(p, `\`, "/"), "/")
		for i := range parts {
			parts[i], _, _ = strings.Cut(parts[i], ";")
			parts[i] = strings.TrimSpace(parts[i])
		}
		return strings.Join(parts, "/")
	},
	"cuts at the first semicolon": func(p string) string {
		p, _, _ = strings.Cut(p, ";")
		p, _ = url.PathUnescape(p)
		return p
	},
	"decodes": func(p string) string { p, _ = url.PathUnescape(p); return p },
	"decodes twice": func(p string) string {
		p, _ = url.PathUnescape(p)
		if again, err := url.PathUnescape(p); err == nil {
			return again
		}
		return p
	},
	"splits, then decodes": func(p string) string {
		parts := strings.Split(p, "/")
		for i := range parts {
			parts[i], _ = url.PathUnescape(parts[i])
			parts[i] = strings.ReplaceAll(parts[i], "/", "|")
		}
		return strings.Join(parts, "/")
	},
}

// TestNobodyReachesAdminByAnotherRoute is the global property with the most
// careless configuration there can be: every route takes every oddity. No
// server may find itself in /admin for a request that another route took.
func TestNobodyReachesAdminByAnotherRoute(t *testing.T) {
	const host = "app.test"
	table, err := route.Compile([]route.Match{
		{Path: []string{"/public/**"}}, {Path: []string{"/admin/**"}}, {Path: []string{"/api/*"}}, {Path: []string{"/**"}},
	}, host, []string{host})
	if err != nil {
		t.Fatal(err)
	}
	const admin = 1
	pieces := []string{
		"/", "/", "/", "//", ".", "..", "admin", "admin", "public", "api", "x", "%61dmin", "%2e%2e", "%2E", "%2f", "%2F", "%5c",
		";", ";x", "%3b", "%23", "%3f", "%20", "%25", "2f", "%252f", "%252e", "%c2%a0", `\`, "#", "?",
	}
	random := rand.New(rand.NewPCG(5, 6))
	inside, outside := 0, 0
	for range 100_000 {
		target := "/"
		for range 1 + random.IntN(8) {
			target += pieces[random.IntN(len(pieces))]
		}
		q, err := canon.Parse(&http.Request{Method: "GET", RequestURI: target, Host: host, ProtoMajor: 1, ProtoMinor: 1})
		if err != nil {
			continue
		}
		index, _ := table.Find(q.Host, q.Path, q.Method, q.Websocket)
		if q.Other != "" {
			if other, _ := table.Find(q.Host, q.Other, q.Method, q.Websocket); other != index {
				continue
			}
		}
		for name, read := range servers {
			resolved := path.Clean("/" + read(q.EscapedPath))
			if !strings.HasPrefix(resolved+"/", "/admin/") {
				outside++
				continue
			}
			inside++
			if index != admin {
				t.Fatalf("GET %s was taken by route %d as %q (or %q), but a server that %s resolves %q from %q", target, index, q.Path, q.Other, name, resolved, q.EscapedPath)
			}
		}
	}
	if inside < 1000 || outside < 1000 {
		t.Errorf("%d readings in /admin and %d outside: the property was hardly asked", inside, outside)
	}
}
