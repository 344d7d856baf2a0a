package policy

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/session"
)

func explain(p *Policy, route int, id *session.Identity) Explanation {
	return p.Explain(context.Background(), Query{
		Route: route, Identity: id, Method: "GET", Host: "app.example.com", Path: "/orders/eu/7",
		ClientIP: netip.MustParseAddr("203.0.113.9"), Time: base.Add(9 * time.Hour),
		Variables: []Variable{{"tenant", "acme"}},
	})
}

// tell writes an explanation as text, for the golden file.
func tell(b *strings.Builder, who string, e Explanation) {
	b.WriteString("== " + e.Route + " as " + who + ": " + e.Outcome.String() + " " + string(e.Reason) + " (" + e.Rule + ")")
	if e.Error != "" {
		b.WriteString(" " + e.Error)
	}
	b.WriteString("\n")
	var walk func(f *Finding, indent string)
	walk = func(f *Finding, indent string) {
		b.WriteString(indent + string(f.Result) + "  " + f.Text + "  (" + f.Rule + ")")
		if f.Has != "" {
			b.WriteString("  has: " + f.Has)
		}
		b.WriteString("\n")
		for _, c := range f.Children {
			walk(c, indent+"  ")
		}
	}
	if e.Root != nil {
		walk(e.Root, "  ")
	}
	if e.Require != nil {
		b.WriteString("  require\n")
		walk(e.Require, "    ")
	}
	for _, w := range e.WouldChange {
		b.WriteString("  would change: " + w + "\n")
	}
}

func TestExplanations(t *testing.T) {
	p := shop(t)
	who := []struct {
		name string
		id   *session.Identity
	}{
		{"nobody", nil},
		{"bob", person(func(id *session.Identity) {
			id.AuthTime, id.AMR, id.ACR = base.Add(8*time.Hour+30*time.Minute), []string{"pwd"}, "bronze"
			id.Claims = map[string]any{"tenant": "acme", "level": json.Number("2"), "tags": []any{"gold"}, "team": "us-1"}
		})},
		{"a contractor", person(inGroups("admins", "contractors"))},
		{"a token of an unlisted client", person(byToken("orders.read"))},
		{"orders-job", machine("orders.read")},
	}
	var b strings.Builder
	for route := range p.routes {
		for _, w := range who {
			tell(&b, w.name, explain(p, route, w.id))
		}
	}
	golden(t, "explain.txt", b.String())
}

func TestExplainSaysWhatWouldChange(t *testing.T) {
	p := compile(t, "routes:\n  - name: admin\n    allow: { groups: [admins] }\n")
	e := explain(p, 0, person())
	if len(e.WouldChange) != 1 || !strings.HasPrefix(e.WouldChange[0], "joined group admins (rule ") || !strings.HasSuffix(e.WouldChange[0], "gatehouse.yaml:3)") {
		t.Errorf("WouldChange = %q, want joined group admins (rule …/gatehouse.yaml:3)", e.WouldChange)
	}
	e = explain(p, 0, person(inGroups("admins")))
	if len(e.WouldChange) != 1 || !strings.HasPrefix(e.WouldChange[0], "left group admins") {
		t.Errorf("WouldChange = %q, want left group admins", e.WouldChange)
	}
	if e := explain(p, 7, person()); e.Reason != NoRoute || e.Root != nil {
		t.Errorf("Explain of an unknown route = %+v, want deny no_route", e)
	}
}

func TestExplainShowsWhatAnOperatorsRuleSaid(t *testing.T) {
	for module, want := range map[string]string{
		"allow := input.request.method":                                  `data.orders.allow is "GET", which is no boolean`,
		"allow if input.nothing":                                         "data.orders.allow is undefined",
		"default allow := false":                                         "data.orders.allow is false",
		"allow := true":                                                  "data.orders.allow is true",
		"allow if to_number(input.request.method) == 1":                  "to_number",
		"allow if { some x in numbers.range(1, 9); x == 5; input.user }": "data.orders.allow is true",
	} {
		p := asks(t, "package orders\n"+module+"\n")
		e := explain(p, 0, person())
		if !strings.Contains(e.Root.Has, want) {
			t.Errorf("with %q Explain shows %q, want %q", module, e.Root.Has, want)
		}
		if (e.Root.Result == Hit) != (e.Outcome == OutcomeAllow) {
			t.Errorf("with %q the condition is a %s and the outcome %s", module, e.Root.Result, e.Outcome)
		}
	}
}

func TestExplanationIsJSON(t *testing.T) {
	text, err := json.Marshal(explain(shop(t), 3, person()))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"outcome":"deny"`, `"reason":"group_missing"`, `"condition":"groups: [admins]"`, `"has":"staff"`, `"result":"miss"`} {
		if !strings.Contains(string(text), part) {
			t.Errorf("%s lacks %s", text, part)
		}
	}
}

// What WouldChange names does change the outcome: each way is tried on the
// subject where a test can do what it says.
func TestWouldChangeIsTrue(t *testing.T) {
	p := compile(t, `routes:
  - name: it
    allow:
      any_of:
        - { groups: [g0], not: { groups: [g1] } }
        - { users: [u0], claims: { k: v } }
`)
	id := person(inGroups("g1"))
	e := explain(p, 0, id)
	if len(e.WouldChange) != 2 {
		t.Fatalf("WouldChange = %q, want two ways", e.WouldChange)
	}
	if !slices.ContainsFunc(e.WouldChange, func(s string) bool {
		return strings.HasPrefix(s, "joined group g0 and left group g1 (")
	}) {
		t.Errorf("WouldChange = %q, want joined group g0 and left group g1", e.WouldChange)
	}
	allows(t, p, person(inGroups("g0")), ConditionsOK)
	allows(t, p, person(func(id *session.Identity) { id.Username, id.Claims = "u0", map[string]any{"k": "v"} }), ConditionsOK)
}
