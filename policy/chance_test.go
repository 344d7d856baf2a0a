package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
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
	n := c.IntN(13)
	if depth == 0 {
		n = c.IntN(10)
	}
	switch n {
	case 0:
		cond.Groups = c.with(c.some("g"))
	case 1:
		cond.Scopes = c.some("s")
	case 2:
		cond.Users = c.with(c.some("u"))
	case 3:
		cond.Clients = c.some("c")
	case 4:
		cond.EmailDomains = []string{[]string{"a.test", "B.test"}[c.IntN(2)]}
	case 5:
		cond.Claims = map[string]ClaimTest{fmt.Sprint("k", c.IntN(2)): c.test()}
		if c.IntN(3) == 0 {
			cond.Claims["k2"] = c.test()
		}
	case 6:
		cond.IP = []netip.Prefix{netip.MustParsePrefix([]string{"10.0.0.0/8", "192.0.2.0/24"}[c.IntN(2)])}
	case 7:
		cond.OPA = &OPA{"data.op." + []string{"yes", "no", "undefined", "text", "admin"}[c.IntN(5)]}
	case 8:
		cond.Time = []Window{c.window()}
		if c.IntN(3) == 0 {
			cond.Time = append(cond.Time, c.window())
		}
	case 9:
		cond.Method = [][]string{{"GET"}, {"POST", "HEAD"}, {"DELETE", "GET"}}[c.IntN(3)]
	case 10:
		cond.AnyOf = items()
	case 11:
		cond.AllOf = items()
	case 12:
		if nots {
			below := c.condition(depth-1, nots)
			cond.Not = &below
		}
	}
}

// with sometimes adds a path variable.
func (c chance) with(list []string) []string {
	if c.IntN(4) == 0 {
		list = append(list, []string{"{v}", "{w}"}[c.IntN(2)])
	}
	return list
}

func (c chance) test() (t ClaimTest) {
	for len(t.forms()) == 0 {
		list := []any{c.scalar()}
		if c.IntN(3) == 0 {
			list = append(list, c.scalar())
		}
		if c.IntN(4) == 0 {
			list = append(list, "{v}")
		}
		switch c.IntN(5) {
		case 0:
			t.Equals = list
		case 1:
			t.Prefix = c.with([]string{"x"})
		case 2:
			t.Contains = list
		default:
			if t.forms() == nil {
				t.Is = list
			}
		}
		if t.Is == nil && c.IntN(3) == 0 {
			t.Prefix = []string{"x", "y"}
		}
	}
	return t
}

// base is a Monday; queries come in the weeks around it.
var base = time.Date(2026, 3, 23, 0, 0, 0, 0, time.UTC)

func (c chance) window() (w Window) {
	for len(w.Days) == 0 && w.Hours == "" && w.From == "" && w.Until == "" {
		if c.IntN(2) == 0 {
			w.Days = [][]string{{"mon-fri"}, {"sat", "sun"}, {"fri-mon"}, {"wed"}}[c.IntN(4)]
		}
		if c.IntN(2) == 0 {
			w.Hours = []string{"08:00-18:00", "22:00-06:00", "12:30-24:00", "18:00-00:00"}[c.IntN(4)]
		}
		if c.IntN(4) == 0 {
			w.From = "2026-03-20T12:00:00+01:00"
		}
		if c.IntN(4) == 0 {
			w.Until = "2026-04-01T00:00:00-05:00"
		}
	}
	if c.IntN(2) == 0 {
		w.Zone = []string{"Europe/Berlin", "Asia/Kolkata", "UTC", "America/New_York"}[c.IntN(4)]
	}
	return w
}

func (c chance) require() *Require {
	if c.IntN(2) == 0 {
		return nil
	}
	r := &Require{}
	for r.problem() != "" {
		r.MFA = c.IntN(2) == 0
		if c.IntN(2) == 0 {
			r.ACR = []string{"a1", "a2"}[:1+c.IntN(2)]
		}
		if c.IntN(2) == 0 {
			r.SignedInWithin = []time.Duration{time.Hour, 15 * time.Minute}[c.IntN(2)]
		}
	}
	return r
}

// rule is a random rule; not all of it is about people.
func (c chance) rule(name string, nots bool) Rule {
	cond := c.condition(3, nots)
	r := Rule{Route: name, Allow: Allow{When: &cond}, Require: c.require(), Variables: []string{"v", "w"}}
	if c.IntN(5) == 0 {
		r.Bodies = [][]BodyState{{BodyParsed}, {BodyParsed, BodyNone}, {BodyNone, BodyCut}}[c.IntN(3)]
	}
	return r
}

func (c chance) scalar() any {
	return []any{"x", "y", "xy", true, false, json.Number("1"), json.Number("1.0"), "1", json.Number("12345678901234567890")}[c.IntN(9)]
}

func (c chance) claim() any {
	switch c.IntN(8) {
	case 0:
		return nil
	case 1:
		return map[string]any{"x": "x"}
	case 2:
		return []any{c.scalar(), c.scalar()}
	case 3:
		return []any{c.scalar(), c.oddity(), c.scalar()}
	case 4:
		return []any{c.oddity()}
	case 5:
		return []any{}
	default:
		return c.scalar()
	}
}

// oddity is what is no scalar.
func (c chance) oddity() any {
	return []any{nil, map[string]any{"x": "x"}, []any{"x"}, []any{}}[c.IntN(4)]
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
		func() { id.MFA = true },
		func() { id.ACR = fmt.Sprint("a", c.IntN(4)) },
		func() { id.AuthTime = base.Add(time.Duration(c.IntN(14*24*60)) * time.Minute) },
	} {
		if c.IntN(3) > 0 {
			set()
		}
	}
	return id
}

func (c chance) query(route int) Query {
	q := Query{Route: route, Identity: c.identity(), Method: []string{"GET", "HEAD", "POST", "DELETE"}[c.IntN(4)]}
	if c.IntN(5) > 0 {
		q.ClientIP = netip.MustParseAddr([]string{"10.1.2.3", "192.0.2.1", "2001:db8::1"}[c.IntN(3)])
	}
	q.Time = base.Add(time.Duration(c.IntN(14*24*60*60)) * time.Second)
	if id := q.Identity; id != nil && !id.AuthTime.IsZero() && c.IntN(3) > 0 {
		id.AuthTime = q.Time.Add(-time.Duration(c.IntN(100)-5) * time.Minute).Truncate(time.Second)
	}
	for _, name := range []string{"v", "w"} {
		if c.IntN(10) > 0 {
			q.Variables = append(q.Variables, Variable{name, []string{"x", "g1", "u1", "{v}"}[c.IntN(4)]})
		}
	}
	if c.IntN(2) == 0 {
		q.Body = Body{State: BodyState(c.IntN(5))}
	}
	return q
}

func show(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// randomPolicy compiles n random rules.
func randomPolicy(t testing.TB, c chance, n int, nots bool) (*Policy, []Rule) {
	t.Helper()
	var rules []Rule
	for i := range n {
		rules = append(rules, c.rule(fmt.Sprint("r", i), nots))
	}
	return withOperators(t, rules), rules
}

// withOperators compiles rules beside the module operators.
func withOperators(t testing.TB, rules []Rule) *Policy {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, dir+"/op.rego", operators)
	p, err := Compile(context.Background(), Config{Custom: []Custom{{Path: dir}}}, rules)
	if err != nil {
		t.Fatalf("Compile: %v", err)
	}
	p.timeout = time.Minute // what is tested is not how busy the machine is
	return p
}
