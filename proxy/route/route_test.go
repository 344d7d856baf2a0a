package route

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/conf"
)

const host = "app.test"

func compile(t testing.TB, routes ...Match) *Table {
	t.Helper()
	table, err := Compile(routes, host, []string{host, "adm.test", "localhost:8080"})
	if err != nil {
		t.Fatalf("Compile = %v", err)
	}
	return table
}

func yes() *bool { b := true; return &b }
func no() *bool  { b := false; return &b }

// find answers like Find, -1 for none.
func find(t *Table, host, path, method string, websocket bool) int {
	if i, ok := t.Find(host, path, method, websocket); ok {
		return i
	}
	return -1
}

func TestPatternTakesPaths(t *testing.T) {
	for pattern, paths := range map[string]struct{ yes, no string }{
		"/":               {"/", "/x /x/"},
		"/healthz":        {"/healthz /healthz/", "/ /healthz/x /healthzz /health /HEALTHZ /x/healthz"},
		"/a/b":            {"/a/b /a/b/", "/a /a/bc /a/b/c"},
		"/a/b/":           {"/a/b /a/b/", "/a /a/bc /a/b/c"},
		"/*":              {"/x /x/", "/ /x/y"},
		"/img/*":          {"/img/a /img/a/", "/img /img/ /img/a/b /imga"},
		"/*/x":            {"/a/x", "/x /a/b/x //x"},
		"/img/*.png":      {"/img/a.png /img/.png /img/a.b.png /img/*.png", "/img/a.png2 /img/apng /img/a/b.png"},
		"/v*":             {"/v /v1 /v1/", "/ /w /v1/x"},
		"/a*b*c":          {"/abc /axxbxxc /abbcbc", "/ab /ac /abcd /xabc"},
		"/admin/**":       {"/admin /admin/ /admin/x /admin/x/y/", "/administrator /admi /ADMIN /x/admin"},
		"/admin/**/":      {"/admin /admin/x", "/administrator"},
		"/a/*/**":         {"/a/b /a/b/ /a/b/c/d", "/a /a/"},
		"/**":             {"/ /x /x/y/", ""},
		"/api.v1":         {"/api.v1", "/apixv1"},
		"/a b":            {"", "/a%20b"},
		"/100%":           {"/100%", "/100"},
		"/größe/*":        {"/größe/ü", "/größe"},
		"/.well-known/**": {"/.well-known/x", "/well-known/x"},
		"/t/{tenant}":     {"/t/a /t/a/ /t/{tenant}", "/t /t/ /t/a/b"},
		"/{a}/{b_2}/**":   {"/a/b /a/b/ /a/b/c/d", "/a /a/"},
	} {
		table := compile(t, Match{Path: []string{pattern}})
		for p := range strings.FieldsSeq(paths.yes) {
			if find(table, host, p, "GET", false) != 0 {
				t.Errorf("%s does not take %s, want it taken", pattern, p)
			}
		}
		for p := range strings.FieldsSeq(paths.no) {
			if find(table, host, p, "GET", false) == 0 {
				t.Errorf("%s takes %s, want it not taken", pattern, p)
			}
		}
	}
	table := compile(t, Match{Path: []string{"/a b"}})
	if find(table, host, "/a b", "GET", false) != 0 {
		t.Error(`"/a b" does not take itself`)
	}
}

func TestBadPatternsAreRefused(t *testing.T) {
	for pattern, want := range map[string]string{
		"":            `begins with "/"`,
		"admin":       `begins with "/"`,
		"^/admin/.*$": `begins with "/"`,
		"**":          `begins with "/"`,
		"/a/**/b":     "only at the end",
		"/**/**":      "only at the end",
		"/a**":        "whole segment",
		"/***":        "whole segment",
		"/x{id}":      "whole segment",
		"/{id}.png":   "whole segment",
		"/{a}{b}":     "whole segment",
		"/{{a}}":      "whole segment",
		"/{a":         "whole segment",
		"/a}":         "whole segment",
		"/{a*}":       "begins with no digit",
		"/{}":         "begins with no digit",
		"/{1}":        "begins with no digit",
		"/{Tenant}":   "begins with no digit",
		"/{a-b}":      "begins with no digit",
		"/{a}/x/{a}":  "once",
		"/a//b":       "one slash",
		"//":          "one slash",
		"/a/../b":     "dot segments",
		"/a/.":        "dot segments",
		"/...":        "dot segments",
		"/a%20b":      "not %20",
		"/a%2fb":      "not %2f",
		"/a?b":        "never has ?",
		"/a#b":        "never has #",
		"/a;b":        "never has ;",
		`/a\b`:        `never has \`,
		"/a\nb":       "control",
		"/a\u0085b":   "control",
		"/a\xff":      "UTF-8",
		"/a/ b":       "space",
		"/a /b":       "space",
	} {
		if _, err := parsePattern(pattern); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parsePattern(%q) = %v, want an error with %q", pattern, err, want)
		}
	}
}

func TestFirstMatchWins(t *testing.T) {
	table := compile(t,
		Match{Path: []string{"/healthz", "/public/**"}},
		Match{Path: []string{"/admin/**"}},
		Match{Path: []string{"/api/*/items"}, Methods: []string{"POST"}},
		Match{Path: []string{"/api/orders/**"}, Methods: []string{"GET"}},
		Match{Path: []string{"/ws"}, Websocket: yes()},
		Match{Host: []string{"adm.test"}},
		Match{Path: []string{"/**"}, Websocket: no()},
	)
	for _, c := range []struct {
		request string
		socket  bool
		want    int
	}{
		{"GET app.test /healthz", false, 0},
		{"GET app.test /public", false, 0},
		{"DELETE app.test /admin/x", false, 1},
		{"POST app.test /api/orders/items", false, 2},
		{"GET app.test /api/orders/items", false, 3},
		{"HEAD app.test /api/orders/7", false, 3},
		{"PUT app.test /api/orders/7", false, 6},
		{"GET app.test /ws", true, 4},
		{"GET app.test /ws", false, 6},
		{"GET app.test /x", true, -1},
		{"GET adm.test /admin", true, 5},
		{"GET adm.test /healthz", false, 5},
		{"GET localhost:8080 /healthz", false, -1},
		{"GET evil.test /healthz", false, -1},
		{"BREW app.test /x", false, 6},
		{"BREW app.test /api/orders/7", false, 6},
		{"GET app.test x", false, -1},
	} {
		part := strings.Fields(c.request)
		if got := find(table, part[1], part[2], part[0], c.socket); got != c.want {
			t.Errorf("Find(%s, web socket %v) = %d, want %d", c.request, c.socket, got, c.want)
		}
	}
	if got := find(table, host, "", "GET", false); got != -1 {
		t.Errorf("Find(empty path) = %d, want none", got)
	}
}

func TestRouteOfSeveralHosts(t *testing.T) {
	table := compile(t, Match{Host: []string{"ADM.test.", "app.test:443", "LOCALHOST:8080"}})
	for h, want := range map[string]int{"adm.test": 0, "app.test": 0, "localhost:8080": 0, "localhost": -1, "pub.test": -1} {
		if got := find(table, h, "/", "GET", false); got != want {
			t.Errorf("Find(%s) = %d, want %d", h, got, want)
		}
	}
}

func TestCompileReportsEveryMistake(t *testing.T) {
	_, err := Compile([]Match{
		{Path: []string{"x", "/a/**/b"}},
		{Host: []string{"pub.test"}, Pos: conf.Pos{File: "gatehouse.yaml", Line: 12, Column: 5}},
		{Methods: []string{"get", "BREW"}},
		{Path: []string{}},
		{Methods: []string{"POST"}, Websocket: yes()},
		{Host: []string{"*.app.test", "https://app.test"}},
	}, host, []string{host})
	if err == nil {
		t.Fatal("Compile = nil, want errors")
	}
	for _, want := range []string{
		`route 0: path "x"`, `route 0: path "/a/**/b"`, `gatehouse.yaml:12: host "pub.test" is not the host of a public_url; there are app.test`,
		"write GET", "never passed on", "route 3: path is empty", "route 4: websocket: true never matches without GET",
		"no wildcards", "without scheme",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Compile = %v, want %q in it", err, want)
		}
	}
	var one *Error
	if !errors.As(err, &one) || one.Route != 0 {
		t.Errorf("errors.As(*Error) = %+v", one)
	}
}

func TestMatchIsReadFromYAML(t *testing.T) {
	var file struct {
		Routes []*struct {
			Match Match `yaml:"match"`
		} `yaml:"routes"`
	}
	text := "routes:\n" +
		"  - match: { path: /admin/**, methods: GET }\n" +
		"  - match:\n      host: [app.test, adm.test]\n      path: [/a, /b/*]\n      websocket: true\n"
	if _, err := conf.Parse("x.yaml", []byte(text), &file); err != nil {
		t.Fatalf("Parse = %v", err)
	}
	one, two := file.Routes[0].Match, file.Routes[1].Match
	if !slices.Equal(one.Path, []string{"/admin/**"}) || !slices.Equal(one.Methods, []string{"GET"}) || one.Websocket != nil || one.Pos.Line != 2 {
		t.Errorf("first match = %+v", one)
	}
	if !slices.Equal(two.Host, []string{"app.test", "adm.test"}) || two.Websocket == nil || !*two.Websocket {
		t.Errorf("second match = %+v", two)
	}
	_, err := conf.Parse("x.yaml", []byte("routes:\n  - match: { path: [/a, /b//c], methods: [get] }\n  - match: { path: /admin/.* }\n"), &file)
	for _, want := range []string{`x.yaml:2:25: path "/b//c"`, `x.yaml:2:43: methods names "get"`, `x.yaml:3:20: path "/admin/.*" looks like a regular expression`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse = %v, want %q in it", err, want)
		}
	}
}

func TestMissesNameThePartThatMissed(t *testing.T) {
	table := compile(t,
		Match{Host: []string{"adm.test"}},
		Match{Path: []string{"/admin/**"}},
		Match{Path: []string{"/ws"}, Methods: []string{"POST"}},
		Match{Path: []string{"/ws"}, Websocket: yes()},
		Match{Path: []string{"/ws"}, Websocket: no()},
		Match{},
	)
	got := table.Misses(host, "/ws", "GET", false)
	want := []Miss{{0, Host}, {1, Path}, {2, Method}, {3, Websocket}}
	if !slices.Equal(got, want) {
		t.Errorf("Misses = %v, want %v", got, want)
	}
	if got := table.Misses("evil.test", "/ws", "GET", false); len(got) != 6 || got[5] != (Miss{5, Host}) {
		t.Errorf("Misses(unknown host) = %v, want one for each route", got)
	}
}

func TestShadowedRoutesAreFound(t *testing.T) {
	for name, c := range map[string]struct {
		routes []Match
		want   string
	}{
		"everything before":   {[]Match{{Path: []string{"/**"}}, {Path: []string{"/reports/**"}}}, "[{1 [0]}]"},
		"no path is all":      {[]Match{{}, {Path: []string{"/**"}}}, "[{1 [0]}]"},
		"same pattern":        {[]Match{{Path: []string{"/a"}}, {Path: []string{"/a/"}}}, "[{1 [0]}]"},
		"star over name":      {[]Match{{Path: []string{"/*/x"}}, {Path: []string{"/a/x"}}}, "[{1 [0]}]"},
		"glob over name":      {[]Match{{Path: []string{"/a*"}}, {Path: []string{"/ab"}}}, "[{1 [0]}]"},
		"glob over glob":      {[]Match{{Path: []string{"/a*c*"}}, {Path: []string{"/ab*cd"}}}, "[{1 [0]}]"},
		"star over glob":      {[]Match{{Path: []string{"/*"}}, {Path: []string{"/a*"}}}, "[{1 [0]}]"},
		"methods together":    {[]Match{{Methods: []string{"GET"}}, {Methods: []string{"POST"}}, {Path: []string{"/x"}, Methods: []string{"POST", "HEAD"}}}, "[{2 [0 1]}]"},
		"kinds together":      {[]Match{{Websocket: yes()}, {Websocket: no()}, {Path: []string{"/x"}}}, "[{2 [0 1]}]"},
		"socket is GET":       {[]Match{{Methods: []string{"GET"}}, {Websocket: yes()}}, "[{1 [0]}]"},
		"each path elsewhere": {[]Match{{Path: []string{"/a/**"}}, {Path: []string{"/b"}}, {Path: []string{"/a/x", "/b"}}}, "[{2 [0 1]}]"},
		"each host":           {[]Match{{Host: []string{"adm.test"}}, {}, {Host: []string{"adm.test", "app.test"}}}, "[{2 [0 1]}]"},
		"deep over its root":  {[]Match{{Path: []string{"/a/**"}}, {Path: []string{"/a"}}}, "[{1 [0]}]"},

		"narrower first":     {[]Match{{Path: []string{"/a"}}, {Path: []string{"/**"}}}, "[]"},
		"other host":         {[]Match{{Host: []string{"adm.test"}}, {Path: []string{"/a"}}}, "[]"},
		"one path left":      {[]Match{{Path: []string{"/a/**"}}, {Path: []string{"/a/x", "/b"}}}, "[]"},
		"one method left":    {[]Match{{Methods: []string{"GET"}}, {Path: []string{"/x"}, Methods: []string{"GET", "POST"}}}, "[]"},
		"HEAD without GET":   {[]Match{{Methods: []string{"HEAD"}}, {Methods: []string{"GET"}}}, "[]"},
		"name over star":     {[]Match{{Path: []string{"/a"}}, {Path: []string{"/*"}}}, "[]"},
		"glob not over star": {[]Match{{Path: []string{"/a*"}}, {Path: []string{"/*"}}}, "[]"},
		"glob not over glob": {[]Match{{Path: []string{"/a*b"}}, {Path: []string{"/a*"}}}, "[]"},
		"star not over deep": {[]Match{{Path: []string{"/a/*"}}, {Path: []string{"/a/**"}}}, "[]"},
		"sockets left":       {[]Match{{Websocket: no()}, {Path: []string{"/x"}}}, "[]"},
	} {
		if got := fmt.Sprint(compile(t, c.routes...).Shadowed()); got != c.want {
			t.Errorf("%s: Shadowed = %s, want %s", name, got, c.want)
		}
	}
}
