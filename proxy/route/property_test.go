package route

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// reference matches one route after the other with regular expressions made
// from the patterns; it shares nothing with the table but the configuration.
type reference []func(host, path, method string, websocket bool) bool

func newReference(routes []Match) (ref reference) {
	for _, m := range routes {
		var any []string
		for _, p := range m.Path {
			any = append(any, expression(p))
		}
		if m.Path == nil {
			any = []string{"/.*"}
		}
		re := regexp.MustCompile(`(?s)\A(?:` + strings.Join(any, "|") + `)\z`)
		hosts := m.Host
		if hosts == nil {
			hosts = []string{host}
		}
		ref = append(ref, func(h, path, method string, websocket bool) bool {
			if method == "HEAD" && slices.Contains(m.Methods, "GET") {
				method = "GET"
			}
			return slices.Contains(hosts, h) && re.MatchString(path) &&
				(m.Methods == nil || slices.Contains(m.Methods, method)) &&
				(m.Websocket == nil || *m.Websocket == websocket)
		})
	}
	return ref
}

func expression(pattern string) string {
	return expressionWith(pattern, func(string) string { return "[^/]+" })
}

// expressionWith writes what name makes of a segment that is a path variable.
func expressionWith(pattern string, name func(string) string) string {
	p, deep := strings.CutSuffix(pattern, "/**")
	p = strings.TrimSuffix(p, "/")
	var out strings.Builder
	for s := range strings.SplitSeq(strings.TrimPrefix(p, "/"), "/") {
		if p == "" {
			break
		}
		out.WriteByte('/')
		if s == "*" {
			out.WriteString("[^/]+")
			continue
		}
		if s[0] == '{' {
			out.WriteString(name(s))
			continue
		}
		out.WriteString(strings.ReplaceAll(regexp.QuoteMeta(s), `\*`, "[^/]*"))
	}
	if deep {
		return out.String() + "(?:/.*)?"
	}
	return out.String() + "/?"
}

func (ref reference) find(h, path, method string, websocket bool) int {
	for i, takes := range ref {
		if takes(h, path, method, websocket) {
			return i
		}
	}
	return -1
}

// world makes configurations and requests from so few names that they meet.
type world struct{ *rand.Rand }

func (w world) pick(list ...string) string { return list[w.IntN(len(list))] }

func (w world) pattern() string {
	p, first := "", w.IntN(4) // each name once
	for i := range w.IntN(4) {
		p += "/" + w.pick("a", "b", "ab", "ba", "*", "*", "a*", "*b", "a*b", "*a*", "a*b*", fmt.Sprintf("{x%d}", (i+first)%4))
	}
	return p + w.pick("", "", "/", "/**")
}

func (w world) match() (m Match) {
	for range w.IntN(3) {
		if p := w.pattern(); p != "" {
			m.Path = append(m.Path, p)
		}
	}
	if w.IntN(4) == 0 {
		m.Host = []string{w.pick(host, "adm.test")}
	}
	for range max(0, w.IntN(5)-2) {
		m.Methods = append(m.Methods, w.pick("GET", "HEAD", "POST"))
	}
	switch w.IntN(6) {
	case 0:
		m.Websocket = no()
	case 1:
		if len(m.Methods) == 0 || slices.Contains(m.Methods, "GET") {
			m.Websocket = yes()
		}
	}
	return m
}

func (w world) path() string {
	p := ""
	for range w.IntN(5) {
		p += "/" + w.pick("a", "b", "ab", "ba", "aab", "bab", "c", "abab")
	}
	return p + w.pick("", "/")
}

func TestTableAgreesWithLinearSearch(t *testing.T) {
	w := world{rand.New(rand.NewPCG(3, 4))}
	hits, shadows := 0, 0
	for range 1500 {
		routes := make([]Match, 1+w.IntN(12))
		for i := range routes {
			routes[i] = w.match()
		}
		table, ref := compile(t, routes...), newReference(routes)
		shadowed := table.Shadowed()
		shadows += len(shadowed)
		for range 100 {
			h, path, method := w.pick(host, host, "adm.test", "evil.test"), w.path(), w.pick("GET", "HEAD", "POST", "PUT")
			websocket := method == "GET" && w.IntN(3) == 0
			if path == "" {
				path = "/"
			}
			got, want := find(table, h, path, method, websocket), ref.find(h, path, method, websocket)
			if got != want {
				t.Fatalf("%s\nFind(%s, %s, %s, %v) = %d, want %d", show(routes), h, path, method, websocket, got, want)
			}
			if got >= 0 {
				hits++
			}
			checkMisses(t, table, ref, routes, h, path, method, websocket, got)
			for _, s := range shadowed {
				if s.Route == got {
					t.Fatalf("%s\nroute %d takes %s %s %s (web socket %v), but is called shadowed by %v", show(routes), got, method, h, path, websocket, s.By)
				}
			}
		}
	}
	if hits < 10_000 || shadows < 100 {
		t.Errorf("%d hits and %d shadowed routes: the property was hardly asked", hits, shadows)
	}
}

func checkMisses(t *testing.T, table *Table, ref reference, routes []Match, h, path, method string, websocket bool, found int) {
	t.Helper()
	misses := table.Misses(h, path, method, websocket)
	want := found
	if found < 0 {
		want = len(routes)
	}
	if len(misses) != want {
		t.Fatalf("%s\nMisses(%s, %s, %s, %v) = %v, want %d", show(routes), h, path, method, websocket, misses, want)
	}
	for i, m := range misses {
		if m.Route != i || ref[i](h, path, method, websocket) {
			t.Fatalf("%s\nMisses(%s, %s, %s, %v) = %v", show(routes), h, path, method, websocket, misses)
		}
	}
}

func show(routes []Match) string {
	var b strings.Builder
	for i, m := range routes {
		fmt.Fprintf(&b, "%d: host %v path %q methods %v", i, m.Host, m.Path, m.Methods)
		if m.Websocket != nil {
			fmt.Fprintf(&b, " web socket %v", *m.Websocket)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// many is a configuration of n routes of the kinds people write, the last one
// for everything.
func many(n int) []Match {
	routes := make([]Match, 0, n)
	for i := range n - 1 {
		p := fmt.Sprintf("/team%d/app%d/**", i%97, i)
		switch i % 4 {
		case 1:
			p = fmt.Sprintf("/api/v%d/*/orders%d", i%3, i)
		case 2:
			p = fmt.Sprintf("/shop/page%d", i)
		}
		m := Match{Path: []string{p}}
		if i%5 == 0 {
			m.Methods = []string{"GET", "POST"}
		}
		routes = append(routes, m)
	}
	return append(routes, Match{Path: []string{"/**"}})
}

func TestFindAllocatesNothing(t *testing.T) {
	table := compile(t, many(1000)...)
	for _, path := range []string{"/", "/shop/page998", "/api/v1/x/orders997", "/team0/app388/x/y/z", "/none/of/them"} {
		if got := testing.AllocsPerRun(100, func() { table.Find(host, path, "GET", false) }); got != 0 {
			t.Errorf("Find(%s) allocates %v times, want 0", path, got)
		}
	}
}

// TestManyRoutesOfOnePathStayShort: a lookup reads the routes of one path, and
// those that can never win are not among them.
func TestManyRoutesOfOnePathStayShort(t *testing.T) {
	routes := make([]Match, 10_000)
	for i := range routes {
		routes[i] = Match{Path: []string{"/a"}, Methods: []string{[]string{"GET", "POST", "PUT"}[i%3]}}
	}
	table := compile(t, routes...)
	if n := len(table.hosts[host].names["a"].here); n != 3 {
		t.Errorf("%d routes are looked at for one path, want 3", n)
	}
	if got := len(table.Shadowed()); got != 9997 {
		t.Errorf("Shadowed finds %d, want 9997", got)
	}
}

func BenchmarkFind(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			table := compile(b, many(n)...)
			paths := []string{
				fmt.Sprintf("/shop/page%d", (n-4)/4*4+2), fmt.Sprintf("/team%d/app%d/x/y", (n-2)/4*4%97, (n-2)/4*4),
				fmt.Sprintf("/api/v%d/x/orders%d", ((n-6)/4*4+1)%3, (n-6)/4*4+1), "/none/of/them",
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, ok := table.Find(host, paths[i&3], "GET", false); !ok {
					b.Fatal("not found")
				}
				i++
			}
		})
	}
}
