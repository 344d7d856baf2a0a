package policy

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/session"
)

// questions are rules of operators, some of whose reads are known.
const questions = `package ask

groups if "g1" in input.user.groups

two_groups if count(input.user.groups) == 2

no_groups if not input.user.groups

name if input.user.username == data.names.best

listed if {
	some n in data.names.all
	n == input.user.subject
}

scopes if every s in input.credential.scopes { s != "s0" }

client if client_of(input.credential.client)

client_of(c) if startswith(c, "c")

client_of(c) if c == "other"

domain := endswith(input.user.email_domain, ".test")

fails if to_number(input.user.username) == 1

path if input.request.path == "/x"

method if input.request.method == "GET"

tenant if input.request.variables.v == input.user.username

no_tenant if not input.request.variables.v

host_and_kind if input.request.host != input.credential.kind

issued if concat("", [input.credential.issuer, input.credential.subject]) in {"u1", "https://login.example.comu1"}

called if input.user.name == "u1"

mailed if endswith(input.user.email, "A.TEST")

strong if input.user.mfa

class if input.user.acr == "a1"

factor if "g1" in input.user.amr

query if input.request.query == "a"

address if input.request.client_ip

whole if count(object.keys(input)) > 2

clock if input.time > 0

claim if input.credential.claims.k0 == "x"

no_claim if not input.credential.claims.k1

null_claim if input.credential.claims.k0 == null
`

// mixture compiles n random rules, with memory or without, the same for the
// same seed.
func mixture(t testing.TB, seed uint64, n int, remember bool) *Policy {
	t.Helper()
	c := chance{rand.New(rand.NewPCG(seed, 99))}
	var names []string
	for line := range strings.Lines(questions) {
		if name, _, ok := strings.Cut(strings.ReplaceAll(line, ":=", "if"), " if "); ok && !strings.ContainsAny(name, "(\t") {
			names = append(names, name)
		}
	}
	var rules []Rule
	for i := range n {
		r := c.rule(fmt.Sprint("r", i), true)
		ask := Condition{OPA: &OPA{"data.ask." + names[i%len(names)]}}
		cond := c.condition(1, true)
		switch {
		case i < len(names):
			cond = ask
		case i%3 == 1:
			cond = Condition{AnyOf: []Condition{cond, ask}}
		case i%3 == 2:
			cond = Condition{AllOf: []Condition{cond, {Not: &ask}}}
		}
		r.Allow.When = &cond
		rules = append(rules, r)
	}
	dir := t.TempDir()
	writeFile(t, dir+"/op.rego", operators)
	writeFile(t, dir+"/ask.rego", questions)
	writeFile(t, dir+"/names.json", fmt.Sprintf(`{"best": "u%d", "all": ["u%d", "u1"]}`, seed%3, seed%2))
	cfg := Config{Custom: []Custom{{Path: dir + "/op.rego"}, {Path: dir + "/ask.rego"}}, Data: map[string]string{"names": dir + "/names.json"}, Memory: remember}
	p, err := Compile(context.Background(), cfg, rules)
	if err != nil {
		t.Fatal(err)
	}
	p.timeout = time.Minute
	return p
}

// richer fills in what chance.query leaves out.
func (c chance) richer(route int) Query {
	q := c.query(route)
	q.Host = []string{"session", "h"}[c.IntN(2)]
	q.Path = []string{"/x", "/y"}[c.IntN(2)]
	q.RawQuery = []string{"a", "b"}[c.IntN(2)]
	if id := q.Identity; id != nil {
		id.AMR = [][]string{nil, {"g1"}}[c.IntN(2)]
		id.Name, id.Issuer = []string{"", "u1"}[c.IntN(2)], []string{"", "https://login.example.com"}[c.IntN(2)]
	}
	return q
}

func same(a, b Decision) bool {
	return a.Outcome == b.Outcome && a.Reason == b.Reason && a.Rule == b.Rule && reflect.DeepEqual(a.Require, b.Require) && (a.Err == nil) == (b.Err == nil)
}

// widened lets each rule of an operator see the whole input.
func widened(p *Policy) *Policy {
	for i := range p.routes {
		rt := &p.routes[i]
		if rt.root != nil {
			rt.reads = readsOf(rt.root, rt.required)
		}
	}
	return p
}

// Memory, and the input cut down to what it is keyed by, change no answer, also where two generations of a policy are asked in
// turn.
func TestMemoryAgreesWithEvaluation(t *testing.T) {
	ctx := context.Background()
	var hits, misses uint64
	for seed := range uint64(4) {
		const routes = 64
		var with, without []*Policy
		for generation := range uint64(2) {
			with = append(with, mixture(t, 2*seed+generation, routes, true))
			without = append(without, widened(mixture(t, 2*seed+generation, routes, false)))
		}
		c := chance{rand.New(rand.NewPCG(seed, 5))}
		people := make([]*session.Identity, 12)
		for i := range people {
			people[i] = c.richer(0).Identity
		}
		for i := range 4000 {
			q, g := c.richer(c.IntN(routes)), c.IntN(2)
			q.Time = base.Add(time.Duration(i) * 2 * time.Millisecond)
			q.Identity = people[c.IntN(len(people))]
			got, want := with[g].Decide(ctx, q), without[g].Decide(ctx, q)
			if !same(got, want) {
				t.Fatalf("seed %d: Decide = %s %s %v, without memory %s %s %v\n%s\nidentity %s", seed,
					got.Outcome, got.Reason, got.Rule, want.Outcome, want.Reason, want.Rule, with[g].RouteModule(q.Route), show(q.Identity))
			}
		}
		for _, p := range with {
			s := p.MemoryStats()
			hits, misses = hits+s.Hits, misses+s.Misses
		}
	}
	if hits < 2000 || misses < 2000 {
		t.Errorf("%d hits and %d misses: the test sees too little", hits, misses)
	}
}

// keyOf is the key under which the decision on q is remembered, nil for none.
func keyOf(p *Policy, q Query) []byte {
	rt := &p.routes[q.Route]
	if q.Identity == nil || !rt.memorable() {
		return nil
	}
	key, ok := appendKey(nil, rt, q)
	if !ok {
		return nil
	}
	return key
}

// agrees tells whether equal keys of two queries mean equal inputs and equal
// decisions.
func agrees(t *testing.T, p *Policy, a, b Query) (equal bool) {
	t.Helper()
	left, right := keyOf(p, a), keyOf(p, b)
	if left == nil || !bytes.Equal(left, right) {
		return false
	}
	rt := &p.routes[a.Route]
	one, err := rt.input(a)
	two, err2 := rt.input(b)
	if err != nil || err2 != nil || one.Compare(two) != 0 {
		t.Errorf("equal keys, and the inputs are\n%v (%v)\n%v (%v)\n%s", one, err, two, err2, p.RouteModule(a.Route))
	}
	if x, y := p.decide(context.Background(), rt, a), p.decide(context.Background(), rt, b); !same(x, y) {
		t.Errorf("equal keys, and the decisions are %s %s and %s %s\n%s", x.Outcome, x.Reason, y.Outcome, y.Reason, p.RouteModule(a.Route))
	}
	return true
}

func TestEqualKeysMeanEqualInputs(t *testing.T) {
	equal := 0
	for seed := range uint64(4) {
		const routes = 64
		p := mixture(t, seed, routes, false)
		c := chance{rand.New(rand.NewPCG(seed, 6))}
		for range 20000 {
			route := c.IntN(routes)
			a, b := c.richer(route), c.richer(route)
			if a.Identity != nil && b.Identity != nil && c.IntN(2) == 0 {
				// Alike but for what a few fields say.
				mixed := *a.Identity
				for range 1 + c.IntN(3) {
					i := c.IntN(reflect.TypeFor[session.Identity]().NumField())
					reflect.ValueOf(&mixed).Elem().Field(i).Set(reflect.ValueOf(*b.Identity).Field(i))
				}
				b.Identity = &mixed
			}
			if agrees(t, p, a, b) {
				equal++
			}
		}
	}
	if equal < 300 {
		t.Errorf("only %d pairs had equal keys: the test sees too little", equal)
	}
}

// others returns values that differ from v, whatever its type.
func others(v reflect.Value) []reflect.Value {
	zero := reflect.Zero(v.Type())
	values := []reflect.Value{zero}
	of := func(all ...any) []reflect.Value {
		for _, a := range all {
			values = append(values, reflect.ValueOf(a).Convert(v.Type()))
		}
		return values
	}
	switch v.Interface().(type) {
	case []string:
		return of([]string{}, []string{"g1"}, []string{"g1", "g2"}, []string{"g1g2"}, []string{"s0"}, []string{"", "g1"})
	case map[string]any:
		return of(map[string]any{}, map[string]any{"k0": "y"}, map[string]any{"k0": nil}, map[string]any{"k0": []any{"x"}}, map[string]any{"k0": []any{"x", nil}},
			map[string]any{"k0": true, "k1": "x"}, map[string]any{"k1": "x", "k2": map[string]any{"a": 1}})
	case time.Time:
		return of(time.Unix(1, 0), time.Unix(1800000000, 5))
	case netip.Addr:
		return of(netip.MustParseAddr("10.9.9.9"), netip.MustParseAddr("2001:db8::1"))
	case Body:
		return of(Body{State: BodyParsed, Value: "x"}, Body{State: BodyCut})
	case []Variable:
		return of([]Variable{{"v", "u1"}}, []Variable{{"v", "g1"}, {"w", "x"}}, []Variable{{"w", "u1"}})
	}
	switch v.Kind() {
	case reflect.String:
		return of("u1", "u2", "c1", "a1", "GET", "POST", "bearer", "session", "x@a.test", "x@A.TEST", "x@b.test", "/y")
	case reflect.Bool:
		return of(!v.Bool())
	case reflect.Int, reflect.Pointer: // the route, the identity
		return nil
	}
	panic("no other values of a " + v.Type().String() + ": add some")
}

// Every field of an identity and of a query, those to come as well, is either
// in the key or changes nothing.
func TestEveryFieldIsInTheKeyOrChangesNothing(t *testing.T) {
	const routes = 64
	p := mixture(t, 1, routes, false)
	asked := Query{Method: "GET", Host: "h", Path: "/x", RawQuery: "a", ClientIP: netip.MustParseAddr("192.0.2.1"), Time: base}
	asked.Variables = []Variable{{"v", "u1"}}
	identities := []session.Identity{
		*person(inGroups("g1"), func(id *session.Identity) { id.Username, id.Claims = "u1", map[string]any{"k0": "x"} }),
		*machine("s1"), *person(byToken("s0"), listed),
	}
	tried := 0
	for _, id := range identities {
		for route := range routes {
			q := asked
			q.Route, q.Identity = route, &id
			for i := range reflect.TypeFor[session.Identity]().NumField() {
				for _, v := range others(reflect.ValueOf(id).Field(i)) {
					changed := id
					reflect.ValueOf(&changed).Elem().Field(i).Set(v)
					other := q
					other.Identity = &changed
					agrees(t, p, q, other)
					tried++
				}
			}
			for i := range reflect.TypeFor[Query]().NumField() {
				for _, v := range others(reflect.ValueOf(q).Field(i)) {
					other := q
					reflect.ValueOf(&other).Elem().Field(i).Set(v)
					agrees(t, p, q, other)
				}
			}
		}
	}
	if tried < 1000 {
		t.Errorf("only %d changes were tried", tried)
	}
}

func TestKeysAreUnambiguous(t *testing.T) {
	lists := [][]string{nil, {}, {""}, {"", ""}, {"a"}, {"a", "b"}, {"ab"}, {"a,b"}, {"a\x01b"}, {"b", "a"}, {"\x01a"}}
	byKey := map[string][][]string{}
	for _, groups := range lists {
		for _, scopes := range lists {
			for _, more := range lists {
				key := string(appendTexts(appendTexts(appendTexts(nil, groups), scopes), more))
				if other, taken := byKey[key]; taken {
					t.Errorf("%q, %q and %q have the key of %q", groups, scopes, more, other)
				}
				byKey[key] = [][]string{groups, scopes, more}
			}
		}
	}
	var seen [][]byte
	for _, v := range []any{nil, true, false, "", "n", "1", []any{}, []any{"1"}, []any{nil}, []any{"", ""}, []string{}, []string{"1"}, 1, 1.0, int64(2)} {
		key, ok := appendValue(nil, v, 0)
		if !ok || slices.ContainsFunc(seen, func(k []byte) bool { return bytes.Equal(k, key) }) {
			t.Errorf("%#v has the key of another, or none", v)
		}
		seen = append(seen, key)
	}
}
