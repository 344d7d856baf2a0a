package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatehouse/session"
)

// operators is the module that random conditions ask.
const operators = `package op

yes := true

default no := false

no if input.request.method == "NEVER"

undefined if input.request.method == "NEVER"

text := input.request.method

admin if "g1" in input.user.groups
`

// chance makes random conditions and identities from few values, so that they
// meet often.
type chance struct{ *rand.Rand }

func (c chance) some(letter string) []string {
	var out []string
	for range 1 + c.IntN(2) {
		out = append(out, fmt.Sprint(letter, c.IntN(3)))
	}
	return out
}

func (c chance) condition(depth int, nots bool) Condition {
	var cond Condition
	for len(cond.keys()) == 0 || c.IntN(3) == 0 {
		c.addKey(&cond, depth, nots)
	}
	return cond
}

func (c chance) addKey(cond *Condition, depth int, nots bool) {
	items := func() (list []Condition) {
		for range 1 + c.IntN(3) {
			if nots || c.IntN(6) > 0 {
				list = append(list, c.condition(depth-1, nots))
			} else {
				list = append(list, Condition{SignedIn: true})
			}
		}
		return list
	}
	n := c.IntN(11)
	if depth == 0 {
		n = c.IntN(8)
	}
	switch n {
	case 0:
		cond.Groups = c.some("g")
	case 1:
		cond.Scopes = c.some("s")
	case 2:
		cond.Users = c.some("u")
	case 3:
		cond.Clients = c.some("c")
	case 4:
		cond.EmailDomains = []string{[]string{"a.test", "B.test"}[c.IntN(2)]}
	case 5:
		cond.Claims = map[string]ClaimTest{fmt.Sprint("k", c.IntN(2)): {Is: []any{c.scalar()}}}
		if c.IntN(3) == 0 {
			cond.Claims["k2"] = ClaimTest{Is: []any{c.scalar(), c.scalar()}}
		}
	case 6:
		cond.IP = []netip.Prefix{netip.MustParsePrefix([]string{"10.0.0.0/8", "192.0.2.0/24"}[c.IntN(2)])}
	case 7:
		cond.OPA = &OPA{"data.op." + []string{"yes", "no", "undefined", "text", "admin"}[c.IntN(5)]}
	case 8:
		cond.AnyOf = items()
	case 9:
		cond.AllOf = items()
	case 10:
		if nots {
			below := c.condition(depth-1, nots)
			cond.Not = &below
		}
	}
}

func (c chance) scalar() any {
	return []any{"x", "y", true, false, json.Number("1"), json.Number("1.0"), "1", json.Number("12345678901234567890")}[c.IntN(8)]
}

func (c chance) claim() any {
	switch c.IntN(6) {
	case 0:
		return nil
	case 1:
		return map[string]any{"x": "x"}
	case 2:
		return []any{c.scalar(), nil, c.scalar()}
	case 3:
		return []any{}
	default:
		return c.scalar()
	}
}

func (c chance) identity() *session.Identity {
	if c.IntN(20) == 0 {
		return nil
	}
	id := &session.Identity{Credential: session.Cookie, Person: c.IntN(4) > 0, Listed: c.IntN(4) > 0, Claims: map[string]any{}}
	for _, set := range []func(){
		func() { id.Credential = session.Bearer },
		func() { id.Subject = fmt.Sprint("u", c.IntN(3)) },
		func() { id.Username = fmt.Sprint("u", c.IntN(3)) },
		func() { id.Email = "x@" + []string{"a.test", "A.TEST", "b.test", "c.test"}[c.IntN(4)] },
		func() { id.EmailVerified = true },
		func() { id.ClientID, id.ClientNamed = fmt.Sprint("c", c.IntN(3)), c.IntN(3) > 0 },
		func() { id.Groups = c.some("g") },
		func() { id.Groups = append([]string{}, id.Groups...) },
		func() { id.Scopes = c.some("s") },
		func() { id.Claims["k0"] = c.claim() },
		func() { id.Claims["k1"] = c.claim() },
		func() { id.Claims["k2"] = c.claim() },
	} {
		if c.IntN(3) > 0 {
			set()
		}
	}
	return id
}

func (c chance) query(route int) Query {
	q := Query{Route: route, Identity: c.identity(), Method: "GET"}
	if c.IntN(5) > 0 {
		q.ClientIP = netip.MustParseAddr([]string{"10.1.2.3", "192.0.2.1", "2001:db8::1"}[c.IntN(3)])
	}
	return q
}

func show(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// randomPolicy compiles n random conditions.
func randomPolicy(t testing.TB, c chance, n int, nots bool) (*Policy, []Condition) {
	t.Helper()
	var rules []Rule
	var conditions []Condition
	for i := range n {
		cond := c.condition(3, nots)
		conditions = append(conditions, cond)
		rules = append(rules, Rule{Route: fmt.Sprint("r", i), Allow: Allow{When: &cond}})
	}
	dir := t.TempDir()
	writeFile(t, dir+"/op.rego", operators)
	p, err := Compile(context.Background(), Config{Custom: []Custom{{Path: dir}}}, rules)
	if err != nil {
		t.Fatalf("Compile: %v", err)
	}
	p.timeout = time.Minute // what is tested is not how busy the machine is
	return p, conditions
}

func TestGeneratedRegoAgreesWithItsMeaning(t *testing.T) {
	allowed := 0
	for seed := range uint64(12) {
		c := chance{rand.New(rand.NewPCG(seed, 7))}
		p, conditions := randomPolicy(t, c, 50, true)
		for i, cond := range conditions {
			for range 30 {
				q := c.query(i)
				d, want := p.Decide(context.Background(), q), may(cond, q)
				if (d.Outcome == OutcomeAllow) != want || d.Err != nil {
					t.Fatalf("seed %d: Decide = %s %s (%v), want allow = %t\ncondition %s\nidentity %s\nip %s\n%s",
						seed, d.Outcome, d.Reason, d.Err, want, show(cond), show(q.Identity), q.ClientIP, p.RouteModule(i))
				}
				if want {
					allowed++
				}
				if !slices.Contains(Reasons(), d.Reason) {
					t.Fatalf("reason %q is not of the closed list", d.Reason)
				}
			}
		}
	}
	if allowed < 500 {
		t.Errorf("only %d of the random queries were allowed: the test sees too little", allowed)
	}
}

func TestExplainAgreesWithDecide(t *testing.T) {
	c := chance{rand.New(rand.NewPCG(1, 2))}
	p, conditions := randomPolicy(t, c, 60, true)
	for i, cond := range conditions {
		for range 8 {
			q := c.query(i)
			d, e := p.Decide(context.Background(), q), p.Explain(context.Background(), q)
			if d.Outcome != e.Outcome || d.Reason != e.Reason || e.Error != "" {
				t.Fatalf("Explain = %s %s (%s), Decide = %s %s", e.Outcome, e.Reason, e.Error, d.Outcome, d.Reason)
			}
			if (e.Root.Result == Hit) != (d.Outcome == OutcomeAllow) {
				t.Fatalf("Explain's tree is %s, the decision %s\n%s\ncondition %s\nidentity %s",
					e.Root.Result, d.Outcome, show(e), show(cond), show(q.Identity))
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
		func(id *session.Identity) { id.ClientID = "" }, func(id *session.Identity) { id.ClientNamed = false }, func(id *session.Identity) { id.Email = "" },
		func(id *session.Identity) { id.EmailVerified = false }, func(id *session.Identity) { id.Claims = nil },
		func(id *session.Identity) { id.Listed = false }, func(id *session.Identity) { id.Person = false },
	}
	for seed := range uint64(4) {
		c := chance{rand.New(rand.NewPCG(seed, 3))}
		p, conditions := randomPolicy(t, c, 50, true)
		for i, cond := range conditions {
			for range 10 {
				q := c.query(i)
				before := p.Decide(context.Background(), q)
				if q.Identity == nil || before.Outcome == OutcomeAllow {
					continue
				}
				less := *q.Identity
				leave[c.IntN(len(leave))](&less)
				after := q
				after.Identity = &less
				if d := p.Decide(context.Background(), after); d.Outcome == OutcomeAllow {
					t.Fatalf("leaving something out opened the route\ncondition %s\nbefore %s\nafter %s", show(cond), show(q.Identity), show(less))
				}
				after.ClientIP = netip.Addr{}
				if d := p.Decide(context.Background(), after); d.Outcome == OutcomeAllow {
					t.Fatalf("hiding the address opened the route\ncondition %s", show(cond))
				}
			}
		}
	}
}

// Without a `not`, having more groups and scopes never closes anything.
func TestMoreNeverClosesWithoutNot(t *testing.T) {
	c := chance{rand.New(rand.NewPCG(5, 5))}
	p, conditions := randomPolicy(t, c, 80, false)
	for i, cond := range conditions {
		for range 10 {
			q := c.query(i)
			if p.Decide(context.Background(), q).Outcome == OutcomeDeny || q.Identity == nil {
				continue
			}
			more := *q.Identity
			more.Groups = append(c.some("g"), more.Groups...)
			more.Scopes = append(c.some("s"), more.Scopes...)
			q.Identity = &more
			if d := p.Decide(context.Background(), q); d.Outcome != OutcomeAllow {
				t.Fatalf("more groups and scopes closed the route: %s\ncondition %s\nidentity %s", d.Reason, show(cond), show(more))
			}
		}
	}
}

func TestOrderDoesNotMatter(t *testing.T) {
	c := chance{rand.New(rand.NewPCG(6, 6))}
	var rules []Rule
	for i := range 60 {
		cond := c.condition(3, true)
		turned := reversed(cond)
		rules = append(rules, Rule{Route: fmt.Sprint("a", i), Allow: Allow{When: &cond}}, Rule{Route: fmt.Sprint("b", i), Allow: Allow{When: &turned}})
	}
	dir := t.TempDir()
	writeFile(t, dir+"/op.rego", operators)
	p, err := Compile(context.Background(), Config{Custom: []Custom{{Path: dir}}}, rules)
	if err != nil {
		t.Fatal(err)
	}
	p.timeout = time.Minute
	for i := range 60 {
		for range 20 {
			q := c.query(2 * i)
			a := p.Decide(context.Background(), q)
			q.Route++
			if b := p.Decide(context.Background(), q); a.Outcome != b.Outcome {
				t.Fatalf("the order of items matters: %s and %s\ncondition %s\nidentity %s", a.Outcome, b.Outcome, show(rules[2*i].Allow.When), show(q.Identity))
			}
		}
	}
}

func reversed(c Condition) Condition {
	turn := func(list []Condition) []Condition {
		var out []Condition
		for _, x := range slices.Backward(list) {
			out = append(out, reversed(x))
		}
		return out
	}
	flip := func(list []string) []string {
		list = slices.Clone(list)
		slices.Reverse(list)
		return list
	}
	c.Groups, c.Scopes, c.Users, c.Clients = flip(c.Groups), flip(c.Scopes), flip(c.Users), flip(c.Clients)
	c.AnyOf, c.AllOf = turn(c.AnyOf), turn(c.AllOf)
	if c.Not != nil {
		below := reversed(*c.Not)
		c.Not = &below
	}
	return c
}
