package app

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// foundIn returns the codes of what linting finds in a configuration: one rule,
// and what stands beside routes.
func foundIn(t *testing.T, allow, rest string) string {
	t.Helper()
	p, err := Parse(t.TempDir()+"/gatehouse.yaml", []byte(fmt.Sprintf(`public_url: http://app.localhost
upstreams: { app: "http://127.0.0.1:9" }
routes: [{ name: r, match: { path: /x }, %s }]
%s`, allow, rest)))
	if err != nil {
		t.Fatal(err)
	}
	found, err := p.Lint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if found.Unread != nil {
		t.Errorf("the pool is not read: %v, want nothing to read", found.Unread)
	}
	var codes []string
	for _, w := range found.Warnings {
		codes = append(codes, w.Code)
	}
	for _, shown := range p.Summary().Warnings {
		if !slices.ContainsFunc(codes, func(code string) bool { return strings.Contains(shown.Message, "["+code+"]") }) {
			t.Errorf("check warns of %q, which lint does not find", shown)
		}
	}
	if len(p.Summary().Warnings) != len(codes) {
		t.Errorf("check warns of %q, want what lint finds: %q", p.Summary().Warnings, codes)
	}
	return strings.Join(codes, " ")
}

const (
	ownPool  = "idp: { issuer: http://login.localhost, bootstrap: { "
	openPool = "idp: { issuer: http://login.localhost, mail: { host: localhost, tls: none, from: g@example.com }, account: { sign_up: open }"
	aCompany = "login: { providers: { company: { issuer: https://a.example, client_id: gate "
	aServer  = "bearer: { issuers: [{ issuer: https://t.example, audiences: [x] "
)

// What is not known is not complained about, and what is known is.
func TestLintComparesNamesWithWhatCanExist(t *testing.T) {
	for _, c := range []struct{ allow, rest, want string }{
		{"allow: { groups: [a] }", ownPool + "} }", ""},
		{"allow: { groups: [a] }", ownPool + "groups: [{ name: a }] } }", ""},
		{"allow: { groups: [a] }", ownPool + "groups: [{ name: b }] } }", "unknown-group"},
		{"allow: { groups: [a] }", ownPool + "prune: true } }", "unknown-group"},
		{"allow: { groups: [a] }", ownPool + "groups: [{ name: b }] } }\n" + aServer + ", groups_claim: g }] }", ""},
		{"allow: { groups: [a] }", aCompany + "} } }", "unknown-group"},
		{"allow: { groups: [a] }", aCompany + ", groups_claim: g } } }", ""},

		{"allow: { scopes: [a] }", ownPool + "} }", ""},
		{"allow: { scopes: [openid] }", ownPool + "prune: true } }", ""},
		{"allow: { scopes: [a] }", ownPool + "resource_servers: [{ id: s, scopes: [{ name: b }] }] } }", "unknown-scope"},
		{"allow: { scopes: [a] }", ownPool + "resource_servers: [{ id: s, scopes: [{ name: a }] }] } }", ""},
		{"allow: { scopes: [a] }", ownPool + "prune: true, resource_servers: [{ id: s, scopes: [{ name: a }] }] } }", "scope-for-nobody"},
		{"allow: { scopes: [a] }", ownPool + "resource_servers: [{ id: s, scopes: [{ name: a }] }] } }\nlogin: { scopes: [a] }", "scope-for-all"},
		{
			"allow: { scopes: [a] }",
			ownPool + "groups: [{ name: g }], resource_servers: [{ id: s, scopes: [{ name: a, groups: [g] }] }] } }\nlogin: { scopes: [a] }", "",
		},
		{
			"allow: { scopes: [a] }",
			ownPool + "prune: true, resource_servers: [{ id: s, scopes: [{ name: a }] }], clients: [{ id: c, secret: 0123456789012345678901234, scopes: [a] }] } }", "",
		},
		{ // what is tied to people is given to no program
			"allow: { scopes: [a] }",
			ownPool + "prune: true, groups: [{ name: g }], resource_servers: [{ id: s, scopes: [{ name: a, groups: [g] }] }], " +
				"clients: [{ id: c, secret: 0123456789012345678901234, scopes: [a] }] } }", "scope-for-nobody",
		},
		{
			"allow: { scopes: [a] }",
			ownPool + "prune: true, groups: [{ name: g }], resource_servers: [{ id: s, scopes: [{ name: a, groups: [g] }] }], " +
				"clients: [{ id: c, public: true, redirect_uris: ['https://c.example/'], scopes: [a] }] } }", "",
		},
		{"allow: { scopes: [a] }", aCompany + ", scope_claim: s } } }", ""},
		{"allow: { scopes: [a] }", aServer + "}] }", "unknown-scope"},

		{"allow: { clients: [gatehouse] }", ownPool + "prune: true } }", ""},
		{"allow: { clients: [job] }", ownPool + "} }", ""},
		{"allow: { clients: [job] }", ownPool + "prune: true } }", "unknown-client"},
		{"allow: { clients: [gate, job] }", aCompany + "} } }\n" + aServer + ", clients: [job] }] }", ""},
		{"allow: { clients: [gatehouse] }", aCompany + "} } }\n" + aServer + ", clients: [job] }] }", "unknown-client"},

		{"allow: { users: [a], all_of: [{ users: [b] }] }", ownPool + "} }", "never-met"},
		{"allow: { users: [a], all_of: [{ users: [b] }] }", ownPool + "} }\n" + aServer + "}] }", ""},
		// A username that nobody has yet is for who signs up first.
		{"allow: { users: [bob] }", openPool + "}", "claimable-user"},
		// Where nobody has a username to choose, nobody can take it.
		{"allow: { users: [bob] }", openPool + ", pool: { sign_in_with: [email] } }", ""},
		{"allow: { users: [bob] }", openPool + ", pool: { sign_in_with: [email, username] } }", "claimable-user"},
		{"allow: { groups: [g], any_of: [{ users: [bob] }] }", openPool + ", bootstrap: { groups: [{ name: g }] } }", ""},
		{"allow: { ip: 10.0.0.0/8, any_of: [{ users: [bob] }, { groups: [g] }] }", openPool + ", bootstrap: { groups: [{ name: g }] } }", "claimable-user"},
		{"allow: { all_of: [{ users: [bob] }, { groups: [g] }] }", openPool + ", bootstrap: { groups: [{ name: g }] } }", ""},
		{"allow: { all_of: [{ any_of: [{ users: [bob] }] }, { groups: [g] }] }", openPool + ", bootstrap: { groups: [{ name: g }] } }", ""},
		{"allow: { ip: 10.0.0.0/8, not: { users: [bob] } }", openPool + "}", ""},
		{"allow: { users: [BOB] }", openPool + ", bootstrap: { users: [{ username: bob, password: correct-horse-1 }] } }", ""},
		{"allow: { users: [0b0e8a1c-61a4-4e0a-9d6e-0d6f0a0d7c11] }", openPool + "}", ""},
		{"allow: { users: ['+41791234567'] }", openPool + "}", ""},
		{"allow: { users: [bob] }", ownPool + "} }", ""},
		{"allow: { users: [bob] }", aCompany + "} } }\n" + openPool + "}", ""},
		{"allow: signed-in, require: { mfa: true }", ownPool + "} }", ""},
		{"allow: signed-in, require: { mfa: true }", ownPool + "}, mfa: { mode: 'off' } }", "require-unmet"},
		{"allow: signed-in, require: { acr: ['https://refeds.org/profile/mfa'] }", ownPool + "} }", ""},
		{"allow: signed-in, require: { acr: ['urn:gold'] }", ownPool + "} }", "require-unmet"},
		{"allow: signed-in, require: { signed_in_within: 1h }", ownPool + "} }", ""},
		{"allow: signed-in, require: { mfa: true }", aCompany + "} } }", ""},
	} {
		if got := foundIn(t, c.allow, c.rest); got != c.want {
			t.Errorf("%s\n%s\nfound %q, want %q", c.allow, c.rest, got, c.want)
		}
	}
}
