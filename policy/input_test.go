package policy

import (
	"context"
	"encoding/json"
	"maps"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/session"
)

// whole is a query about which everything is known.
func whole() Query {
	return Query{
		Identity: person(func(id *session.Identity) {
			id.Name, id.ACR, id.AMR, id.AuthTime, id.MFA = "Bob", "gold", []string{"pwd", "mfa"}, base, true
			id.Scopes = []string{"openid"}
			id.Claims = map[string]any{"a": "x", "b": []any{"y", nil}, "c": json.Number("3"), "d": map[string]any{}}
		}),
		Method: "GET", Host: "app.example.com", Path: "/t/acme", RawQuery: "q=1", Time: base.Add(time.Hour),
		ClientIP:  netip.MustParseAddr("203.0.113.9"),
		Variables: []Variable{{"tenant", "acme"}, {"item", "7"}},
		Body:      Body{BodyParsed, map[string]any{"n": json.Number("1")}},
	}
}

// paths lists the leaves of a document, "user.groups" and so on.
func paths(v any, at string) []string {
	m, ok := v.(map[string]any)
	if !ok {
		return []string{at}
	}
	var all []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, paths(m[k], strings.TrimPrefix(at+"."+k, "."))...)
	}
	return all
}

// A rule is asked about exactly what it reads.
func TestTheInputHasOnlyWhatTheRuleReads(t *testing.T) {
	for rule, want := range map[string]string{
		"allow: signed-in":                                                                 "route",
		"allow: { groups: [a] }":                                                           "route user.groups",
		"allow: { scopes: [a] }":                                                           "credential.scopes route",
		"allow: { users: [a] }":                                                            "route user.subject user.username",
		"allow: { clients: [a] }":                                                          "credential.client route",
		"allow: { email_domains: [a] }":                                                    "route user.email_domain",
		"allow: { claims: { a: x } }":                                                      "claim_known.a claim_values.a route",
		"allow: { claims: { b: { prefix: x } } }":                                          "claim_values.b route",
		"allow: { claims: { a: { equals: x }, b: { contains: y } } }":                      "claim_lists.b claim_scalars.a route",
		"allow: { claims: { a: { contains: x }, b: { equals: y } } }":                      "claim_known.a route",
		"allow: { claims: { d: x, nothing: x } }":                                          "route",
		"allow: { groups: [a], ip: 10.0.0.0/8 }":                                           "request.client_ip route user.groups",
		"allow: { groups: [a], method: GET }":                                              "request.method route user.groups",
		"allow: { scopes: [a], time: { days: [mon] } }":                                    "credential.scopes route time",
		`allow: { groups: ["{tenant}"] }`:                                                  "request.variables.tenant route user.groups",
		`allow: { users: ["{tenant}"] }`:                                                   "request.variables.tenant route user.username",
		`allow: { users: ["{tenant}", a] }`:                                                "request.variables.tenant route user.subject user.username",
		"allow: { groups: [a] }\n    require: { mfa: true }":                               "route user.groups user.mfa",
		"allow: { groups: [a] }\n    require: { acr: gold }":                               "route user.acr user.groups",
		"allow: { groups: [a] }\n    require: { signed_in_within: 1h }":                    "route time user.auth_time user.groups",
		"allow: { scopes: [a] }\n    require: { mfa: true, acr: a, signed_in_within: 1h }": "credential.scopes route time user.acr user.auth_time user.mfa",
	} {
		p := compile(t, "routes:\n  - name: it\n    sets: [tenant, item]\n    "+rule+"\n")
		text, err := p.Input(whole())
		var input map[string]any
		if err != nil || json.Unmarshal(text, &input) != nil {
			t.Fatalf("%s: Input = %s, %v", rule, text, err)
		}
		got := slices.DeleteFunc(paths(input, ""), func(s string) bool {
			return s == "user" || s == "claim_known" || s == "claim_lists" || s == "claim_scalars" || s == "claim_values"
		})
		if strings.Join(got, " ") != want && !(want == "route" && len(got) == 1) {
			t.Errorf("%s is asked about %q, want %q", rule, got, want)
		}
	}
}

func TestInputIsNilWhereOPAIsNotAsked(t *testing.T) {
	p := shop(t)
	for name, q := range map[string]Query{
		"anyone": {Route: 0, Identity: person()}, "nobody": {Route: 1, Identity: person()}, "no identity": {Route: 3},
		"unknown route": {Route: 99, Identity: person()}, "route -1": {Route: -1, Identity: person()},
	} {
		input, err := p.Input(q)
		trace, err2 := p.Trace(context.Background(), q)
		if input != nil || trace != "" || err != nil || err2 != nil {
			t.Errorf("%s: Input = %s (%v), Trace = %s (%v), want nothing", name, input, err, trace, err2)
		}
	}
}

func TestTraceTellsHowOPADecides(t *testing.T) {
	p := shop(t)
	trace, err := p.Trace(context.Background(), Query{Route: 3, Identity: person()})
	for _, part := range []string{"Enter data.gatehouse.routes.allow.admin", "data.gatehouse.routes.group_admins", "Fail", "gatehouse-routes.rego:"} {
		if err != nil || !strings.Contains(trace, part) {
			t.Errorf("Trace lacks %q (%v):\n%s", part, err, trace)
		}
	}
	p = asks(t, "package orders\nallow if to_number(input.request.method) == 1\n")
	if trace, err := p.Trace(context.Background(), Query{Identity: person(), Method: "GET"}); err == nil || !strings.Contains(trace, "to_number") {
		t.Errorf("Trace of a rule that fails = %v\n%s", err, trace)
	}
}

func TestWhatIsRemembered(t *testing.T) {
	for rule, want := range map[string]bool{
		"allow: { groups: [a], method: GET }":                           true,
		`allow: { claims: { a: "{tenant}" } }`:                          true,
		"allow: { groups: [a] }\n    require: { mfa: true, acr: gold }": true,
		"allow: { groups: [a], ip: 10.0.0.0/8 }":                        false,
		"allow: { groups: [a], time: { days: [mon] } }":                 false,
		"allow: { groups: [a] }\n    require: { signed_in_within: 1h }": false,
	} {
		p := compile(t, "routes:\n  - name: it\n    sets: [tenant]\n    "+rule+"\n")
		if got := p.routes[0].reads.remembered(); got != want {
			t.Errorf("%s is remembered: %t, want %t", rule, got, want)
		}
	}
	cond := Condition{Groups: []string{"a"}}
	p, err := Compile(context.Background(), Config{}, []Rule{{Route: "it", Allow: Allow{When: &cond}, Bodies: []BodyState{BodyParsed}}})
	if err != nil || p.routes[0].reads.remembered() {
		t.Errorf("a route that judges bodies is remembered (%v)", err)
	}
}

func TestABodyHasALimitOfItsOwn(t *testing.T) {
	cond := Condition{OPA: &OPA{"data.orders.allow"}}
	dir := t.TempDir()
	writeFile(t, dir+"/x.rego", "package orders\nallow if input.request.body.n == 1\n")
	p, err := Compile(context.Background(), Config{Custom: []Custom{{Path: dir}}}, []Rule{{Route: "it", Allow: Allow{When: &cond}, Bodies: []BodyState{BodyParsed, BodyNone}}})
	if err != nil {
		t.Fatal(err)
	}
	p.timeout = time.Minute
	for fill, want := range map[int]Reason{0: OPAAllow, 600 << 10: OPAAllow, maxBody + 1: OPAError} {
		q := Query{Identity: person(), Body: Body{BodyParsed, map[string]any{"n": json.Number("1"), "x": strings.Repeat("x", fill)}}}
		if d := p.Decide(context.Background(), q); d.Reason != want {
			t.Errorf("a body of %d bytes: %s (%v), want %s", fill, d.Reason, d.Err, want)
		}
	}
	if d := p.Decide(context.Background(), Query{Identity: person(), Body: Body{State: BodyNone}}); d.Reason != OPADeny {
		t.Errorf("no body: %s %s, want deny opa_deny", d.Outcome, d.Reason)
	}
	for _, n := range []json.Number{"1e999999999", "nonsense"} {
		q := Query{Identity: person(), Body: Body{BodyParsed, map[string]any{"n": n}}}
		if d := p.Decide(context.Background(), q); d.Outcome != OutcomeDeny {
			t.Errorf("a body with the number %s: %s %s, want deny", n, d.Outcome, d.Reason)
		}
	}
}

// The manual lists the fields of the input that a rule of an operator sees, and
// no others.
func TestTheManualListsEveryField(t *testing.T) {
	text, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, line := range strings.Split(string(text), "\n") {
		first, _, _ := strings.Cut(strings.TrimPrefix(line, "| "), "|")
		for _, m := range regexp.MustCompile("`input\\.([a-z_.]+)`").FindAllStringSubmatch(first, -1) {
			if strings.HasPrefix(line, "| ") && m[1] != "user" {
				listed = append(listed, m[1])
			}
		}
	}
	p := asks(t, "package orders\nallow if count(input) > 0\n")
	var input map[string]any
	if text, err = p.Input(whole()); err != nil || json.Unmarshal(text, &input) != nil {
		t.Fatalf("Input = %s, %v", text, err)
	}
	var has []string
	for _, path := range paths(input, "") {
		for _, whole := range []string{"credential.claims", "request.variables", "request.body."} {
			if strings.HasPrefix(path, whole) {
				path = strings.TrimSuffix(whole, ".")
			}
		}
		has = append(has, path)
	}
	slices.Sort(listed)
	slices.Sort(has)
	if has = slices.Compact(has); !slices.Equal(listed, has) {
		t.Errorf("the manual lists %q\nthe input has %q", listed, has)
	}
}
