package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

// readsIn returns what data.orders.allow reads in modules, compiled as Compile
// does.
func readsIn(t *testing.T, modules ...string) (found []string, why string) {
	t.Helper()
	parsed := map[string]*ast.Module{}
	for _, text := range modules {
		m, err := parseModule(string(rune('a'+len(parsed)))+".rego", text)
		if err != nil {
			t.Fatal(err)
		}
		parsed[string(rune('a'+len(parsed)))] = m
	}
	c, err := compileModules(parsed)
	if err != nil {
		t.Fatal(err)
	}
	return leavesOf(c, ast.MustParseRef("data.orders.allow"))
}

func TestReadsOfOperatorsRulesAreFound(t *testing.T) {
	for module, want := range map[string]string{
		"allow := true":                                                                               "",
		`allow if "staff" in input.user.groups`:                                                       "user.groups",
		`allow if input.user.groups[_] == "staff"`:                                                    "user.groups",
		"allow if {\n\tsome g in input.user.groups\n\tg == \"\"\n}":                                   "user.groups",
		"allow if {\n\tsome i\n\tinput.user.groups[i] == data.t.names[i]\n}":                          "user.groups",
		"allow if every g in input.user.groups { g in input.credential.scopes }":                      "credential.scopes user.groups",
		"allow if count([g | some g in input.user.groups; startswith(g, input.user.username)]) > 0":   "user.groups user.username",
		"allow if data.t[input.user.username].limit > 3":                                              "user.username",
		"allow if data.t.list[_] == input.credential.client":                                          "credential.client",
		"allow if input.credential.claims.department == \"sales\"":                                    "credential.claims.department",
		"allow if input.credential.claims[\"a.b\"].deep[_]":                                           "credential.claims.a.b",
		"allow if input.request.method in {\"GET\", \"HEAD\"}":                                        "request.method",
		"allow if startswith(input.request.path, \"/x\")":                                             "request.path",
		"allow if input.request.variables.tenant == input.credential.claims.tenant":                   "credential.claims.tenant request.variables.tenant",
		"allow if input.user.mfa\n\nallow if input.user.amr[_] == \"otp\"":                            "user.amr user.mfa",
		"allow if not input.user.username":                                                            "user.username",
		"default allow := false\n\nallow if low(input.user.username)\n\nlow(x) if lower(x) == x":      "user.username",
		"allow if input.user.username == \"x\"\n\nelse := input.user.subject == \"y\"":                "user.subject user.username",
		"allow if x\n\nx contains 1 if input.user.subject\n\nx contains 2 if input.user.email_domain": "user.email_domain user.subject",
		"allow if table[\"x\"].y\n\ntable[k] := {\"y\": input.user.subject} if some k in [\"x\"]":     "user.subject",
		"allow if {\n\tu := {\"name\": input.user.username}\n\tu.name == \"bob\"\n}":                  "user.username",
		"allow if object.get({\"a\": input.user.subject}, \"a\", 1)":                                  "user.subject",
	} {
		found, why := readsIn(t, "package orders\n\n"+module+"\n")
		if got := strings.Join(found, " "); why != "" || got != want {
			t.Errorf("%s\nreads %q (%s), want %q", module, got, why, want)
		}
	}
	found, why := readsIn(t,
		"package orders\n\nimport data.lib as l\n\nallow if l.staff(input.user)[_] == 1\n", "package lib\n\nstaff(u) := [1 | u.groups]\n")
	if why == "" {
		t.Errorf("a whole user as argument reads %v, want a refusal", found)
	}
	found, why = readsIn(t,
		"package orders\n\nimport data.lib as l\n\nallow if l.staff\n", "package lib\n\nimport input.user.groups as gs\n\nstaff if \"staff\" in gs\n")
	if why != "" || !slices.Equal(found, []string{"user.groups"}) {
		t.Errorf("through an alias: %v (%s), want user.groups", found, why)
	}
}

// breakers are rules whose answer may change while all listed leaves stay.
var breakers = map[string]string{
	"bare input as argument":    "allow if f(input)\n\nf(x) if x.request.path == \"/x\"",
	"bare input by alias":       "allow if {\n\tx := input\n\tx.request.path == \"/x\"\n}",
	"bare input compared":       "allow if input == {\"a\": 1}",
	"bare input walked":         "allow if {\n\twalk(input, [_, v])\n\tv == \"/x\"\n}",
	"bare input iterated":       "allow if {\n\tsome k, v in input\n\tk == v\n}",
	"bare input in an object":   "allow if {\"i\": input}.i.request.path == \"/x\"",
	"bare input in object.get":  "allow if object.get(input, [\"request\", \"path\"], \"\") == \"/x\"",
	"bare input in json.filter": "allow if json.filter(input, [\"request/path\"]).request.path == \"/x\"",
	"bare input in a set":       "allow if input in {1, 2}",
	"half of input":             "allow if input.request[\"path\"] == input.user",
	"input[k]":                  "allow if {\n\tsome k in [\"request\"]\n\tinput[k].path == \"/x\"\n}",
	"input.user[k]":             "allow if {\n\tsome k in [\"groups\", \"name\"]\n\tinput.user[k]\n}",
	"claims[k]":                 "allow if {\n\tsome k in [\"a\"]\n\tinput.credential.claims[k]\n}",
	"all claims":                "allow if count(input.credential.claims) > 0",
	"with input":                "allow if x with input as {\"user\": {\"groups\": [1]}}\n\nx if input.user.groups",
	"with data":                 "allow if data.t.x with data.t as input.user.groups",
	"with a function":           "allow if f(1) with f as 1\n\nf(x) := x",
	"with in a rule it uses":    "allow if x\n\nx if y with input.user.username as \"eve\"\n\ny if input.user.username",
	"else":                      "allow if input.user.groups\n\nelse if input.request.query == \"x\"",
	"else of what it uses":      "allow if x\n\nx := 1 if input.user.groups\n\nelse := 2 if input.request.client_ip",
	"default of a rule":         "default allow := false\n\nallow if [input.request.client_ip]",
	"a key of the head":         "allow if t.x\n\nt[input.request.query] := true",
	"a value of the head":       "allow if t == 1\n\nt := input.request.query",
	"a comprehension as value":  "allow if t == {1}\n\nt := {x | x := input.request.query}",
	"a comprehension as key":    "allow if t[{\"x\"}]\n\nt contains {x | x := input.request.query}",
	"a comprehension as answer": "allow if f(1) == {1}\n\nf(_) := {x | x := input.request.query}",
	"all variables":             "allow if input.request.variables == {}",
	"variables[k]":              "allow if {\n\tsome k in [\"a\"]\n\tinput.request.variables[k]\n}",
	"the time of the sign-in":   "allow if input.user.auth_time > 1",
	"the state of the body":     "allow if input.request.body_state == \"parsed\"",
	"a partial set":             "allow if t[\"x\"]\n\nt contains input.request.query",
	"a comprehension":           "allow if count({x | x := input.request.query}) == 1",
	"every":                     "allow if every x in [1] { input.request.query == x }",
	"template string":           "allow if $\"{input.request.query}\" == \"x\"",
	"template string of a leaf": "allow if $\"{input.user.username}\" == \"x\"",
	"the query":                 "allow if input.request.query == \"a\"",
	"the address":               "allow if net.cidr_contains(\"10.0.0.0/8\", input.request.client_ip)",
	"the time":                  "allow if input.time > 1",
	"the body":                  "allow if input.request.body.role == \"admin\"",
	"the clock":                 "allow if time.now_ns() > 1",
	"the clock by a function":   "allow if f(1)\n\nf(x) if time.now_ns() > x",
	"a token":                   "allow if io.jwt.decode_verify(input.user.username, {\"secret\": \"x\"})[0]",
	"a signature":               "allow if io.jwt.encode_sign({}, {}, {\"kty\": \"oct\", \"k\": \"eA\"}) == input.user.username",
	"a certificate":             "allow if crypto.x509.parse_and_verify_certificates(input.user.username)[0]",
	"chance":                    "allow if rand.intn(\"x\", 2) == 1",
	"a new id":                  "allow if uuid.rfc4122(\"x\") != \"\"",
	"a schema":                  "allow if json.match_schema({}, {})[0]",
	"a schema verified":         "allow if json.verify_schema({})[0]",
	"what is unknown":           "allow if input.user.shoe_size == 42",
}

func TestBreakersAreNotFollowed(t *testing.T) {
	for name, module := range breakers {
		if found, why := readsIn(t, "package orders\n\n"+module+"\n"); why == "" {
			t.Errorf("%s is taken to read %v only", name, found)
		}
	}
	found, why := readsIn(t, "package orders\n\nimport data.lib\n\nallow if lib.f(1)\n", "package lib\n\nf(_) if input.request.query\n")
	if why == "" {
		t.Errorf("a function of another package is taken to read %v only", found)
	}
}

func TestHarmlessBuiltinsExist(t *testing.T) {
	caps := capabilities()
	for name := range harmless() {
		i := slices.IndexFunc(caps.Builtins, func(b *ast.Builtin) bool { return b.Name == name })
		if i < 0 {
			t.Errorf("there is no function %s", name)
		} else if b := caps.Builtins[i]; b.Nondeterministic {
			t.Errorf("%s is not deterministic", name)
		}
	}
}
