package policy

import (
	"context"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"gatehouse/proxy/canon"
	"gatehouse/session"
)

// nasty are texts that would mean something if anything parsed them.
var nasty = []string{
	`x"] or true #`, `x"; true`, "data.gatehouse.routes.signed_in", `it"]; input.user.subject == "`, "allow", "*", ".*", "[^/]+",
	"{tenant}", "${x}", "{{.}}", "%s", "`true`", "true", "null", `\`, `"`, "a\nallow := true", "__proto__", "input", "data", "{}", "[]",
}

// A query is made of terms at load: what a request says is never parsed, and no
// path of the policy leads to a rule that the route does not have.
func TestNothingInARequestIsRego(t *testing.T) {
	p := compile(t, `routes:
  - { name: it, sets: [v], allow: { groups: [g], users: ["{v}"], method: GET, claims: { c: { prefix: p } } } }
  - { name: open, allow: signed-in }
`)
	for _, text := range nasty {
		id := person(func(id *session.Identity) {
			id.Subject, id.Username, id.ClientID, id.Issuer, id.ACR = text, text, text, text, text
			id.Groups, id.Scopes, id.Claims = []string{text}, []string{text}, map[string]any{"c": text, text: text}
		})
		q := Query{Identity: id, Method: text, Host: text, Path: "/" + text, RawQuery: text, Variables: []Variable{{"v", text}, {text, text}}}
		if d := p.Decide(context.Background(), q); d.Outcome != OutcomeDeny || d.Reason != GroupMissing || d.Err != nil {
			t.Errorf("with %q everywhere Decide = %s %s (%v), want deny group_missing", text, d.Outcome, d.Reason, d.Err)
		}
	}
}

// The decision has no way to a parser of Rego: the files that run on the way of a
// request do not name one.
func TestNoQueryIsBuiltWhileDeciding(t *testing.T) {
	for _, file := range []string{"eval.go", "input.go", "memory.go", "memorykey.go", "reason.go", "require.go", "cache.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range f.Imports {
			if strings.HasSuffix(imp.Path.Value, `/rego"`) {
				t.Errorf("%s imports %s, whose queries are text", file, imp.Path.Value)
			}
		}
		for _, word := range []string{"ast.Parse", "ast.MustParse", "parseRuleRef"} {
			if strings.Contains(string(text), word) {
				t.Errorf("%s uses %s", file, word)
			}
		}
	}
}

// Names and values of the configuration are data as well, in every place.
func TestNastyNamesAndValues(t *testing.T) {
	for _, text := range nasty {
		value := text
		if variable.MatchString(value) {
			value += "x" // a path variable is meant to be one
		}
		for i, cond := range []Condition{
			{Groups: []string{value}},
			{Scopes: []string{value}},
			{Users: []string{value}},
			{Clients: []string{value}},
			{Claims: map[string]ClaimTest{value: {Is: []any{value}}}},
			{Claims: map[string]ClaimTest{value: {Equals: []any{value}}}},
			{Claims: map[string]ClaimTest{value: {Prefix: []string{value}}}},
			{Claims: map[string]ClaimTest{value: {Contains: []any{value}}}},
		} {
			p, err := Compile(context.Background(), Config{}, []Rule{{Route: text, Allow: Allow{When: &cond}, Require: &Require{ACR: []string{strings.Map(spaceless, text)}}}})
			if err != nil {
				t.Fatalf("Compile of condition %d with %q: %v", i, value, err)
			}
			has := person(func(id *session.Identity) {
				id.ACR = strings.Map(spaceless, text)
				id.Groups, id.Scopes, id.Username, id.ClientID = []string{value}, []string{value}, value, value
				id.Claims = map[string]any{value: value}
				if i == 7 {
					id.Claims[value] = []any{value}
				}
			})
			if d := p.Decide(context.Background(), Query{Identity: has}); d.Outcome != OutcomeAllow {
				t.Errorf("condition %d with %q for who has it: %s %s (%v)", i, value, d.Outcome, d.Reason, d.Err)
			}
			if d := p.Decide(context.Background(), Query{Identity: person()}); d.Outcome != OutcomeDeny || d.Err != nil {
				t.Errorf("condition %d with %q for who has it not: %s %s (%v)", i, value, d.Outcome, d.Reason, d.Err)
			}
		}
	}
}

func spaceless(r rune) rune {
	if r == ' ' || r == '\n' || r == '\t' || r == '\r' {
		return '_'
	}
	return r
}

// Capabilities leave nothing that reaches out of the process.
func TestNoBuiltinReachesOut(t *testing.T) {
	for _, b := range capabilities().Builtins {
		switch b.Name {
		case "http.send", "net.lookup_ip_addr", "opa.runtime":
			t.Errorf("%s exists", b.Name)
		}
	}
	if net := capabilities().AllowNet; net == nil || len(net) > 0 {
		t.Errorf("AllowNet = %v, want none", net)
	}
	for _, call := range []string{
		`http.send({"method": "get", "url": "http://127.0.0.1"}).status_code == 200`, `net.lookup_ip_addr("localhost")`, `opa.runtime().env.HOME`,
	} {
		// Not by way of `with` either.
		for _, body := range []string{call, "f(1) with f as " + strings.SplitN(call, "(", 2)[0]} {
			refused(t, "rego", askOperator, "rego/orders.rego", "package orders\n\nallow if "+body+"\n\nf(_) := true\n")
		}
	}
}

// Whatever goes wrong while deciding is a refusal, with a reason of the list.
func TestWhateverGoesWrongDenies(t *testing.T) {
	for module, want := range map[string]Reason{
		"allow if input.nothing":                                       OPADeny,
		"allow if data.missing.allow":                                  OPADeny,
		"allow if data.missing[input.user.username]":                   OPADeny,
		"allow := null":                                                OPADeny,
		"allow := \"true\"":                                            OPADeny,
		"allow := {true}":                                              OPADeny,
		"default allow := false\nallow if false":                       OPADeny,
		"allow := true if input.user\nallow := false if input.request": OPAError,
		"allow if to_number(input.user.username) > 1":                  OPAError,
		"allow if 1 / (count(input.user.groups) - 1) > 0":              OPAError,
		"allow if not input.user.groups[0] + 1 > 0":                    OPAError,
		"allow if {\n\tsome i in numbers.range(1, 1000000)\n\tsome j in numbers.range(1, 1000000)\n\ti + j < 0\n}": OPAError,
	} {
		dir := t.TempDir()
		writeFile(t, dir+"/x.rego", "package orders\n\n"+module+"\n")
		cond := Condition{OPA: &OPA{"data.orders.allow"}}
		p, err := Compile(context.Background(), Config{Custom: []Custom{{Path: dir}}}, []Rule{{Route: "it", Allow: Allow{When: &cond}}})
		if err != nil {
			// What the compiler sees cannot be loaded at all.
			if !strings.Contains(err.Error(), "has the type") && !strings.Contains(err.Error(), "rego_type_error") {
				t.Errorf("%s: Compile = %v", module, err)
			}
			continue
		}
		d := p.Decide(context.Background(), Query{Identity: person(), Method: "GET"})
		if d.Outcome != OutcomeDeny || d.Reason != want || (d.Err != nil) != (want == OPAError) {
			t.Errorf("%s: Decide = %s %s (%v), want deny %s", module, d.Outcome, d.Reason, d.Err, want)
		}
	}
}

func TestTheMethodsAreThoseThatArePassedOn(t *testing.T) {
	if got, want := fmt.Sprint(methods), fmt.Sprint(canon.Methods()); got != want {
		t.Errorf("rules know the methods %s\nthe proxy passes on %s", got, want)
	}
	for _, m := range canon.Methods() {
		if _, err := Compile(context.Background(), Config{}, []Rule{{Route: "it", Allow: Allow{When: &Condition{Method: []string{m}}}}}); err != nil {
			t.Errorf("Compile with method %s: %v", m, err)
		}
	}
	mistake(t, "{ method: get }", "3:", "did you mean GET")
	mistake(t, "{ method: [GET, FETCH] }", "3:", "FETCH")
	mistake(t, "{ method: [] }", "3:", "empty")
	mistake(t, "{ method: CONNECT }", "3:", "not passed on")
}

func TestMethods(t *testing.T) {
	decide := func(p *Policy, id *session.Identity, method string) Reason {
		return p.Decide(context.Background(), Query{Identity: id, Method: method}).Reason
	}
	get, post := one(t, "{ method: GET }"), one(t, "{ method: [POST, DELETE], scopes: [x] }")
	for _, c := range []struct {
		p      *Policy
		id     *session.Identity
		method string
		want   Reason
	}{
		{get, person(), "GET", ConditionsOK},
		{get, person(), "HEAD", ConditionsOK},
		{get, person(), "POST", MethodNotListed},
		{get, person(), "get", MethodNotListed},
		{get, person(), "", MethodNotListed},
		{get, machine("x"), "GET", PersonRequired},
		{get, nil, "GET", SignInRequired},
		{post, machine("x"), "DELETE", ConditionsOK},
		{post, machine("x"), "GET", MethodNotListed},
		{post, machine("x"), "HEAD", MethodNotListed},
		{one(t, "{ method: HEAD }"), person(), "GET", MethodNotListed},
		{one(t, "{ not: { method: [GET] } }"), person(), "HEAD", Excluded},
		{one(t, "{ not: { method: [GET] } }"), person(), "PUT", ConditionsOK},
		{one(t, "{ not: { method: [GET] } }"), person(), "", Excluded},
	} {
		if got := decide(c.p, c.id, c.method); got != c.want {
			t.Errorf("%s with method %q = %s, want %s", c.p.routes[0].root.text(), c.method, got, c.want)
		}
	}
}
