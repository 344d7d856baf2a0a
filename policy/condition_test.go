package policy

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/conf"
)

// mistake parses a route whose allow is given and wants an error with text at
// line:column.
func mistake(t *testing.T, allow, at, text string) {
	t.Helper()
	var f file
	_, err := conf.Parse("gatehouse.yaml", []byte("routes:\n- name: it\n  allow: "+allow+"\n"), &f)
	if err == nil || !strings.Contains(err.Error(), "gatehouse.yaml:"+at) || !strings.Contains(err.Error(), text) {
		t.Errorf("Parse(allow: %s) = %v\nwant an error at %s with %q", allow, err, at, text)
	}
}

func TestMistakesInAllowAreToldWithTheirPlace(t *testing.T) {
	mistake(t, "everyone", "3:10", "want anyone, signed-in, nobody")
	mistake(t, "[anyone]", "3:10", "any_of")
	mistake(t, "{}", "3:10", "empty")
	mistake(t, "{ group: [admins] }", "3:12", "groups") // did you mean
	mistake(t, "{ groups: [] }", "3:", "empty")
	mistake(t, `{ groups: [""] }`, "3:", "nothing can equal")
	mistake(t, "{ any_of: [] }", "3:", "empty")
	mistake(t, "{ ip: [] }", "3:", "empty")
	mistake(t, "{ claims: {} }", "3:", "empty")
	mistake(t, "{ claims: { c: [] } }", "3:", "no value")
	mistake(t, "{ claims: { c: [{x: 1}] } }", "3:", "want a string, a number or a boolean")
	mistake(t, "{ claims: { c: null } }", "3:", "")
	mistake(t, "{ not: {} }", "3:", "empty")
	mistake(t, "{ not: signed-in }", "3:", "signed-in cannot stand under not")
	mistake(t, "{ not: { any_of: [signed-in, {groups: [a]}] } }", "3:", "signed-in cannot stand under not")
	mistake(t, "{ any_of: [anyone, {groups: [a]}] }", "3:", "the word signed-in")
	mistake(t, "{ any_of: [nobody] }", "3:", "the word signed-in")
	mistake(t, "{ ip: [10.1.2.3/8] }", "3:", "10.0.0.0/8")
	mistake(t, `{ ip: ["::ffff:10.0.0.0/104"] }`, "3:", "IPv4")
	mistake(t, "{ ip: [example.com] }", "3:", "")
	mistake(t, `{ email_domains: ["@example.com"] }`, "3:", "example.com")
	mistake(t, `{ email_domains: ["*.example.com"] }`, "3:", "each subdomain")
	mistake(t, "{ opa: { rule: orders.allow } }", "3:", "data.orders.allow")
	mistake(t, "{ opa: { rule: data.orders } }", "3:", "data.orders.allow")
	mistake(t, `{ opa: { rule: "data.orders[input.path]" } }`, "3:", "data.orders.allow")
	mistake(t, `{ opa: { rule: "data.a.b == 1" } }`, "3:", "data.orders.allow")
	mistake(t, "{ opa: { rule: data.gatehouse.routes.allow } }", "3:", "reserved")
	mistake(t, "{ opa: {} }", "3:", "data.orders.allow")
}

func TestPositionsStayOnConditions(t *testing.T) {
	p := compile(t, `routes:
  - name: it
    allow:
      any_of:
        - groups:
            - admins
        - claims:
            a: 1
            b: 2
      ip: 10.0.0.0/8
`)
	var got []string
	for _, l := range p.routes[0].root.leaves() {
		got = append(got, fmt.Sprintf("%s%s:%d", yamlKey[l.kind], l.claim, l.pos.Line))
	}
	if want := []string{"groups:6", "claimsa:8", "claimsb:9", "ip:10"}; !slices.Equal(got, want) {
		t.Errorf("leaves are at %q, want %q", got, want)
	}
}

func TestKeysOfAMapAreJoinedInTheOrderOfTheFile(t *testing.T) {
	p := one(t, "{ ip: 203.0.113.0/24, not: {users: [eve]}, groups: [staff] }")
	if got := p.routes[0].root.text(); got != "all_of: [{ip: [203.0.113.0/24]}, {not: {users: [eve]}}, {groups: [staff]}]" {
		t.Errorf("the tree is %s", got)
	}
	allows(t, p, person(), ConditionsOK)
	denies(t, p, person(inGroups("x")), GroupMissing)
}

func TestCompileRefusesWhatIsNoRule(t *testing.T) {
	deep := Condition{Groups: []string{"g"}}
	for range maxDepth + 2 {
		deep = Condition{Not: &Condition{AllOf: []Condition{deep}}}
	}
	at := conf.Pos{File: "gatehouse.yaml", Line: 7, Column: 3}
	for name, rules := range map[string][]Rule{
		"protects nothing": {{Route: "a", Pos: at}},
		"want anyone":      {{Route: "a", Allow: Allow{Word: "everyone"}, Pos: at}},
		"empty or not unique": {
			{Route: "a", Allow: Allow{Word: WordAnyone}}, {Route: "a", Allow: Allow{Word: WordNobody}, Pos: at},
		},
		`name "" is empty`:    {{Allow: Allow{Word: WordAnyone}, Pos: at}},
		"nested more than":    {{Route: "a", Allow: Allow{When: &deep}, Pos: at}},
		"conditions is empty": {{Route: "a", Allow: Allow{When: &Condition{AnyOf: []Condition{{}}}}, Pos: at}},
		"no network address":  {{Route: "a", Allow: Allow{When: &Condition{IP: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/8")}}}, Pos: at}},
	} {
		_, err := Compile(context.Background(), Config{}, rules)
		var e *Error
		if err == nil || !strings.Contains(err.Error(), name) || !errors.As(err, &e) || e.Pos.Line != 7 {
			t.Errorf("Compile = %v, want an *Error at line 7 with %q", err, name)
		}
	}
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	_, err := Compile(context.Background(), Config{Custom: []Custom{{Path: "/nonexistent"}}}, []Rule{
		{Route: "a", Allow: Allow{Word: "x"}}, {Route: "b", Allow: Allow{Word: "y"}},
	})
	for _, part := range []string{`"x"`, `"y"`, "/nonexistent"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("Compile = %v, want every mistake in it, %s too", err, part)
		}
	}
}

func TestScopesOfARule(t *testing.T) {
	f := read(t, t.TempDir(), `routes:
  - name: it
    allow:
      any_of: [{ scopes: [b, a] }, { all_of: [{ scopes: [c, a] }, { not: { scopes: [d] } }] }, signed-in]
  - name: other
    allow: signed-in
`)
	if got, want := f.Routes[0].Allow.Scopes(), []string{"b", "a", "c"}; !slices.Equal(got, want) {
		t.Errorf("Scopes() = %q, want %q", got, want)
	}
	if got := f.Routes[1].Allow.Scopes(); got != nil {
		t.Errorf("Scopes() = %q, want none", got)
	}
	if !f.Routes[1].Allow.Given() || f.Routes[1].Allow.Anyone() || (Allow{}).Given() {
		t.Error("Given or Anyone is wrong")
	}
}

func TestAnOperatorsRuleMayStandAlone(t *testing.T) {
	for _, form := range []string{"{ opa: data.orders.allow }", "{ opa: { rule: data.orders.allow } }"} {
		_, err := tryCompile(t, "routes:\n  - name: it\n    allow: "+form+"\n")
		if err == nil || !strings.Contains(err.Error(), "no module of policy.custom defines data.orders.allow") {
			t.Errorf("Compile(%s) = %v, want it to look for the rule", form, err)
		}
	}
}
