package policy

import (
	"context"
	"testing"
	"time"

	"gatehouse/internal/conf"
)

// dependence compiles one rule, whose conditions are YAML, beside a module of an
// operator, which may be "".
func dependence(t *testing.T, allow, module string) *Dependence {
	t.Helper()
	var rule struct {
		Allow Allow `yaml:"allow"`
	}
	if _, err := conf.Parse("gatehouse.yaml", []byte("allow: "+allow+"\n"), &rule); err != nil {
		t.Fatal(err)
	}
	cfg := Config{}
	if module != "" {
		dir := t.TempDir()
		writeFile(t, dir+"/op.rego", "package op\n\n"+module)
		cfg.Custom = []Custom{{Path: dir}}
	}
	p, err := Compile(context.Background(), cfg, []Rule{{Route: "r", Allow: rule.Allow}})
	if err != nil {
		t.Fatal(err)
	}
	return p.Dependence()
}

func TestDependenceOfConditions(t *testing.T) {
	always := []string{"/input/credential", "/input/credential/kind", "/input/credential/person", "/input/request/path", "/input/user", "/input", "/input/a~2", "/input/other"}
	never := []string{"/input/user/name", "/input/user/email", "/input/request/query", "/input/route", "/input/request/variables/tenant"}
	for allow, c := range map[string]struct{ on, off []string }{
		"signed-in":                              {nil, []string{"/input/user/groups", "/input/credential/claims"}},
		"{ groups: [a] }":                        {[]string{"/input/user/groups", "/input/user/groups/0"}, []string{"/input/user/username", "/input/credential/scopes"}},
		"{ users: [a] }":                         {[]string{"/input/user/username", "/input/user/subject", "/input/credential/subject"}, []string{"/input/user/groups"}},
		"{ scopes: [a] }":                        {[]string{"/input/credential/scopes"}, []string{"/input/credential/client"}},
		"{ clients: [a] }":                       {[]string{"/input/credential/client"}, []string{"/input/credential/scopes"}},
		"{ email_domains: [a.test] }":            {[]string{"/input/user/email_domain"}, nil},
		"{ claims: { a/b: x } }":                 {[]string{"/input/credential/claims", "/input/credential/claims/a~1b", "/input/credential/claims/a~1b/0"}, []string{"/input/credential/claims/c"}},
		"{ ip: [10.0.0.0/8] }":                   {[]string{"/input/request/client_ip"}, []string{"/input/user/groups"}},
		"{ time: [{ hours: \"08:00-18:00\" }] }": {[]string{"/input/time"}, []string{"/input/user/auth_time", "/input/request/client_ip"}},
		"{ groups: [a], method: [GET] }":         {[]string{"/input/request/method", "/input/user/groups"}, []string{"/input/time"}},
		"{ claims: { x: { equals: 1 }, y: { prefix: a }, z: { contains: 2 } } }": {[]string{"/input/credential/claims/x", "/input/credential/claims/y", "/input/credential/claims/z"}, []string{"/input/credential/claims/w"}},
		"{ not: { groups: [a] } }":                      {[]string{"/input/user/groups"}, nil},
		"{ any_of: [{ groups: [a] }, { users: [b] }] }": {[]string{"/input/user/groups", "/input/user/username"}, nil},
	} {
		d := dependence(t, allow, "")
		for _, pointer := range append(c.on, always...) {
			if !d.On(0, pointer) {
				t.Errorf("allow %s does not depend on %s", allow, pointer)
			}
		}
		for _, pointer := range append(c.off, never...) {
			if d.On(0, pointer) {
				t.Errorf("allow %s depends on %s", allow, pointer)
			}
		}
		if !d.On(1, "/input/user/name") {
			t.Error("a route that is not there depends on nothing")
		}
	}
	for _, word := range []string{"anyone", "nobody"} {
		if d := dependence(t, word, ""); d.On(0, "/input/credential") {
			t.Errorf("allow %s depends on the credential", word)
		}
	}
}

func TestDependenceOfRequireAndBody(t *testing.T) {
	p, err := Compile(context.Background(), Config{}, []Rule{
		{Route: "mfa", Allow: Allow{Word: WordSignedIn}, Require: &Require{MFA: true}},
		{Route: "acr", Allow: Allow{Word: WordSignedIn}, Require: &Require{ACR: []string{"urn:a"}}},
		{Route: "fresh", Allow: Allow{Word: WordSignedIn}, Require: &Require{SignedInWithin: time.Hour}},
		{Route: "body", Allow: Allow{When: &Condition{Groups: []string{"a"}}}, Bodies: []BodyState{BodyParsed}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"/input/user/mfa": "mfa", "/input/user/acr": "acr", "/input/user/auth_time": "fresh", "/input/time": "fresh",
		"/input/user/groups": "body", "/input/request/body_state": "body", "/input/user/amr": "", "/input/request/body": "",
	}
	d := p.Dependence()
	for pointer, on := range want {
		for i, route := range []string{"mfa", "acr", "fresh", "body"} {
			if got := d.On(i, pointer); got != (route == on) {
				t.Errorf("route %s depends on %s = %t, want %t", route, pointer, got, route == on)
			}
		}
	}
}

func TestDependenceOfOperatorsRules(t *testing.T) {
	for module, c := range map[string]struct{ on, off []string }{
		`allow if input.user.groups[_] == "a"`: {[]string{"/input/user/groups"}, []string{"/input/user/email", "/input/request/query"}},
		`allow if input.request.method == "GET"`: {
			[]string{"/input/request/method"}, []string{"/input/request/query", "/input/request/body", "/input/credential/claims", "/input/user/email"},
		},
		`allow if input.request.body.amount < 5`:                                         {[]string{"/input/request/body", "/input/request/body/amount"}, []string{"/input/request/body/note"}},
		"import input.user as u\n\nallow if u.email == \"x\"":                            {[]string{"/input/user/email"}, []string{"/input/request/query"}},
		`allow if input.credential.claims[input.request.query] == 1`:                     {[]string{"/input/credential/claims/x", "/input/request/query"}, []string{"/input/user/email"}},
		`allow if input.user[input.request.method] == "x"`:                               {[]string{"/input/user/email", "/input/user/name"}, []string{"/input/request/query"}},
		`allow if input[data.op.part].email`:                                             {[]string{"/input/user/email", "/input/request/query"}, nil},
		`allow if count(input) == 7`:                                                     {[]string{"/input/user/email", "/input/request/query"}, nil},
		"allow if f(input)\n\nf(x) if x.user.email == \"x\"":                             {[]string{"/input/user/email"}, nil},
		`allow if other with input.user as {}` + "\n\nother if input.user.name == \"x\"": {[]string{"/input/user/name", "/input/request/query"}, nil},
		"allow if deep\n\ndeep if input.user.name == \"x\"":                              {[]string{"/input/user/name"}, []string{"/input/request/query"}},
		`allow if { some k, v in input.request; k == "query"; v == "x" }`:                {[]string{"/input/request/query", "/input/request/body"}, []string{"/input/user/name"}},
	} {
		d := dependence(t, "{ opa: { rule: data.op.allow } }", module)
		for _, pointer := range c.on {
			if !d.On(0, pointer) {
				t.Errorf("%s does not depend on %s", module, pointer)
			}
		}
		for _, pointer := range c.off {
			if d.On(0, pointer) {
				t.Errorf("%s depends on %s", module, pointer)
			}
		}
	}
}
