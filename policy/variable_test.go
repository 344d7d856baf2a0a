package policy

import (
	"context"
	"errors"
	"strings"
	"testing"

	"gatehouse/session"
)

// onPath makes a policy whose route sets the variable tenant.
func onPath(t *testing.T, allow string) *Policy {
	t.Helper()
	return compile(t, "routes:\n  - name: it\n    sets: [tenant]\n    allow: "+allow+"\n")
}

func decideOn(p *Policy, id *session.Identity, variables ...Variable) Decision {
	return p.Decide(context.Background(), Query{Identity: id, Method: "GET", Variables: variables})
}

func TestPathVariablesAreComparedByteByByte(t *testing.T) {
	p := onPath(t, `{ claims: { tenant: "{tenant}" } }`)
	for value, want := range map[string]bool{
		"acme": true, "Acme": false, "acm": false, "acme ": false, "": false, "{tenant}": false, "acme\x00": false, "ac*": false,
	} {
		id := person(func(id *session.Identity) { id.Claims = map[string]any{"tenant": "acme"} })
		if d := decideOn(p, id, Variable{"tenant", value}); (d.Outcome == OutcomeAllow) != want || d.Err != nil {
			t.Errorf("tenant %q = %s %s (%v), want allow = %t", value, d.Outcome, d.Reason, d.Err, want)
		}
	}
	// What is written in the claim is not a variable.
	id := person(func(id *session.Identity) { id.Claims = map[string]any{"tenant": "{tenant}"} })
	if d := decideOn(p, id, Variable{"tenant", "acme"}); d.Outcome == OutcomeAllow {
		t.Error("a claim {tenant} was taken for the variable")
	}
}

func TestPathVariablesInEachPlace(t *testing.T) {
	acme := func(id *session.Identity) {
		id.Groups, id.Username, id.Claims = []string{"acme"}, "acme", map[string]any{"c": []any{"acme"}, "s": "acme"}
	}
	for _, allow := range []string{
		`{ groups: ["{tenant}"] }`, `{ groups: [owners, "{tenant}"] }`, `{ users: ["{tenant}", root] }`,
		`{ claims: { c: { contains: "{tenant}" } } }`, `{ claims: { s: { equals: [x, "{tenant}"] } } }`,
		`{ claims: { c: { prefix: ["{tenant}", "x-"] } } }`, `{ claims: { s: ["{tenant}", "y"] } }`,
	} {
		p := onPath(t, allow)
		if d := decideOn(p, person(acme), Variable{"tenant", "acme"}); d.Outcome != OutcomeAllow {
			t.Errorf("%s = %s %s (%v), want allow\n%s", allow, d.Outcome, d.Reason, d.Err, p.RouteModule(0))
		}
		for _, variables := range [][]Variable{{{"tenant", "other"}}, nil, {{"other", "acme"}}, {{"tenant", ""}}} {
			if d := decideOn(p, person(acme), variables...); d.Outcome == OutcomeAllow || d.Err != nil {
				t.Errorf("%s with %v = %s (%v), want deny", allow, variables, d.Outcome, d.Err)
			}
			not := onPath(t, "{ not: "+allow+" }")
			known := len(variables) > 0 && variables[0] == Variable{"tenant", "other"}
			if d := decideOn(not, person(acme), variables...); (d.Outcome == OutcomeAllow) != known {
				t.Errorf("not %s with %v = %s %s, want allow = %t", allow, variables, d.Outcome, d.Reason, known)
			}
		}
	}
}

// Only a whole value is a variable, and only where that is said.
func TestOtherBracesArePlainText(t *testing.T) {
	for _, allow := range []string{
		`{ groups: ["a{tenant}b"] }`, `{ groups: ["{Tenant}"] }`, `{ groups: ["{}"] }`, `{ groups: ["{ tenant }"] }`, `{ groups: ["{1}"] }`,
		`{ groups: ["{{tenant}}"] }`, `{ scopes: ["{tenant}"] }`, `{ clients: ["{tenant}"] }`,
		`{ claims: { "{tenant}": x } }`, `{ claims: { c: "{ten\nant}" } }`,
	} {
		p := compile(t, "routes:\n  - name: it\n    allow: "+allow+"\n")
		if p.routes[0].reads.has(fVariables) {
			t.Errorf("%s reads a path variable", allow)
		}
	}
	p := onPath(t, `{ groups: ["a{tenant}b"] }`)
	allows(t, p, person(inGroups("a{tenant}b")), GroupOK)
	denies(t, p, person(inGroups("aacmeb")), GroupMissing)
}

func TestAVariableThatTheRouteDoesNotSetIsAMistake(t *testing.T) {
	for _, allow := range []string{
		`{ groups: ["{tennant}"] }`, `{ not: { users: "{tennant}" } }`, `{ any_of: [{ claims: { c: { prefix: "{tennant}" } } }, signed-in] }`,
	} {
		_, err := tryCompile(t, "routes:\n  - name: it\n    sets: [id, tenant]\n    allow: "+allow+"\n")
		var e *Error
		if !errors.As(err, &e) || e.Pos.Line != 4 || !strings.Contains(err.Error(), "{tennant}") || !strings.Contains(err.Error(), "id, tenant") {
			t.Errorf("Compile = %v, want an *Error at line 4 that names {tennant} and what there is", err)
		}
	}
	refused(t, "they set none", "routes: [{name: it, allow: {groups: ['{tenant}']}}]\n")
}

func TestPathVariablesStandWhereTheyAreTaken(t *testing.T) {
	for _, allow := range []string{
		`{ scopes: ["{tenant}"] }`, `{ clients: [a, "{tenant}"] }`, `{ any_of: [{ email_domains: ["{tenant}"] }, { groups: [a] }] }`,
	} {
		_, err := tryCompile(t, "routes:\n  - name: it\n    sets: [tenant]\n    allow: "+allow+"\n")
		if err == nil || !strings.Contains(err.Error(), "takes no path variables") {
			t.Errorf("Compile(%s) = %v, want an error: nothing would ever be met", allow, err)
		}
	}
}

// Whoever asks chooses the path, and a subject is unique only within its issuer:
// a path variable never stands for one.
func TestAPathVariableIsNoSubject(t *testing.T) {
	subject := func(name string) func(*session.Identity) {
		return func(id *session.Identity) { id.Subject, id.Username = "acme", name }
	}
	path := Variable{"tenant", "acme"}
	mine, listed := onPath(t, `{ users: ["{tenant}"] }`), onPath(t, `{ users: ["{tenant}", root] }`)
	for _, name := range []string{"", "other"} {
		for _, p := range []*Policy{mine, listed} {
			if d := decideOn(p, person(subject(name)), path); d.Outcome == OutcomeAllow {
				t.Errorf("the subject acme, username %q, was let in as {tenant}\n%s", name, p.RouteModule(0))
			}
		}
	}
	for _, name := range []string{"acme", "root"} {
		if d := decideOn(listed, person(subject(name)), path); d.Outcome != OutcomeAllow {
			t.Errorf("username %q = %s %s, want allow", name, d.Outcome, d.Reason)
		}
	}
	if d := decideOn(listed, person(func(id *session.Identity) { id.Subject = "root" }), path); d.Outcome != OutcomeAllow {
		t.Errorf("the subject root = %s %s, want allow", d.Outcome, d.Reason)
	}
}

// The subject is asked for only where a plain value may be one.
func TestNotOverUsersNeedsWhatItComparesWith(t *testing.T) {
	for allow, wants := range map[string][3]bool{ // subject alone, username alone, both
		`{ not: { users: ["{tenant}"] } }`:       {false, true, true},
		`{ not: { users: ["{tenant}", root] } }`: {false, false, true},
		`{ not: { users: [root] } }`:             {false, false, true},
	} {
		p := onPath(t, allow)
		for i, who := range [][2]string{{"s", ""}, {"", "n"}, {"s", "n"}} {
			id := person(func(id *session.Identity) { id.Subject, id.Username = who[0], who[1] })
			if d := decideOn(p, id, Variable{"tenant", "acme"}); (d.Outcome == OutcomeAllow) != wants[i] || d.Err != nil {
				t.Errorf("%s for %q = %s %s, want allow = %t", allow, who, d.Outcome, d.Reason, wants[i])
			}
		}
	}
}
