package policy

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/conf"
)

// linted reads the value of one route's allow and returns what Lint finds, as
// "line code".
func linted(t *testing.T, allow string, known Known, methods ...string) []string {
	t.Helper()
	var file struct {
		Allow Allow `yaml:"allow"`
	}
	if _, err := conf.Parse("test.yaml", []byte("allow:\n"+indented(allow)), &file); err != nil {
		t.Fatalf("%v", err)
	}
	var found []string
	for _, w := range Lint([]Linted{{Rule: Rule{Route: "r", Allow: file.Allow, Variables: []string{"tenant"}}, Methods: methods}}, known) {
		found = append(found, fmt.Sprint(w.Pos.Line-1, " ", w.Code))
	}
	return found
}

func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ") + "\n"
}

// finds fails unless Lint finds exactly want, each "line code" with lines of
// allow counted from 1.
func finds(t *testing.T, allow string, want ...string) {
	t.Helper()
	if got := linted(t, allow, Known{}, "GET", "HEAD", "POST"); !slices.Equal(got, want) {
		t.Errorf("Lint found %q, want %q, in\n%s", got, want, allow)
	}
}

func TestLintFindsWhatNobodyCanMeet(t *testing.T) {
	for _, allow := range []string{
		"all_of: [{ clients: [a] }, { clients: [b] }]",
		"{ clients: [a], all_of: [{ any_of: [{ clients: [b] }, { clients: [c] }] }] }",
		"{ email_domains: [a.test], all_of: [{ email_domains: [b.test, c.test] }] }",
		"{ groups: [a], not: { groups: [a, b] } }",
		"{ groups: [a, b], not: { any_of: [{ groups: [a] }, { groups: [b] }] } }",
		"{ scopes: [a], not: { scopes: [a] } }",
		"{ users: [a], all_of: [{ users: [b] }, { users: [c] }] }",
		"{ users: [a, b], not: { users: [b, a] } }",
		"{ claims: { k: { equals: x } }, all_of: [{ claims: { k: { equals: y } } }] }",
		"{ claims: { k: { equals: x } }, all_of: [{ claims: { k: { contains: x } } }] }",
		"{ claims: { k: { equals: x, prefix: y } } }",
		"{ claims: { k: { equals: 1 } }, all_of: [{ claims: { k: { equals: [2, \"1\"] } } }] }",
		"{ claims: { k: x }, not: { claims: { k: [x, y] } } }",
		`{ claims: { k: "{tenant}" }, not: { claims: { k: "{tenant}" } } }`,
		"{ groups: [a], ip: 10.0.0.0/8, all_of: [{ ip: 192.0.2.0/24 }] }",
		"{ groups: [a], ip: 10.1.0.0/16, not: { ip: 10.0.0.0/8 } }",
		"{ groups: [a], not: { ip: [0.0.0.0/0, '::/0'] } }",
		"{ groups: [a], method: DELETE }",
		"{ groups: [a], not: { method: [GET, POST] } }",
		"{ groups: [a], all_of: [{ method: GET }, { method: POST }] }",
		"{ groups: [a], time: [{ from: '2027-01-02T00:00:00Z' }], all_of: [{ time: [{ until: '2027-01-02T01:00:00+01:00' }] }] }",
		"{ groups: [a], time: [{ days: [sat, sun] }], all_of: [{ time: [{ days: [mon-fri] }] }] }",
		"{ groups: [a], time: [{ hours: '08:00-12:00' }], all_of: [{ time: [{ hours: '12:00-18:00' }] }] }",
		"{ groups: [a], time: [{ days: [sun], from: '2027-01-04T00:00:00Z', until: '2027-01-06T00:00:00Z' }] }",
		"{ groups: [a], time: [{ hours: '08:00-12:00', zone: Europe/Berlin }], not: { time: [{ hours: '07:00-13:00', zone: Europe/Berlin }] } }",
		"{ opa: { rule: data.a.b }, not: { opa: { rule: data.a.b } } }",
	} {
		finds(t, allow, "1 never-met")
	}
}

func TestLintIsSilentAboutWhatSomebodyCanMeet(t *testing.T) {
	for _, allow := range []string{
		"{ groups: [a], all_of: [{ groups: [b] }] }",             // in both
		"{ scopes: [a], all_of: [{ scopes: [b] }] }",             // with both
		"{ users: [a], all_of: [{ users: [b] }] }",               // subject and username
		"{ claims: { k: x }, all_of: [{ claims: { k: y } }] }",   // a list of both
		"{ claims: { k: 1 }, all_of: [{ claims: { k: 1.0 } }] }", // one number
		"{ claims: { k: { equals: 1.0 } }, all_of: [{ claims: { k: { equals: 1 } } }] }",
		"{ claims: { k: { equals: xyz, prefix: x } } }",
		`{ claims: { k: { equals: "{tenant}" } }, all_of: [{ claims: { k: { equals: y } } }] }`,
		`{ groups: ["{tenant}", a], not: { groups: [a] } }`,
		"{ groups: [a, b], not: { groups: [b] } }",
		"{ groups: [a], ip: 10.0.0.0/8, not: { ip: 10.1.0.0/16 } }",
		"{ groups: [a], ip: 10.0.0.0/8, all_of: [{ ip: 10.1.2.3 }] }",
		"{ groups: [a], method: [GET, DELETE] }",
		"{ groups: [a], method: HEAD, not: { method: POST } }",
		"{ groups: [a], time: [{ days: [mon], hours: '22:00-06:00' }], all_of: [{ time: [{ days: [tue] }] }] }", // until six
		"{ groups: [a], time: [{ hours: '08:00-12:00' }], all_of: [{ time: [{ hours: '12:00-18:00', zone: Asia/Tokyo }] }] }",
		"{ groups: [a], time: [{ days: [mon], from: '2027-01-04T00:00:00Z', until: '2027-01-06T00:00:00Z' }] }",
		// Neither is known where groups are not told: this is no tautology.
		"any_of: [{ groups: [a] }, { not: { groups: [a] } }]",
		"{ any_of: [{ scopes: [a] }, { groups: [b] }], all_of: [{ any_of: [{ scopes: [b] }, { groups: [a] }] }] }",
	} {
		finds(t, allow)
	}
}

func TestLintFindsDeadAlternatives(t *testing.T) {
	finds(t, "any_of:\n- { groups: [a] }\n- { clients: [x], not: { clients: [x, y] } }", "3 never-met")
	finds(t, "clients: [x]\nany_of:\n- { groups: [a] }\n- { clients: [y] }\n- { clients: [x] }", "4 never-met", "5 always-met")
	finds(t, "groups: [a]\nany_of:\n- signed-in\n- { users: [dana] }", "3 always-met")
	finds(t, "any_of:\n- signed-in\n- { groups: [admins] }\n- { scopes: [x] }", "3 covered")
	finds(t, "any_of:\n- { groups: [a] }\n- { scopes: [x] }\n- { groups: [a, b] }", "2 covered")
	finds(t, "any_of:\n- { groups: [a] }\n- { scopes: [x] }\n- { groups: [a] }", "4 covered")
	finds(t, "any_of:\n- { ip: 10.1.0.0/16, groups: [a] }\n- { ip: 10.0.0.0/8, groups: [a, b] }", "2 covered")
	finds(t, "groups: [a]\nany_of:\n- { method: [GET, POST] }\n- { users: [dana] }", "3 always-met")
	finds(t, "not:\n  any_of:\n  - { groups: [a] }\n  - { groups: [a] }\n")
}

// One number can be written in several ways.
func TestLintDoesNotTellNumbersApartByTheirText(t *testing.T) {
	equals := func(n json.Number) *Condition {
		return &Condition{Claims: map[string]ClaimTest{"k": {Equals: []any{n}}}}
	}
	for _, n := range []json.Number{"1.0", "10e-1", "1e0"} {
		c := *equals("1")
		c.AllOf = []Condition{*equals(n)}
		if found := Lint([]Linted{{Rule: Rule{Route: "r", Allow: Allow{When: &c}}}}, Known{}); len(found) > 0 {
			t.Errorf("1 and %s: found %v", n, found)
		}
	}
}

func TestLintTellsUsernamesFromSubjectsThatAreUUIDs(t *testing.T) {
	const allow = "{ users: [dana], all_of: [{ users: [bob] }] }"
	if got := linted(t, allow, Known{OpaqueSubjects: true}); !slices.Equal(got, []string{"1 never-met"}) {
		t.Errorf("Lint found %q, want that nobody has two usernames", got)
	}
	const subject = "{ users: [dana], all_of: [{ users: [0b0e8a1c-61a4-4e0a-9d6e-0d6f0a0d7c11] }] }"
	if got := linted(t, subject, Known{OpaqueSubjects: true}); got != nil {
		t.Errorf("Lint found %q, want nothing: a username and a subject", got)
	}
}

func TestLintKnowsWhichNamesExist(t *testing.T) {
	known := Known{
		Groups: []string{"admins", "staff"}, Clients: []string{"gatehouse", "orders-job"},
		Scopes: map[string]Reach{"orders.read": ReachSome, "orders.write": ReachNobody, "all": ReachAll, "own": ReachUnknown},
	}
	for _, c := range []struct{ allow, want string }{
		{"groups: [admins]", ""},
		{"groups: [admin]", "1 unknown-group"},
		{`groups: ["{tenant}"]`, ""},
		{"{ groups: [staff], not: { clients: [gate-house] } }", "1 unknown-client"},
		{"scopes: [orders.read, own]", ""},
		{"scopes: [order.read]", "1 unknown-scope"},
		{"scopes: [orders.write]", "1 scope-for-nobody"},
		{"scopes: [all]", "1 scope-for-all"},
		{"users: [dana@example.com]", "1 email-as-user"},
		{"users: ['@dana', dana@host]", ""},
	} {
		if got := strings.Join(linted(t, c.allow, known), ", "); got != c.want {
			t.Errorf("Lint(%s) found %q, want %q", c.allow, got, c.want)
		}
		if got := linted(t, c.allow, Known{}); len(got) > 0 && got[0] != "1 email-as-user" {
			t.Errorf("Lint(%s) found %q without knowing what exists", c.allow, got)
		}
	}
}

func TestLintPointsAtTheNameItMeans(t *testing.T) {
	const text = `allow:
  groups: [admins, amins]
  scopes: all
  clients:
    - gatehouse
    - gate-house
  any_of:
    - users: [dana, bob]
    - not: { groups: [staff, staf], users: [dana@example.com] }
`
	var file struct {
		Allow Allow `yaml:"allow"`
	}
	if _, err := conf.Parse("test.yaml", []byte(text), &file); err != nil {
		t.Fatal(err)
	}
	known := Known{
		Groups: []string{"admins", "staff"}, Clients: []string{"gatehouse"}, Scopes: map[string]Reach{"all": ReachAll},
		Claimable: func(name string) bool { return name == "bob" },
	}
	var found []string
	for _, w := range Lint([]Linted{{Rule: Rule{Route: "r", Allow: file.Allow}}}, known) {
		found = append(found, fmt.Sprintf("%s:%d:%d %s", w.Pos.File, w.Pos.Line, w.Pos.Column, w.Code))
	}
	want := []string{
		"test.yaml:2:20 unknown-group", "test.yaml:3:11 scope-for-all", "test.yaml:6:7 unknown-client",
		"test.yaml:9:30 unknown-group", "test.yaml:9:45 email-as-user",
	}
	if !slices.Equal(found, want) {
		t.Errorf("Lint found %q, want %q", found, want)
	}
}

func TestLintSuggestsWhatWasMeant(t *testing.T) {
	rule := Linted{Rule: Rule{Route: "r", Allow: Allow{When: &Condition{Groups: []string{"admin"}}}}}
	found := Lint([]Linted{rule}, Known{Groups: []string{"staff", "admins"}})
	if len(found) != 1 || !strings.Contains(found[0].Text, `did you mean "admins"?`) {
		t.Errorf("Lint found %v, want a suggestion", found)
	}
}

func TestLintKnowsWhenTimeIsOver(t *testing.T) {
	const allow = "{ groups: [a], time: [{ until: '2025-01-01T00:00:00Z' }, { hours: '08:00-12:00', until: '2026-01-01T00:00:00Z' }] }"
	for _, c := range []struct {
		now  string
		want []string
	}{{"2025-12-31T23:59:59Z", nil}, {"2026-01-01T00:00:00Z", []string{"1 time-over"}}} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		if got := linted(t, allow, Known{Now: now}); !slices.Equal(got, c.want) {
			t.Errorf("at %s Lint found %q, want %q", c.now, got, c.want)
		}
	}
}

func TestLintKnowsWhatSignInCannotGive(t *testing.T) {
	for _, c := range []struct {
		require Require
		known   Known
		want    int
	}{
		{Require{MFA: true}, Known{Strength: &Strength{}}, 1},
		{Require{ACR: []string{"gold"}}, Known{Strength: &Strength{}}, 1},
		{Require{SignedInWithin: time.Hour}, Known{Strength: &Strength{}}, 0},
		{Require{MFA: true}, Known{Strength: &Strength{MFA: true}}, 0},
		{Require{ACR: []string{"gold", "silver"}}, Known{Strength: &Strength{MFA: true, ACR: []string{"silver"}}}, 0},
		{Require{MFA: true, ACR: []string{"gold"}}, Known{Strength: &Strength{MFA: true, ACR: []string{"silver"}}}, 1},
		{Require{MFA: true}, Known{}, 0},
	} {
		found := Lint([]Linted{{Rule: Rule{Route: "r", Allow: Allow{Word: WordSignedIn}, Require: &c.require}}}, c.known)
		if len(found) != c.want {
			t.Errorf("Lint(%+v) with %+v found %v, want %d", c.require, c.known, found, c.want)
		}
	}
}

// What is proved holds for every request there is: nobody meets what Lint says
// cannot be met.
func TestWhatLintProvesIsTrue(t *testing.T) {
	holds := map[demand]func(v *bool) bool{
		beTrue: func(v *bool) bool { return v != nil && *v }, beFalse: func(v *bool) bool { return v != nil && !*v },
		beNotTrue: func(v *bool) bool { return v == nil || !*v }, beNotFalse: func(v *bool) bool { return v == nil || *v },
	}
	proved := map[demand]int{}
	for seed := range uint64(20) {
		c := chance{rand.New(rand.NewPCG(seed, 99))}
		for range 400 {
			around, part, d := c.condition(2, true), c.condition(1, true), demand(c.IntN(4))
			l := linter{rule: &Linted{}, known: &Known{}, steps: maxSteps}
			if l.clash(wishOf(&part, d), []*wish{wishOf(&around, beTrue)}) == nil {
				continue
			}
			proved[d]++
			for range 150 {
				q := c.query(0)
				if q.Identity != nil && holds[beTrue](judge(around, q)) && holds[d](judge(part, q)) {
					t.Fatalf("seed %d: said to be impossible:\naround %s\npart %s is %d\nidentity %s\nip %s", seed, show(around), show(part), d, show(q.Identity), q.ClientIP)
				}
			}
		}
	}
	if proved[beTrue] < 20 || proved[beFalse] < 20 || proved[beNotTrue] < 20 {
		t.Errorf("proved %v: the test sees too little", proved)
	}
}

func TestLintOfALargeRuleEnds(t *testing.T) {
	var c Condition
	for i := range 18 {
		c.AllOf = append(c.AllOf, Condition{AnyOf: []Condition{{Clients: []string{fmt.Sprint("a", i)}}, {Clients: []string{fmt.Sprint("b", i)}}, {Groups: []string{fmt.Sprint(i)}}}})
	}
	begin := time.Now()
	Lint([]Linted{{Rule: Rule{Route: "r", Allow: Allow{When: &c}}}}, Known{})
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("Lint took %s", took)
	}
}
