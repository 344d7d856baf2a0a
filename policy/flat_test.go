package policy

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/open-policy-agent/opa/v1/rego"
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
	if _, err := p.eval(context.Background(), rt, p.allowed, input, rego.EvalQueryTracer(&s)); err != nil {
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
		"nobody":    {nil, "{ groups: [admins] }", 0},
		"anyone":    {nil, "anyone", 0},
		"signed-in": {person(), "signed-in", 120},
		"groups":    {person(inGroups("a", "b", "admins")), "{ groups: [admins] }", 130},
		"scopes":    {machine("orders.read"), "{ scopes: [orders.read] }", 130},
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
