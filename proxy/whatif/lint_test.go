package whatif_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/policy"
	"gatehouse/proxy/route"
	"gatehouse/proxy/whatif"
)

// linted returns what Lint finds in a configuration with the given routes, as
// "line level code", lines counted from the first route.
func linted(t *testing.T, routes string, known policy.Known) []string {
	t.Helper()
	const head = "public_url: [https://app.example.com, https://www.example.com]\ntrusted_proxies: [127.0.0.1]\n" +
		"upstreams: { app: http://127.0.0.1:9 }\nidp: { issuer: https://login.example.com }\nroutes:\n"
	plan, err := app.Parse("gatehouse.yaml", []byte(head+routes))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	var matches []route.Match
	for _, rt := range plan.Config.Routes {
		matches = append(matches, rt.Match)
	}
	table, err := route.Compile(matches, "app.example.com", []string{"app.example.com", "www.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range whatif.Lint(&plan.Config.Config, table, known) {
		found = append(found, fmt.Sprint(w.Pos.Line-5, " ", w.Level, " ", w.Code))
		if !slices.Contains(whatif.LintCodes(), w.Code) {
			t.Errorf("code %q is not of the list", w.Code)
		}
	}
	return found
}

func TestLintTellsWhatIsOpen(t *testing.T) {
	for _, c := range []struct{ route, want string }{
		{"match: { path: [/healthz, /public/**] }, allow: anyone", ""},
		{"match: { path: /.well-known/** }, allow: anyone", ""},
		{"match: { path: /favicon.ico }, allow: anyone", ""},
		{"match: { path: /publicity }, allow: anyone", "1 warning open-to-all"},
		{"match: { path: /news/**, methods: [GET] }, allow: anyone", "1 info open-to-all"},
		{"match: { path: /news/**, methods: [GET, POST] }, allow: anyone", "1 warning open-to-all"},
		{"match: { path: /ws, websocket: true }, allow: anyone", "1 info open-to-all"},
		{"match: { path: /** , methods: [GET] }, allow: anyone", "1 warning open-to-all"},
		{"match: { host: www.example.com }, allow: anyone", "1 warning open-to-all"},
		{"allow: anyone, on_unauthenticated: allow", "1 warning open-to-all"},
		{"allow: signed-in", ""},
		{"match: { path: /x/Admin/** }, allow: signed-in", "1 warning sensitive-path"},
		{"match: { path: /actuator/health }, allow: anyone", "1 warning sensitive-path"},
		{"match: { path: /administrators-guide }, allow: signed-in", ""},
		{"match: { path: /admin/** }, allow: { groups: [admins] }", ""},
		{"match: { path: /admin/** }, allow: nobody", ""},
	} {
		if got := strings.Join(linted(t, "  - { name: r, "+c.route+" }\n", policy.Known{}), ", "); got != c.want {
			t.Errorf("route { %s }: found %q, want %q", c.route, got, c.want)
		}
	}
}

func TestLintFindsRoutesInTheShadow(t *testing.T) {
	got := linted(t, `  - { name: a, match: { path: /a/** }, allow: signed-in }
  - { name: b, match: { path: /a/b }, allow: nobody }
  - { name: www, match: { path: /a/b, host: www.example.com }, allow: nobody }
`, policy.Known{})
	if want := []string{"2 warning shadowed-route"}; !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

// A method that the route does not take is one that its rule never sees.
func TestLintHoldsMethodsAgainstTheMatch(t *testing.T) {
	for _, c := range []struct{ route, want string }{
		{"match: { methods: [GET] }, allow: { method: POST, groups: [a] }", "1 warning never-met"},
		{"match: { methods: [GET] }, allow: { method: HEAD, groups: [a] }", ""},
		{"match: { websocket: true }, allow: { method: HEAD, groups: [a] }", "1 warning never-met"},
		{"allow: { method: DELETE, groups: [a] }", ""},
		{"match: { methods: [GET] }, allow: { any_of: [{ method: GET }, { groups: [a] }] }", "1 warning always-met"},
	} {
		if got := strings.Join(linted(t, "  - { name: r, "+c.route+" }\n", policy.Known{}), ", "); got != c.want {
			t.Errorf("route { %s }: found %q, want %q", c.route, got, c.want)
		}
	}
}

func TestLintIsSortedByPosition(t *testing.T) {
	got := linted(t, `  - { name: a, match: { path: /a/** }, allow: { groups: [x] } }
  - { name: b, match: { path: /admin }, allow: signed-in }
  - { name: c, match: { path: /a/b }, allow: { groups: [y] } }
`, policy.Known{Groups: []string{"z"}})
	want := []string{"1 warning unknown-group", "2 warning sensitive-path", "3 warning shadowed-route", "3 warning unknown-group"}
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}
