package policy

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/topdown"

	"gatehouse/session"
)

// wide makes a policy of n routes, no two of which ask for the same.
func wide(t testing.TB, n int) *Policy {
	t.Helper()
	var rules []Rule
	for i := range n {
		cond := Condition{Groups: []string{fmt.Sprint("team-", i), "admins"}, Not: &Condition{Groups: []string{fmt.Sprint("not-", i)}}}
		if i%2 == 1 {
			cond = Condition{Scopes: []string{fmt.Sprint("orders.", i)}}
		}
		rules = append(rules, Rule{Route: fmt.Sprint("route-", i), Allow: Allow{When: &cond}})
	}
	p, err := Compile(context.Background(), Config{}, rules)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// alike makes a policy of n routes that have 100 rules between them.
func alike(t testing.TB, n int) *Policy {
	t.Helper()
	var rules []Rule
	for i := range n {
		team := fmt.Sprint("team-", i%100)
		cond := Condition{Groups: []string{team, "admins"}, Not: &Condition{Claims: map[string]ClaimTest{"suspended": {Is: []any{true}}}}}
		rules = append(rules, Rule{Route: fmt.Sprint("route-", i), Allow: Allow{When: &cond}, Require: &Require{MFA: i%2 == 0, ACR: []string{"a"}}})
	}
	p, err := Compile(context.Background(), Config{}, rules)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Routes with equal rules share one, so that many routes compile as fast as few.
func TestEqualRulesAreCompiledOnce(t *testing.T) {
	few, many := alike(t, 200), alike(t, 5000)
	a, b := len(few.compiler.Modules[generatedFile].Rules), len(many.compiler.Modules[generatedFile].Rules)
	if a != b || a == 0 {
		t.Errorf("200 routes with 100 rules need %d rules of Rego, 5000 routes with the same need %d: want as many", a, b)
	}
	for _, route := range []int{0, 7, 107, 4907} {
		id := person(inGroups("team-7"), func(id *session.Identity) { id.ACR, id.Claims = "a", map[string]any{"suspended": false} })
		if d := many.Decide(context.Background(), Query{Route: route, Identity: id}); (d.Outcome == OutcomeAllow) != (route%100 == 7) {
			t.Errorf("Decide(route %d) = %s %s", route, d.Outcome, d.Reason)
		}
	}
	text := many.RouteModule(4907)
	for _, part := range []string{"# route route-4907\n# has the same rule as route route-7\n", `allow["route-7"] if {`, `enough["route-7"] if`} {
		if !strings.Contains(text, part) {
			t.Errorf("RouteModule lacks %q\n%s", part, text)
		}
	}
	if want := "# routes route-7, route-107, route-207, …\n"; !strings.Contains(many.Module(), want) {
		t.Errorf("Module lacks %q", want)
	}
}

// steps counts what OPA does: every enter, eval, redo, index look-up and so on.
type steps struct{ n int }

func (*steps) Enabled() bool               { return true }
func (s *steps) TraceEvent(topdown.Event)  { s.n++ }
func (*steps) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

func stepsOf(t *testing.T, p *Policy, q Query) int {
	t.Helper()
	rt := &p.routes[q.Route]
	input, err := rt.input(q)
	if err != nil {
		t.Fatal(err)
	}
	var s steps
	e := p.evaluation(rt, input, time.Now())
	e.tracer = &s
	if _, err := p.holds(context.Background(), e, rt.decider.both); err != nil {
		t.Fatal(err)
	}
	return s.n
}

func TestADecisionCostsTheSameWithManyRoutes(t *testing.T) {
	few, many := wide(t, 10), wide(t, 2000)
	for _, id := range []*session.Identity{person(inGroups("admins")), person(), machine("orders.5")} {
		for _, at := range [][2]int{{0, 0}, {5, 5}, {8, 1998}, {9, 1999}, {4, 1000}} {
			a, b := stepsOf(t, few, Query{Route: at[0], Identity: id}), stepsOf(t, many, Query{Route: at[1], Identity: id})
			if a != b || a == 0 {
				t.Errorf("route %d of 10 takes %d steps, route %d of 2000 takes %d: want as many", at[0], a, at[1], b)
			}
		}
	}
}

func TestAllocationsOfADecision(t *testing.T) {
	for name, limit := range map[string]struct {
		id    *session.Identity
		allow string
		most  float64
	}{
		"nobody":         {nil, "{ groups: [admins] }", 0},
		"anyone":         {nil, "anyone", 0},
		"signed-in":      {person(), "signed-in", 60},
		"groups":         {person(inGroups("a", "b", "admins")), "{ groups: [admins] }", 65},
		"scopes":         {machine("orders.read"), "{ scopes: [orders.read] }", 65},
		"two conditions": {person(), "{ method: GET, groups: [staff] }", 90},
	} {
		p := one(t, limit.allow)
		q := Query{Identity: limit.id}
		if n := testing.AllocsPerRun(200, func() { p.Decide(context.Background(), q) }); n > limit.most {
			t.Errorf("%s: a decision allocates %v times, want at most %v", name, n, limit.most)
		}
	}
}

func TestFiftyCallersAtOnce(t *testing.T) {
	p := shop(t)
	p.timeout = 0 // unused but by rules of operators, which are not asked here
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			admin := i%2 == 0
			id := person()
			if admin {
				id = person(inGroups("admins"))
			}
			for range 40 {
				if d := p.Decide(context.Background(), Query{Route: 3, Identity: id}); (d.Outcome == OutcomeAllow) != admin {
					t.Errorf("Decide = %s %s (%v) for admin = %t", d.Outcome, d.Reason, d.Err, admin)
				}
				if d := p.Decide(context.Background(), Query{Route: 5, Identity: id}); (d.Outcome == OutcomeAllow) != admin {
					t.Errorf("Decide = %s %s (%v) for admin = %t", d.Outcome, d.Reason, d.Err, admin)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkDecide(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10000} {
		p := wide(b, n)
		for name, q := range map[string]Query{
			"group":   {Route: n - 2, Identity: person(inGroups("staff", "admins", "ops"))},
			"scope":   {Route: n - 1, Identity: machine("orders.read", fmt.Sprint("orders.", n-1))},
			"refused": {Route: n - 2, Identity: person()},
		} {
			b.Run(fmt.Sprintf("%s/routes=%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					p.Decide(context.Background(), q)
				}
			})
		}
	}
}

func BenchmarkCompileAlike(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		alike(b, 10_000)
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10000} {
		b.Run(fmt.Sprintf("routes=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				wide(b, n)
			}
		})
	}
}
