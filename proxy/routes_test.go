package proxy

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse/internal/conf"
	"gatehouse/policy"
)

// configOf parses a configuration with one route, whose keys begin in line 5,
// column 9.
func configOf(keys string) (*Config, error) {
	cfg := &Config{}
	_, err := conf.Parse("x.yaml", []byte("public_url: http://localhost:8080\nupstreams: { app: \"http://127.0.0.1:1\" }\nroutes:\n  - name: one\n    "+keys+"\n"), cfg)
	return cfg, err
}

func TestMistakesInRequireAndBodyAreToldWithTheirPlace(t *testing.T) {
	for keys, want := range map[string]string{
		"allow: anyone\n    require: { mfa: true }":                                 "x.yaml:6:14: require stands beside allow: anyone",
		"allow: nobody\n    require: { mfa: true }":                                 "x.yaml:6:14: require stands beside allow: nobody",
		"allow: signed-in\n    require: {}":                                         "x.yaml:6:14: require is empty", // policy says so
		"allow: anyone\n    body: { max: 1KiB }":                                    "x.yaml:6:11: body stands beside allow: anyone",
		"allow: nobody\n    body: { max: 1KiB }":                                    "x.yaml:6:11: body stands beside allow: nobody",
		"allow: signed-in\n    body: { max: 1KiB }":                                 "x.yaml:6:11: body stands beside allow: signed-in",
		"allow: { opa: { rule: data.a.b } }\n    body: { max: 0 }":                  "x.yaml:6:18: body: max is 0, want 1 to 1MiB",
		"allow: { opa: { rule: data.a.b } }\n    body: { max: 1048577 }":            "x.yaml:6:18: body: max is 1048577, want 1 to 1MiB",
		"allow: { opa: { rule: data.a.b } }\n    body: { accept: [] }":              "x.yaml:6:21: body: accept is empty",
		"allow: { opa: { rule: data.a.b } }\n    body: { accept: [parsed, empty] }": `x.yaml:6:30: body: accept names "empty"`,
	} {
		_, err := configOf(keys)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n= %v\nwant %s", keys, err, want)
		}
		if err != nil && strings.Count(err.Error(), "x.yaml:") != 1 {
			t.Errorf("%s\n= %v\nwant one mistake", keys, err)
		}
	}
}

func TestRulesAreWhatTheRoutesSay(t *testing.T) {
	rule := func(keys string) policy.Rule {
		cfg, err := configOf(keys)
		if err != nil {
			t.Fatal(err)
		}
		return cfg.Rules()[0]
	}
	const opa = "allow: { opa: { rule: data.a.b } }\n    "
	for keys, want := range map[string]string{
		opa + "match: { path: /x }": "one [] []",
		opa + "match: { path: [\"/t/{tenant}/{x}\", \"/u/{tenant}\"] }\n    body: {}": "one [tenant] [parsed]",
		opa + "body: { accept: [truncated, absent, parsed, absent] }":                 "one [] [absent parsed truncated]",
		opa + "body: { max: 1MiB, accept: unparsable }":                               "one [] [unparsable]",
	} {
		r := rule(keys)
		if got := fmt.Sprintf("%s %v %v", r.Route, r.Variables, r.Bodies); got != want {
			t.Errorf("%s\n= %s, want %s", keys, got, want)
		}
		if r.Require != nil || r.Pos.Line != 4 {
			t.Errorf("%s: Require %v, Pos %v", keys, r.Require, r.Pos)
		}
	}
	if rule(opa+"match: { path: /x }").Bodies != nil {
		t.Error("a route without body has states of a body")
	}
	if q := rule("allow: signed-in\n    require: { acr: gold, signed_in_within: 90s }").Require; q == nil || q.MFA || q.ACR[0] != "gold" || q.SignedInWithin.Seconds() != 90 {
		t.Errorf("Require = %+v", q)
	}
	cfg, err := configOf(opa + "body: {}")
	if err != nil || cfg.Routes[0].Body.Max != 64<<10 {
		t.Errorf("body: {} reads %v, want 64KiB: %v", cfg.Routes[0].Body, err)
	}
}
