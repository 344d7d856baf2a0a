package policy

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/conf"
	"gatehouse/session"
)

// file is a configuration as far as this package knows one.
type file struct {
	Routes []struct {
		Pos     conf.Pos `yaml:"-"`
		Name    string   `yaml:"name"`
		Allow   Allow    `yaml:"allow"`
		Require *Require `yaml:"require"`
		// Sets are the path variables that match would set.
		Sets []string `yaml:"sets"`
	} `yaml:"routes"`
	Policy Config `yaml:"policy"`
}

func (f *file) rules() []Rule {
	var rules []Rule
	for _, r := range f.Routes {
		rules = append(rules, Rule{Route: r.Name, Allow: r.Allow, Require: r.Require, Variables: r.Sets, Pos: r.Pos})
	}
	return rules
}

// read parses text as gatehouse.yaml in dir.
func read(t testing.TB, dir, text string) *file {
	t.Helper()
	var f file
	if _, err := conf.Parse(filepath.Join(dir, "gatehouse.yaml"), []byte(text), &f); err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return &f
}

// compile makes a policy of a whole file and of operators' modules, given as
// name and text in turn.
func compile(t testing.TB, text string, modules ...string) *Policy {
	t.Helper()
	p, err := tryCompile(t, text, modules...)
	if err != nil {
		t.Fatalf("Compile: %v", err)
	}
	return p
}

func tryCompile(t testing.TB, text string, modules ...string) (*Policy, error) {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(modules); i += 2 {
		name := filepath.Join(dir, modules[i])
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(modules[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := read(t, dir, text)
	p, err := Compile(context.Background(), f.Policy, f.rules())
	if err == nil {
		p.timeout = time.Minute // what is tested is not how busy the machine is
	}
	return p, err
}

// one makes a policy with one route, whose allow is given.
func one(t testing.TB, allow string, modules ...string) *Policy {
	t.Helper()
	text := "routes:\n  - name: it\n    allow: " + allow + "\n"
	if modules != nil {
		text += "policy: {custom: [rego]}\n"
	}
	return compile(t, text, modules...)
}

// person is somebody signed in by cookie.
func person(change ...func(*session.Identity)) *session.Identity {
	id := &session.Identity{
		Credential: session.Cookie, Issuer: "https://login.example.com", Subject: "8d0c", Username: "bob",
		Email: "bob@example.com", EmailVerified: true, ClientID: "gatehouse", ClientNamed: true, Person: true, Listed: true,
		Groups: []string{"staff"}, Claims: map[string]any{"department": "sales"},
	}
	for _, c := range change {
		c(id)
	}
	return id
}

// machine is a program with an access token of its own.
func machine(scopes ...string) *session.Identity {
	return &session.Identity{
		Credential: session.Bearer, Issuer: "https://login.example.com", Subject: "orders-job", ClientID: "orders-job", ClientNamed: true,
		Scopes: append([]string{}, scopes...), Claims: map[string]any{"tier": json.Number("3")},
	}
}

func inGroups(groups ...string) func(*session.Identity) {
	return func(id *session.Identity) { id.Groups = groups }
}

// byToken turns a session into an access token of the person for an app client
// that bearer.clients does not list.
func byToken(scopes ...string) func(*session.Identity) {
	return func(id *session.Identity) {
		id.Credential, id.ClientID, id.Listed = session.Bearer, "other-app", false
		id.Scopes = append([]string{}, scopes...)
	}
}

func listed(id *session.Identity) { id.Listed = true }

func decide(t testing.TB, p *Policy, id *session.Identity) Decision {
	t.Helper()
	return p.Decide(context.Background(), Query{
		Identity: id, Method: "GET", Host: "app.example.com", Path: "/x",
		ClientIP: netip.MustParseAddr("203.0.113.9"),
	})
}

func allows(t testing.TB, p *Policy, id *session.Identity, reason Reason) {
	t.Helper()
	if d := decide(t, p, id); d.Outcome != OutcomeAllow || d.Reason != reason {
		t.Errorf("Decide(%+v) = %s %s (%v), want allow %s\n%s", id, d.Outcome, d.Reason, d.Err, reason, p.Module())
	}
}

func denies(t testing.TB, p *Policy, id *session.Identity, reason Reason) {
	t.Helper()
	if d := decide(t, p, id); d.Outcome != OutcomeDeny || d.Reason != reason {
		t.Errorf("Decide(%+v) = %s %s (%v), want deny %s\n%s", id, d.Outcome, d.Reason, d.Err, reason, p.Module())
	}
}

func TestWordsDecide(t *testing.T) {
	p := one(t, "anyone")
	allows(t, p, nil, RouteOpen)
	allows(t, p, machine(), RouteOpen)
	if !p.Public(0) || p.Public(1) || p.Public(-1) {
		t.Error("Public is not true for exactly the route that is open to anyone")
	}

	p = one(t, "nobody")
	denies(t, p, nil, Nobody)
	denies(t, p, person(), Nobody)

	p = one(t, "signed-in")
	denies(t, p, nil, SignInRequired)
	allows(t, p, person(), SignedIn)
	denies(t, p, machine("orders.read"), PersonRequired)
	denies(t, p, person(byToken()), BearerNotListed)
	allows(t, p, person(byToken(), listed), SignedIn)
	if p.Public(0) {
		t.Error("Public is true for signed-in")
	}
}

func TestUnknownRouteIsDenied(t *testing.T) {
	p := one(t, "anyone")
	for _, route := range []int{-1, 1, 1 << 30} {
		if d := p.Decide(context.Background(), Query{Route: route}); d.Outcome != OutcomeDeny || d.Reason != NoRoute {
			t.Errorf("Decide(route %d) = %s %s, want deny no_route", route, d.Outcome, d.Reason)
		}
	}
}

func TestGroupsNeedAListedPersonWithThem(t *testing.T) {
	p := one(t, "{ groups: [admins, ops] }")
	allows(t, p, person(inGroups("staff", "ops")), GroupOK)
	denies(t, p, person(), GroupMissing)
	denies(t, p, person(inGroups("Admins", "admins ", "admin")), GroupMissing)
	denies(t, p, person(inGroups()), GroupMissing)
	denies(t, p, nil, SignInRequired)
	denies(t, p, person(byToken(), inGroups("admins")), BearerNotListed)
	allows(t, p, person(byToken(), listed, inGroups("admins")), GroupOK)

	m := machine()
	m.Listed, m.Groups = true, []string{"admins"}
	denies(t, p, m, PersonRequired)
}

func TestScopesOfTokensAndSessions(t *testing.T) {
	p := one(t, "{ scopes: [orders.read, orders/all] }")
	allows(t, p, machine("orders/all"), ScopeOK)
	allows(t, p, person(byToken("orders.read")), ScopeOK) // scopes need no bearer.clients
	denies(t, p, machine("orders.write"), ScopeMissing)
	denies(t, p, machine(), ScopeMissing)
	denies(t, p, person(), ScopeMissing)
	allows(t, p, person(func(id *session.Identity) { id.Scopes = []string{"orders.read"} }), ScopeOK)
	denies(t, p, person(func(id *session.Identity) { id.Scopes = []string{"openid"} }), ScopeMissing)
}

func TestUsersMatchSubjectOrUsernameNeverEmail(t *testing.T) {
	allows(t, one(t, "{ users: [bob] }"), person(), UserOK)
	allows(t, one(t, "{ users: [alice, 8d0c] }"), person(), UserOK)
	p := one(t, "{ users: [bob@example.com, Bob, orders-job] }")
	denies(t, p, person(), UserNotListed)
	denies(t, p, machine(), PersonRequired)
	denies(t, one(t, "{ users: bob }"), person(byToken()), BearerNotListed)
}

func TestClientsMatchExactly(t *testing.T) {
	p := one(t, "{ clients: [orders-job] }")
	allows(t, p, machine(), ClientOK)
	denies(t, p, person(), ClientNotListed)
	none := machine()
	none.ClientID = ""
	denies(t, p, none, ClientNotListed)
}

func TestEmailDomainsNeedAVerifiedAddress(t *testing.T) {
	p := one(t, "{ email_domains: [Example.COM] }")
	address := func(a string, verified bool) *session.Identity {
		return person(func(id *session.Identity) { id.Email, id.EmailVerified = a, verified })
	}
	allows(t, p, person(), EmailDomainOK)
	allows(t, p, address("x@EXAMPLE.com", true), EmailDomainOK)
	for _, a := range []string{
		"x@sub.example.com", "x@example.com.evil.test", "x@evilexample.com", "example.com", "x@example.com@evil.test",
		"x@evil.test@example.com", "x@exam\u212aple.com", "x@example.com ", "x@example.com.", "", "@",
	} {
		denies(t, p, address(a, true), EmailDomain)
	}
	denies(t, p, address("x@example.com", false), EmailDomain)
	denies(t, p, person(byToken()), BearerNotListed)
	denies(t, one(t, "{ email_domains: [\"k.com\"] }"), address("x@\u212a.com", true), EmailDomain)
}

func TestClaimsEqualWithTheirType(t *testing.T) {
	claim := func(v any) *session.Identity {
		return person(func(id *session.Identity) { id.Claims = map[string]any{"c": v} })
	}
	p := one(t, `{ claims: { c: [finance, 3, true, "7"] } }`)
	for _, v := range []any{
		"finance", json.Number("3"), json.Number("3.0"), 3.0, true, "7",
		[]any{"x", "finance"},
		[]any{json.Number("3")},
		[]any{[]any{}, "7"},
	} {
		allows(t, p, claim(v), ClaimOK)
	}
	for _, v := range []any{
		"Finance", "3", json.Number("7"), "true", false, nil, json.Number("4"),
		[]any{},
		[]any{"x", nil},
		map[string]any{"c": "finance"},
		[]any{[]any{"finance"}},
		"finance,sales", json.Number("1e999999999"),
	} {
		denies(t, p, claim(v), ClaimMismatch)
	}
	denies(t, p, person(), ClaimMismatch)

	p = one(t, `{ claims: { department: sales, "cognito:level": 2 } }`)
	denies(t, p, person(), ClaimMismatch)
	allows(t, p, person(func(id *session.Identity) { id.Claims["cognito:level"] = json.Number("2") }), ClaimOK)
	allows(t, one(t, `{ claims: { tier: 3 } }`), machine(), ClaimOK)
}

func TestAddressesNeedAPersonToo(t *testing.T) {
	at := func(p *Policy, id *session.Identity, ip string) Decision {
		q := Query{Identity: id}
		if ip != "" {
			q.ClientIP = netip.MustParseAddr(ip)
		}
		return p.Decide(context.Background(), q)
	}
	want := func(p *Policy, id *session.Identity, ip string, reason Reason) {
		t.Helper()
		if d := at(p, id, ip); d.Reason != reason {
			t.Errorf("Decide from %q = %s %s (%v), want %s", ip, d.Outcome, d.Reason, d.Err, reason)
		}
	}
	p := one(t, `{ ip: [10.0.0.0/8, 192.0.2.7, "2001:db8::/32"] }`)
	for _, ip := range []string{"10.255.0.1", "192.0.2.7", "2001:db8::9", "::ffff:10.0.0.1", "2001:db8::1%eth0"} {
		want(p, person(), ip, ConditionsOK)
	}
	for _, ip := range []string{"11.0.0.1", "192.0.2.8", "2001:db9::1", "::10.0.0.1", ""} {
		want(p, person(), ip, IPNotAllowed)
	}
	want(p, machine("any"), "10.0.0.1", PersonRequired)
	want(p, person(byToken()), "10.0.0.1", BearerNotListed)
	want(p, nil, "10.0.0.1", SignInRequired)
	want(one(t, `{ scopes: [a], ip: 10.0.0.0/8 }`), machine("a"), "10.0.0.1", ConditionsOK)
	want(one(t, `{ any_of: [{scopes: [a]}, {ip: 10.0.0.0/8}] }`), machine("b"), "10.0.0.1", ScopeMissing)
}

func TestUnknownIsNotFalse(t *testing.T) {
	p := one(t, "{ not: { groups: [contractors] } }")
	allows(t, p, person(), ConditionsOK)
	allows(t, p, person(func(id *session.Identity) { id.Groups = []string{} }), ConditionsOK)
	denies(t, p, person(inGroups("contractors")), Excluded)
	denies(t, p, person(func(id *session.Identity) { id.Groups = nil }), Excluded)
	denies(t, p, nil, SignInRequired)
	denies(t, p, machine(), PersonRequired)
	denies(t, p, person(byToken()), BearerNotListed)

	p = one(t, "{ not: { scopes: [a] } }")
	denies(t, p, person(), Excluded) // this session does not tell scopes
	allows(t, p, person(byToken("b"), listed), ConditionsOK)
	denies(t, p, machine("b"), PersonRequired) // nobody named this machine

	p = one(t, "{ clients: [orders-job], not: { scopes: [danger] } }")
	allows(t, p, machine("b"), ConditionsOK)
	denies(t, p, machine("danger"), Excluded)
	silent := machine()
	silent.Scopes = nil
	denies(t, p, silent, Excluded)

	p = one(t, "{ not: { email_domains: [evil.test] } }")
	allows(t, p, person(), ConditionsOK)
	denies(t, p, person(func(id *session.Identity) { id.EmailVerified = false }), Excluded)

	p = one(t, "{ not: { claims: { suspended: true } } }")
	denies(t, p, person(), Excluded)
	allows(t, p, person(func(id *session.Identity) { id.Claims["suspended"] = false }), ConditionsOK)
	denies(t, p, person(func(id *session.Identity) { id.Claims["suspended"] = true }), Excluded)
	denies(t, p, person(func(id *session.Identity) { id.Claims["suspended"] = nil }), Excluded)

	p = one(t, "{ not: { users: [eve] } }")
	allows(t, p, person(), ConditionsOK)
	denies(t, p, person(func(id *session.Identity) { id.Username = "" }), Excluded)
}

func TestAShortBearerIsToldOfTheScope(t *testing.T) {
	p := one(t, "{ any_of: [{ groups: [admins] }, { scopes: [orders.read] }] }")
	denies(t, p, machine("x"), ScopeMissing)
	denies(t, p, person(byToken("x"), listed), ScopeMissing)
	denies(t, p, person(), GroupMissing)
	p = one(t, "{ any_of: [{ scopes: [orders.read] }, signed-in] }")
	allows(t, p, person(), ConditionsOK)
	allows(t, p, machine("orders.read"), ConditionsOK)
	denies(t, p, machine(), ScopeMissing)
}

func TestADecisionNamesItsLine(t *testing.T) {
	p := compile(t, `routes:
  - name: both
    allow:
      groups: [staff]
      users: [alice]
`)
	d := decide(t, p, person())
	if d.Reason != UserNotListed || d.Rule.Line != 5 || !strings.HasSuffix(d.Rule.String(), "gatehouse.yaml:5") {
		t.Errorf("Decide = %s at %s, want user_not_listed at gatehouse.yaml:5", d.Reason, d.Rule)
	}
}

func TestValuesArePlainData(t *testing.T) {
	evil := `a" in input or true #{x} .* * ${ \ ` + "`" + `{{.}} $"{input}" %s` + "\u2028"
	for _, value := range []string{evil, "*", ".*", "%", `"`, `\`, "a\nb\tc\r", "{input.user}", "''", "<&>", "#"} {
		cond := Condition{AnyOf: []Condition{
			{Groups: []string{value}},
			{Scopes: []string{value}},
			{Users: []string{value}},
			{Clients: []string{value}},
			{Claims: map[string]ClaimTest{value: {Is: []any{value}}}},
		}}
		p, err := Compile(context.Background(), Config{}, []Rule{{Route: value, Allow: Allow{When: &cond}}})
		if err != nil {
			t.Fatalf("Compile with value %q: %v", value, err)
		}
		allows(t, p, person(inGroups(value)), ConditionsOK)
		allows(t, p, machine(value), ConditionsOK)
		allows(t, p, person(func(id *session.Identity) { id.Claims = map[string]any{value: value} }), ConditionsOK)
		denies(t, p, person(inGroups("a", "admins", "")), GroupMissing)
		denies(t, p, machine("a", "x"), ScopeMissing)
	}
}

func TestRouteNamesDoNotMix(t *testing.T) {
	p := compile(t, `routes:
  - {name: a-b, allow: {groups: [a-b]}}
  - {name: a_b, allow: {groups: [a_b]}}
  - {name: "a b", allow: {groups: ["a b"]}}
  - {name: "été", allow: {groups: ["été"]}}
  - {name: "日本", allow: {groups: ["日本"]}}
`)
	names := []string{"a-b", "a_b", "a b", "été", "日本"}
	for i := range names {
		for j, group := range names {
			d := p.Decide(context.Background(), Query{Route: i, Identity: person(inGroups(group))})
			if (d.Outcome == OutcomeAllow) != (i == j) {
				t.Errorf("route %q, group %q: %s %s", names[i], group, d.Outcome, d.Reason)
			}
		}
	}
}

func TestReasonsAreClosed(t *testing.T) {
	seen := map[Reason]bool{}
	for _, r := range Reasons() {
		if r == "" || seen[r] {
			t.Errorf("reason %q is empty or doubled", r)
		}
		seen[r] = true
	}
	var zero Decision
	if zero.Outcome != OutcomeDeny {
		t.Error("the zero Decision does not deny")
	}
}

func writeFile(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
