package policy

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/session"
)

const askOperator = "routes: [{name: it, allow: {opa: {rule: data.orders.allow}}}]\npolicy: {custom: [rego]}\n"

// asks makes a policy whose only route asks data.orders.allow of module.
func asks(t *testing.T, module string) *Policy {
	t.Helper()
	return compile(t, askOperator, "rego/orders.rego", module)
}

func refused(t *testing.T, want, text string, modules ...string) error {
	t.Helper()
	_, err := tryCompile(t, text, modules...)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Compile = %v, want an error with %q", err, want)
	}
	return err
}

func TestOperatorsRuleDecides(t *testing.T) {
	p := asks(t, `package orders
allow if "staff" in input.user.groups
allow if input.credential.client == "orders-job"
`)
	allows(t, p, person(), OPAAllow)
	allows(t, p, machine(), OPAAllow)
	denies(t, p, person(inGroups("guests")), OPADeny)
	denies(t, p, nil, SignInRequired)
	// A token of an unlisted client shows no groups, not even to operators.
	denies(t, p, person(byToken()), OPADeny)
}

func TestOperatorsSeeTheWholeInput(t *testing.T) {
	want := map[string]any{
		"route": "it",
		"user": map[string]any{
			"subject": "8d0c", "username": "bob", "email": "bob@example.com", "email_domain": "example.com",
			"groups": []any{"staff"}, "name": "Bob", "acr": "1", "amr": []any{"pwd"}, "auth_time": 1700000000, "mfa": false,
		},
		"time": 1800000000123456789,
		"credential": map[string]any{
			"kind": "session", "issuer": "https://login.example.com", "subject": "8d0c", "client": "gatehouse", "scopes": []any{"openid"},
			"claims": map[string]any{"department": "sales"},
		},
		"request": map[string]any{
			"method": "GET", "host": "app.example.com", "path": "/a b/é", "query": "x=1&y", "client_ip": "203.0.113.9",
			"variables": map[string]any{"tenant": "acme", "id": "7"}, "body_state": "parsed", "body": map[string]any{"a": []any{1, nil}},
		},
	}
	text, _ := json.Marshal(want)
	p := asks(t, "package orders\nallow if input == "+string(text)+"\n")
	id := person(func(id *session.Identity) {
		id.Name, id.ACR, id.AMR, id.AuthTime = "Bob", "1", []string{"pwd"}, time.Unix(1700000000, 0)
		id.Scopes = []string{"openid"}
	})
	q := Query{Identity: id, Method: "GET", Host: "app.example.com", Path: "/a b/é", RawQuery: "x=1&y"}
	q.ClientIP = netip.MustParseAddr("::ffff:203.0.113.9")
	q.Time = time.Unix(1800000000, 123456789)
	q.Variables = []Variable{{"tenant", "acme"}, {"id", "7"}}
	q.Body = Body{BodyParsed, map[string]any{"a": []any{json.Number("1"), nil}}}
	if d := p.Decide(context.Background(), q); d.Outcome != OutcomeAllow {
		t.Errorf("Decide = %s %s (%v): the input is not as documented", d.Outcome, d.Reason, d.Err)
	}
}

func TestOnlyTrueAllows(t *testing.T) {
	for _, body := range []string{
		`allow := false`,
		`allow := input.request.method`,   // a string
		`allow := input.credential`,       // an object
		`allow := json.unmarshal("null")`, // a null
		`allow := json.unmarshal("1")`,
		`allow if input.nothing`,
		`default allow := false`,
	} {
		p := asks(t, "package orders\n"+body+"\n")
		denies(t, p, person(), OPADeny)
	}
	// not over an answer that is neither true nor false is unknown.
	for _, body := range []string{`blocked := input.request.method`, `blocked if input.nothing`, `blocked := true`} {
		p := compile(t, "routes: [{name: it, allow: {groups: [staff], not: {opa: {rule: data.orders.blocked}}}}]\npolicy: {custom: [rego]}\n",
			"rego/orders.rego", "package orders\n"+body+"\n")
		denies(t, p, person(), Excluded)
	}
}

// A builtin that fails must not become undefined, which `not` would turn into
// an answer.
func TestErrorsWhileEvaluatingDeny(t *testing.T) {
	for _, body := range []string{
		`allow if not bad
bad if to_number(input.request.method) == 1`,
		`allow if not json.unmarshal(input.request.path)`,
		`allow := true
allow := false if input.user`, // two answers
		`allow if 1 / count(input.nothing_here_ ) == 1
allow if 1 / (count(input.request.method) - 3) > 0`,
	} {
		p := asks(t, "package orders\n"+body+"\n")
		denies(t, p, person(), OPAError)
		if d := decide(t, p, person()); d.Err == nil {
			t.Errorf("a decision that failed has no Err")
		}
	}
}

func TestASlowRuleIsCutOff(t *testing.T) {
	p := asks(t, `package orders
allow if {
	some a in numbers.range(1, 100000)
	some b in numbers.range(1, 100000)
	a + b < 0
}
`)
	p.timeout = timeout
	begun := time.Now()
	denies(t, p, person(), OPAError)
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("an endless rule was cut off only after %s", took)
	}
}

func TestAnUnboundedInputDenies(t *testing.T) {
	p := asks(t, "package orders\nallow if input.credential.claims\n")
	allows(t, p, person(), OPAAllow)
	big := strings.Repeat("x", maxInput)
	for _, v := range []any{big, []any{big}, map[string]any{"a": []any{big}}, map[string]any{big: 1}} {
		denies(t, p, person(func(id *session.Identity) { id.Claims = map[string]any{"c": v} }), OPAError)
	}
	denies(t, one(t, "{ groups: [staff] }"), person(inGroups("staff", big, "y")), OPAError)
	denies(t, one(t, "{ claims: {c: x} }"), person(func(id *session.Identity) { id.Claims = map[string]any{"c": []any{big, "x"}} }), OPAError)
}

type panics struct{}

func (panics) MarshalJSON() ([]byte, error) { panic("boom") }

func TestAPanicDenies(t *testing.T) {
	p := asks(t, "package orders\nallow if input.credential.claims\n")
	denies(t, p, person(func(id *session.Identity) { id.Claims = map[string]any{"c": panics{}} }), OPAError)
	denies(t, p, person(func(id *session.Identity) { id.Claims = map[string]any{"c": json.Number("1e999999999")} }), OPAError)
}

func TestReservedNamesAreRefused(t *testing.T) {
	for _, module := range []string{
		"package gatehouse.routes\nallow[\"it\"] := true\n",
		"package gatehouse\nroutes.allow[\"it\"] := true\n",
		"package gatehouse.other\nx := 1\n",
		"package orders\nallow if data.gatehouse.routes.allow.it\n",
		"package orders\nimport data.gatehouse.routes\nallow if routes.signed_in\n",
		"package orders\nallow if true with data.gatehouse.routes.signed_in as true\n",
		"package orders\nallow if data[\"gatehouse\"].routes\n",
	} {
		if err := refused(t, "reserved", askOperator, "rego/orders.rego", module); !errors.Is(err, ErrReserved) {
			t.Errorf("Compile with %q = %v, want ErrReserved", module, err)
		}
	}
	// What reaches us without naming us is a recursion.
	refused(t, "recursive", askOperator, "rego/orders.rego", "package orders\nallow if data[input.route].routes\n")
	refused(t, "reserved", "routes: [{name: it, allow: signed-in}]\npolicy: {custom: [rego]}\n",
		"rego/x.rego", "package gatehouse.routes\n")
}

// A shift by a number from a claim would take gigabytes before OPA looks at the
// clock.
func TestShiftingLeftIsAbsent(t *testing.T) {
	refused(t, "undefined function", askOperator, "rego/orders.rego", "package orders\nallow if bits.lsh(1, input.credential.claims.x) > 0\n")
}

func TestNetworkAndEnvironmentAreAbsent(t *testing.T) {
	for _, call := range []string{
		`http.send({"method": "get", "url": "http://127.0.0.1"})`, `net.lookup_ip_addr("localhost")`, `opa.runtime()`,
	} {
		refused(t, "undefined function", askOperator, "rego/orders.rego", "package orders\nallow if "+call+"\n")
	}
}

// A JSON schema may refer to others by URL: none is fetched.
func TestSchemasAreNotFetched(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		io.WriteString(w, "{}")
	}))
	defer server.Close()
	p := asks(t, "package orders\nallow if json.match_schema({}, {\"$ref\": input.credential.claims.schema})[0]\n")
	id := person(func(id *session.Identity) { id.Claims = map[string]any{"schema": server.URL + "/schema.json"} })
	denies(t, p, id, OPAError)
	if n := asked.Load(); n != 0 {
		t.Errorf("the policy made %d requests, want none", n)
	}
}

func TestMistakesInModulesAreTold(t *testing.T) {
	refused(t, "orders.rego:2", askOperator, "rego/orders.rego", "package orders\nallow = = true\n")
	refused(t, "orders.rego:3", askOperator, "rego/orders.rego", "package orders\nallow if {\n\tx := 1\n}\n") // strict: unused
	refused(t, "orders.rego:2", askOperator, "rego/orders.rego", "package orders\nallow { true }\n")          // Rego version 0
	refused(t, "conflict", askOperator, "rego/orders.rego", "package orders\nallow := true\nallow(x) := x\n")
	refused(t, "no .rego file", askOperator, "rego/readme.txt", "hello")
	refused(t, "custom", askOperator)
	refused(t, "empty module", askOperator, "rego/orders.rego", "# nothing\n")
	refused(t, "more than", askOperator, "rego/orders.rego", "package orders\n#"+strings.Repeat("x", maxModule))
	refused(t, "no module of policy.custom defines data.orders.allow", askOperator, "rego/orders.rego", "package orders\nother := true\n")
	refused(t, "is a function", askOperator, "rego/orders.rego", "package orders\nallow(x) if x == 1\n")
	refused(t, "is a set", askOperator, "rego/orders.rego", "package orders\nallow contains 1\n")
	refused(t, "has the type", askOperator, "rego/orders.rego", "package orders\nallow := 1\n")

	err := refused(t, "gatehouse.yaml:3:", "routes:\n  - name: it\n    allow: {opa: {rule: data.orders.alow}}\npolicy: {custom: [rego]}\n",
		"rego/orders.rego", "package orders\nallow := true\n")
	var at *Error
	if !errors.As(err, &at) || at.Pos.Line != 3 {
		t.Errorf("Compile = %v, want an *Error at line 3", err)
	}
}

func TestModulesOfADirectory(t *testing.T) {
	dir := t.TempDir()
	module := func(name, text string) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name), text)
	}
	module("rego/sub/orders.rego", "package orders\nallow if data.lib.staff\n")
	module("rego/sub/orders_test.rego", "package orders\nthis is not read\n")
	module("rego/.hidden/x.rego", "package orders\nallow := false\n")
	module("lib.rego", "package lib\nstaff if \"staff\" in input.user.groups\n")
	// As Kubernetes mounts a ConfigMap.
	module("map/..2026/mapped.rego", "package mapped\nx := true\n")
	for _, link := range [][2]string{{"..2026", "map/..data"}, {"..data/mapped.rego", "map/mapped.rego"}} {
		if err := os.Symlink(link[0], filepath.Join(dir, link[1])); err != nil {
			t.Fatal(err)
		}
	}
	f := read(t, dir, "routes: [{name: it, allow: {opa: {rule: data.orders.allow}}}, {name: x, allow: {opa: {rule: data.mapped.x}}}]\n"+
		"policy: {custom: [rego, ./lib.rego, map, lib.rego, "+dir+"/lib.rego]}\n")
	p, err := Compile(context.Background(), f.Policy, f.rules())
	if err != nil {
		t.Fatal(err)
	}
	p.timeout = time.Minute
	allows(t, p, person(), OPAAllow)
}

// A branch that holds is enough, even beside an operator's rule that fails;
// rules of operators are asked last, wherever they stand.
func TestOperatorsAreAskedLast(t *testing.T) {
	p := compile(t, `routes:
  - name: it
    allow:
      any_of:
        - opa: { rule: data.orders.allow }
        - groups: [staff]
policy: {custom: [rego]}
`, "rego/orders.rego", "package orders\nallow if to_number(input.request.method) == 1\n")
	allows(t, p, person(), ConditionsOK)
	denies(t, p, machine(), OPAError)
}
