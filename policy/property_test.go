package policy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"gatehouse/session"
)

func TestGeneratedRegoAgreesWithItsMeaning(t *testing.T) {
	seen := map[Outcome]int{}
	for seed := range uint64(16) {
		c := chance{rand.New(rand.NewPCG(seed, 7))}
		p, rules := randomPolicy(t, c, 50, true)
		for i, rule := range rules {
			for range 30 {
				q := c.query(i)
				d := p.Decide(context.Background(), q)
				want, reason := outcome(rule, q)
				if d.Outcome != want || reason != "" && d.Reason != reason || d.Err != nil || (d.Outcome == OutcomeStepUp) != (d.Require != nil) {
					t.Fatalf("seed %d: Decide = %s %s (%v), want %s %s\n%s\n%s",
						seed, d.Outcome, d.Reason, d.Err, want, reason, told(rule, q), p.RouteModule(i))
				}
				seen[want]++
				if !slices.Contains(Reasons(), d.Reason) {
					t.Fatalf("reason %q is not of the closed list", d.Reason)
				}
			}
		}
	}
	if seen[OutcomeAllow] < 500 || seen[OutcomeStepUp] < 100 {
		t.Errorf("the random queries came out as %v: the test sees too little", seen)
	}
}

// told writes a rule and a query for whoever reads a failure.
func told(r Rule, q Query) string {
	return fmt.Sprintf("condition %s\nrequire %s bodies %v\nidentity %s\nip %s method %s time %s variables %v body %s",
		show(r.Allow.When), show(r.Require), r.Bodies, show(q.Identity), q.ClientIP, q.Method, q.Time, q.Variables, q.Body.State)
}

func TestExplainAgreesWithDecide(t *testing.T) {
	c := chance{rand.New(rand.NewPCG(1, 2))}
	p, rules := randomPolicy(t, c, 100, true)
	for i, rule := range rules {
		for range 8 {
			q := c.query(i)
			d, e := p.Decide(context.Background(), q), p.Explain(context.Background(), q)
			if d.Outcome != e.Outcome || d.Reason != e.Reason || e.Error != "" {
				t.Fatalf("Explain = %s %s (%s), Decide = %s %s", e.Outcome, e.Reason, e.Error, d.Outcome, d.Reason)
			}
			bodyFits := rule.Bodies == nil || slices.Contains(rule.Bodies, q.Body.State) && q.Body.State != BodyUnread
			enough := e.Require == nil || e.Require.Result == Hit
			person := q.Identity != nil && isUser(q.Identity)
			want := OutcomeDeny
			switch {
			case !bodyFits || e.Root.Result != Hit:
			case enough:
				want = OutcomeAllow
			case person:
				want = OutcomeStepUp
			}
			if d.Outcome != want {
				t.Fatalf("the decision is %s, by Explain's tree it is %s\n%s\n%s", d.Outcome, want, show(e), told(rule, q))
			}
		}
	}
}

// A cookie, a claim or a whole attribute that is left out never opens anything,
// whatever `not` says.
func TestLeavingOutNeverOpens(t *testing.T) {
	leave := []func(*session.Identity){
		func(id *session.Identity) { id.Groups = nil }, func(id *session.Identity) { id.Scopes = nil },
		func(id *session.Identity) { id.Username = "" }, func(id *session.Identity) { id.Subject = "" },
		func(id *session.Identity) { id.ClientID = "" }, func(id *session.Identity) { id.ClientNamed = false },
		func(id *session.Identity) { id.Email = "" }, func(id *session.Identity) { id.EmailVerified = false },
		func(id *session.Identity) { id.Claims = nil }, func(id *session.Identity) { id.Listed = false },
		func(id *session.Identity) { id.Person = false }, func(id *session.Identity) { id.MFA = false },
		func(id *session.Identity) { id.ACR = "" }, func(id *session.Identity) { id.AuthTime = base.AddDate(-99, 0, 0) },
		obscured,
	}
	opens := func(p *Policy, q Query) bool { return p.Decide(context.Background(), q).Outcome == OutcomeAllow }
	for seed := range uint64(6) {
		c := chance{rand.New(rand.NewPCG(seed, 3))}
		p, rules := randomPolicy(t, c, 50, true)
		for i, rule := range rules {
			for range 10 {
				q := c.query(i)
				if q.Identity == nil || opens(p, q) {
					continue
				}
				less := *q.Identity
				leave[c.IntN(len(leave))](&less)
				after := q
				after.Identity = &less
				if opens(p, after) {
					t.Fatalf("leaving something out opened the route\nbefore %s\nafter %s", told(rule, q), show(less))
				}
				after.ClientIP, after.Variables, after.Method = netip.Addr{}, nil, ""
				if opens(p, after) {
					t.Fatalf("hiding the request opened the route\n%s", told(rule, q))
				}
				after.Body = Body{}
				if opens(p, after) && rule.Bodies != nil {
					t.Fatalf("hiding the body opened the route\n%s", told(rule, q))
				}
			}
		}
	}
}

// obscured makes each claim of id one of which less is known: a list has an object
// among its items, anything else is an object.
func obscured(id *session.Identity) {
	claims := map[string]any{}
	for name, v := range id.Claims {
		object := map[string]any{"name": v}
		claims[name] = object
		if list, ok := v.([]any); ok {
			claims[name] = append(slices.Clone(list), object)
		}
	}
	id.Claims = claims
}

// Without a `not`, having more groups and scopes never closes anything; nor does
// having signed in more strongly.
func TestMoreNeverClosesWithoutNot(t *testing.T) {
	c := chance{rand.New(rand.NewPCG(5, 5))}
	p, rules := randomPolicy(t, c, 120, false)
	for i, rule := range rules {
		for range 10 {
			q := c.query(i)
			before := p.Decide(context.Background(), q)
			if before.Outcome == OutcomeDeny || q.Identity == nil {
				continue
			}
			more := *q.Identity
			more.Groups = append(c.some("g"), more.Groups...)
			more.Scopes = append(c.some("s"), more.Scopes...)
			more.MFA = true
			q.Identity = &more
			if d := p.Decide(context.Background(), q); d.Outcome != before.Outcome && d.Outcome != OutcomeAllow {
				t.Fatalf("more groups and scopes closed the route: %s\n%s", d.Reason, told(rule, q))
			}
		}
	}
}

// Adding a group takes a right away only where a `not` names that group.
func TestAGroupTakesNothingUnlessANotNamesIt(t *testing.T) {
	taken := 0
	for seed := range uint64(6) {
		c := chance{rand.New(rand.NewPCG(seed, 11))}
		p, rules := randomPolicy(t, c, 60, true)
		for i, rule := range rules {
			for range 10 {
				q := c.query(i)
				before := p.Decide(context.Background(), q)
				if before.Outcome == OutcomeDeny || q.Identity == nil {
					continue
				}
				more, group := *q.Identity, c.some("g")[0]
				more.Groups = append([]string{group}, more.Groups...)
				after := q
				after.Identity = &more
				if p.Decide(context.Background(), after).Outcome != OutcomeDeny {
					continue
				}
				taken++
				if !namesUnderNot(*rule.Allow.When, group, false, q) {
					t.Fatalf("group %s took a right away, and no not names it\n%s", group, told(rule, q))
				}
			}
		}
	}
	if taken == 0 {
		t.Error("no group took anything away: the test sees too little")
	}
}

// namesUnderNot tells whether group, or an operator's rule that may look at
// groups, stands below a not.
func namesUnderNot(c Condition, group string, below bool, q Query) bool {
	want, _ := put(c.Groups, q)
	if below && (slices.Contains(want, group) || c.OPA != nil) {
		return true
	}
	deeper := func(x Condition) bool { return namesUnderNot(x, group, below, q) }
	return slices.ContainsFunc(c.AnyOf, deeper) || slices.ContainsFunc(c.AllOf, deeper) ||
		c.Not != nil && namesUnderNot(*c.Not, group, true, q)
}

// The order of list items changes neither a decision nor the Rego: both rules
// share one.
func TestOrderDoesNotMatter(t *testing.T) {
	c := chance{rand.New(rand.NewPCG(6, 6))}
	var rules []Rule
	for i := range 80 {
		a := c.rule(fmt.Sprint("a", i), true)
		turned := reversed(*a.Allow.When)
		b := a
		b.Route, b.Allow = fmt.Sprint("b", i), Allow{When: &turned}
		if a.Require != nil {
			again := *a.Require
			again.ACR = flip(again.ACR)
			b.Require = &again
		}
		rules = append(rules, a, b)
	}
	p := withOperators(t, rules)
	for i := range 80 {
		if p.routes[2*i].decider != p.routes[2*i+1].decider {
			t.Fatalf("the order of items changes the Rego\n%s\n%s", p.RouteModule(2*i), p.RouteModule(2*i+1))
		}
		for range 20 {
			q := c.query(2 * i)
			a := p.Decide(context.Background(), q)
			q.Route++
			if b := p.Decide(context.Background(), q); a.Outcome != b.Outcome {
				t.Fatalf("the order of items matters: %s and %s\n%s", a.Outcome, b.Outcome, told(rules[2*i], q))
			}
		}
	}
}

func flip[T any](list []T) []T {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

func reversed(c Condition) Condition {
	turn := func(list []Condition) []Condition {
		var out []Condition
		for _, x := range slices.Backward(list) {
			out = append(out, reversed(x))
		}
		return out
	}
	c.Groups, c.Scopes, c.Users, c.Clients = flip(c.Groups), flip(c.Scopes), flip(c.Users), flip(c.Clients)
	c.Time, c.Method, c.IP = flip(c.Time), flip(c.Method), flip(c.IP)
	c.AnyOf, c.AllOf = turn(c.AnyOf), turn(c.AllOf)
	claims := map[string]ClaimTest{}
	for name, t := range c.Claims {
		claims[name] = ClaimTest{Is: flip(t.Is), Equals: flip(t.Equals), Prefix: flip(t.Prefix), Contains: flip(t.Contains)}
	}
	c.Claims = claims
	for i := range c.Time {
		c.Time[i].Days = flip(c.Time[i].Days)
	}
	if c.Not != nil {
		below := reversed(*c.Not)
		c.Not = &below
	}
	return c
}
