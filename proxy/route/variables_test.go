package route

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestVariablesAreTheSegmentsThatThePatternNames(t *testing.T) {
	table := compile(t,
		Match{Path: []string{"/tenants/{tenant}/**"}},
		Match{Path: []string{"/a/{x}/b", "/a/*/c", "/{x}/{y}/c"}},
		Match{Path: []string{"/plain/*"}},
		Match{},
	)
	for _, c := range []struct {
		route int
		path  string
		want  string
	}{
		{0, "/tenants/acme/x/y", "[{tenant acme}]"},
		{0, "/tenants/acme", "[{tenant acme}]"},
		{0, "/tenants/acme/", "[{tenant acme}]"},
		{0, "/tenants/a%2Fb/x", "[{tenant a%2Fb}]"}, // decoded once is what comes in
		{0, "/tenants/{tenant}/x", "[{tenant {tenant}}]"},
		{0, "/tenants/ü b", "[{tenant ü b}]"},
		{1, "/a/1/b", "[{x 1}]"},
		{1, "/a/1/c", "[]"}, // the first pattern that takes it sets none
		{1, "/b/1/c", "[{x b} {y 1}]"},
		{0, "/tenants/", "[]"},
		{0, "/other/acme", "[]"},
		{0, "", "[]"},
		{2, "/plain/x", "[]"},
		{3, "/x", "[]"},
		{-1, "/x", "[]"},
		{9, "/x", "[]"},
	} {
		if got := fmt.Sprint(table.Variables(c.route, c.path)); got != c.want {
			t.Errorf("Variables(%d, %q) = %s, want %s", c.route, c.path, got, c.want)
		}
	}
}

func TestOnlyNamesThatEveryPatternSetsAreVariablesOfTheMatch(t *testing.T) {
	for _, c := range []struct {
		path []string
		want string
	}{
		{nil, "[]"},
		{[]string{"/x"}, "[]"},
		{[]string{"/{b}/{a}"}, "[a b]"},
		{[]string{"/{a}/{b}", "/x/{b}/**"}, "[b]"},
		{[]string{"/{a}", "/{b}"}, "[]"},
		{[]string{"/{a}", "/**"}, "[]"},
		{[]string{"/{a}", "/{a"}, "[]"},
	} {
		if got := fmt.Sprint((&Match{Path: c.path}).Variables()); got != c.want {
			t.Errorf("Variables of %q = %s, want %s", c.path, got, c.want)
		}
	}
}

func TestRoutesWithoutVariablesCostNothing(t *testing.T) {
	table := compile(t, Match{Path: []string{"/a/*", "/b/**"}})
	if got := testing.AllocsPerRun(100, func() { table.Variables(0, "/b/x/y") }); got != 0 {
		t.Errorf("Variables allocates %v times for a route without any, want 0", got)
	}
}

// A name instead of a star changes which values are told, and nothing else.
func TestNamesChangeNoMatch(t *testing.T) {
	w := world{rand.New(rand.NewPCG(7, 8))}
	asked := 0
	for range 1500 {
		routes := make([]Match, 1+w.IntN(8))
		stars := make([]Match, len(routes))
		for i := range routes {
			routes[i] = w.match()
			stars[i] = routes[i]
			stars[i].Path = nil
			for _, p := range routes[i].Path {
				stars[i].Path = append(stars[i].Path, anyName.ReplaceAllString(p, "*"))
			}
		}
		table, starred := compile(t, routes...), compile(t, stars...)
		if got, want := fmt.Sprint(table.Shadowed()), fmt.Sprint(starred.Shadowed()); got != want {
			t.Fatalf("%s\nShadowed = %s, with stars %s", show(routes), got, want)
		}
		for range 50 {
			path := w.path()
			got, want := find(table, host, path, "GET", false), find(starred, host, path, "GET", false)
			if got != want || fmt.Sprint(table.Misses(host, path, "GET", false)) != fmt.Sprint(starred.Misses(host, path, "GET", false)) {
				t.Fatalf("%s\nFind(%s) = %d, with stars %d", show(routes), path, got, want)
			}
			if got >= 0 {
				asked += checkVariables(t, table, routes, got, path)
			}
		}
	}
	if asked < 1000 {
		t.Errorf("%d variables: the property was hardly asked", asked)
	}
}

var anyName = regexp.MustCompile(`\{[a-z0-9_]+\}`)

// checkVariables reads the variables once more, with regular expressions, and
// returns how many there are.
func checkVariables(t *testing.T, table *Table, routes []Match, route int, path string) int {
	t.Helper()
	got := table.Variables(route, path)
	var want []Variable
	for _, p := range routes[route].Path {
		re := regexp.MustCompile(`(?s)\A(?:` + grouped(p) + `)\z`)
		m := re.FindStringSubmatch(path)
		if m == nil {
			continue
		}
		for i, name := range re.SubexpNames() {
			if name != "" {
				want = append(want, Variable{name, m[i]})
			}
		}
		break
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%s\nVariables(%d, %s) = %v, want %v", show(routes), route, path, got, want)
	}
	for _, name := range routes[route].Variables() {
		if !slices.ContainsFunc(got, func(v Variable) bool { return v.Name == name && v.Value != "" }) {
			t.Fatalf("%s\nVariables(%d, %s) = %v without %s, which every pattern sets", show(routes), route, path, got, name)
		}
	}
	return len(got)
}

// grouped is expression with a group for each name.
func grouped(pattern string) string {
	return expressionWith(pattern, func(s string) string { return "(?P<" + strings.Trim(s, "{}") + ">[^/]+)" })
}

func FuzzPattern(f *testing.F) {
	f.Add("/tenants/{tenant}/**", "/tenants/acme/x")
	f.Add("/{a}/*/{b}", "/x//y/")
	f.Add("/a*b/{c}", "/ab/c/")
	f.Add("/{a}/{a}", "/1/2")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		m := Match{Path: []string{pattern}}
		table, err := Compile([]Match{m}, host, []string{host})
		if err != nil {
			return
		}
		_, found := table.Find(host, path, "GET", false)
		values := table.Variables(0, path)
		if names := m.Variables(); found && len(names) != len(values) || !found && values != nil {
			t.Fatalf("%q: Find(%q) = %t with %v, names %v", pattern, path, found, values, names)
		}
		for _, v := range values {
			if v.Value == "" || strings.Contains(v.Value, "/") || !slices.Contains(strings.Split(path, "/"), v.Value) {
				t.Errorf("%q: Variables(%q) has %q, which is no segment", pattern, path, v.Value)
			}
		}
	})
}
