package whatif_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/proxy"
	"gatehouse/proxy/canon"
	"gatehouse/proxy/whatif"
)

// moreSuite has the conditions that look at more than who asks.
func moreSuite(t *testing.T) *whatif.Suite {
	t.Helper()
	dir := t.TempDir()
	rego := "package orders\n\ndefault small := false\n\nsmall if input.request.body.amount < 100\n\nsmall if input.request.body_state == \"absent\"\n"
	if err := os.WriteFile(filepath.Join(dir, "orders.rego"), []byte(rego), 0o600); err != nil {
		t.Fatal(err)
	}
	return suiteOf(t, head+"policy: { custom: ["+filepath.Join(dir, "orders.rego")+`] }
routes:
  - name: office
    match: { path: /office }
    allow: { groups: [staff], time: [{ days: mon-fri, hours: "08:00-18:00" }] }
  - name: edit
    match: { path: /edit }
    allow: { any_of: [{ groups: [editors] }, { method: GET, groups: [staff] }] }
  - name: pay
    match: { path: /pay, methods: [POST] }
    allow: { opa: { rule: data.orders.small } }
    body: { max: 1KiB }
  - name: pay-or-look
    match: { path: /pay-or-look }
    allow: { groups: [staff], opa: { rule: data.orders.small } }
    body: { max: 1KiB, accept: [parsed, absent] }
  - name: safe
    match: { path: /safe }
    allow: { any_of: [{ groups: [staff] }, { scopes: [read] }] }
    require: { mfa: true, signed_in_within: 1h }
  - name: tenant
    match: { path: "/t/{tenant}/**" }
    allow: { any_of: [{ claims: { tenant: "{tenant}" } }, { groups: ["{tenant}"] }, { users: [root] }] }
  - { name: only, match: { path: "/only/{tenant}" }, allow: { claims: { tenant: "{tenant}" } } }
  - { name: vault, match: { path: /vault }, allow: { scopes: [read], ip: 10.0.0.0/8 }, require: { mfa: true } }
`)
}

func TestTestsSetTimeMethodBodyAndStrength(t *testing.T) {
	s := moreSuite(t)
	for _, c := range []struct{ as, request, expect string }{
		{"{ groups: staff }", "{ url: /office, time: 2026-05-04T09:30:00Z }", "allow"},
		{"{ groups: staff }", "{ url: /office, time: 2026-05-04T18:00:00Z }", "{ status: 403, reason: time_not_allowed }"},
		{"{ groups: staff }", "{ url: /office, time: 2026-05-03T09:30:00Z }", "403"},
		{"{ groups: staff }", "GET /edit", "allow"},
		{"{ groups: staff }", "POST /edit", "403"},
		{"{ groups: editors }", "POST /edit", "allow"},
		{"signed-in", "{ method: POST, url: /pay, body: { amount: 99 } }", "allow"},
		{"signed-in", "{ method: POST, url: /pay, body: { amount: 100 } }", "{ status: 403, reason: opa_deny }"},
		{"signed-in", "POST /pay", "{ status: 403, reason: body_absent }"},
		{"signed-in", "{ method: POST, url: /pay, body_state: truncated }", "{ reason: body_truncated }"},
		{"signed-in", "{ method: POST, url: /pay, body_state: unparsable }", "{ reason: body_unparsable }"},
		{"{ groups: staff }", "GET /pay-or-look", "allow"},
		{"{ groups: staff, mfa: true }", "GET /safe", "allow"},
		{"{ groups: staff, amr: [pwd, mfa] }", "GET /safe", "allow"},
		{"{ groups: staff, acr: 'urn:mfa' }", "GET /safe", "allow"},
		{"{ groups: staff }", "GET /safe", "{ decision: step_up, status: 401, reason: mfa_required }"},
		{"{ groups: staff, mfa: true, signed_in: 2h }", "GET /safe", "{ decision: step_up, reason: reauth_required }"},
		{"{ groups: staff, mfa: true, signed_in: 10m }", "{ url: /safe, time: 2026-05-04T09:30:00Z }", "allow"},
		{"{ groups: staff, mfa: true, unknown: signed_in }", "GET /safe", "step_up"},
		{"signed-in", "GET /safe", "403"},
		{"visitor", "GET /safe", "sign_in"},
		{"{ scopes: read }", "GET /safe", "{ status: 403, reason: person_required }"},
		{"{ claims: { tenant: acme } }", "GET /t/acme/x", "allow"},
		{"{ claims: { tenant: acme } }", "GET /t/other/x", "403"},
		{"{ groups: acme }", "GET /t/acme/", "allow"},
	} {
		report := runTests(t, s, "tests:\n  - { name: it, as: "+c.as+", request: "+c.request+", expect: "+c.expect+" }\n")
		if report.Passed != 1 {
			t.Errorf("as %s, %s, expect %s: %+v", c.as, c.request, c.expect, report.Files[0].Tests[0].Failures[0])
		}
	}
}

func TestMatrixKnowsTimeMethodBodyStrengthAndPath(t *testing.T) {
	m := matrixOf(t, moreSuite(t), "strong: { groups: [staff], mfa: true }, acme: { claims: { tenant: acme } }, "+
		"reader: { user: x, scopes: [read], mfa: true }, tv: { user: x, scopes: [read], credential: bearer, client: tv }")
	for _, c := range []struct{ row, column, want string }{
		{"/office", "staff", "time?"},
		{"/office", "signed in", "403"},
		{"GET,HEAD /edit", "staff", "allow"},
		{"GET,HEAD /edit", "signed in", "403"},
		{"others /edit", "staff", "403"},
		{"others /edit", "editors", "allow"},
		{"POST /pay", "signed in", "opa? body?"},
		{"/pay-or-look", "staff", "opa? body?"},
		{"/pay-or-look", "signed in", "403"},
		{"/safe", "staff", "step up"},
		{"/safe", "strong", "allow"},
		{"/safe", "token:read", "403"},
		{"/safe", "visitor", "sign in"},
		{"/t/{tenant}/**", "signed in", "claims? path?"},
		{"/t/{tenant}/**", "acme", "path?"},
		{"/t/{tenant}/**", "user:root", "allow"},
		{"/t/{tenant}/**", "token:read", "claims?"},
		{"/t/{tenant}/**", "visitor", "sign in"},
		{"/only/{tenant}", "acme", "path?"},
		{"/only/{tenant}", "signed in", "claims?"},
		{"/vault", "token:read", "403"},
		{"/vault", "tv", "403"},
		{"/vault", "reader", "ip?"},
	} {
		if got := cell(t, m, c.row, c.column); got != c.want {
			t.Errorf("%s as %s = %q, want %q", c.row, c.column, got, c.want)
		}
	}
	for _, r := range m.Rows {
		if r.Route == "tenant" && r.Sample != "GET /t/x/x" {
			t.Errorf("the sample of %s is %s, want GET /t/x/x", r.Path, r.Sample)
		}
	}
	for _, col := range m.Columns {
		if col.Name == "{tenant}" {
			t.Error("a path variable has a column, as if it were a group")
		}
	}
}

func TestCoverageOfStrengthNeedsAStepUp(t *testing.T) {
	s := moreSuite(t)
	const tests = `tests:
  - { name: a, as: [{ groups: staff, mfa: true }, { scopes: read }, signed-in], request: GET /safe, expect: allow }
`
	never := func(text string) string {
		var found []string
		for _, g := range runTests(t, s, text).Coverage.Gaps {
			if g.Route == "safe" {
				found = append(found, g.Text())
			}
		}
		return strings.Join(found, "; ")
	}
	const (
		route  = "route safe (gatehouse.yaml:21): never stepped up"
		factor = "condition mfa: true of route safe (gatehouse.yaml:24): never not met"
		age    = "condition signed_in_within: 1h of route safe (gatehouse.yaml:24): never not met"
	)
	scopes := "condition scopes: [read] of route safe (gatehouse.yaml:23): never "
	if got := never(tests); got != route+"; "+factor+"; "+age {
		t.Errorf("not covered: %s", got)
	}
	more := tests + "  - { name: b, as: { groups: staff, signed_in: 2h }, request: GET /safe, expect: step_up }\n"
	if got := never(more); got != "" {
		t.Errorf("not covered: %s, want nothing", got)
	}
	// Who is refused anyway was not asked for a second factor.
	if got := never("tests:\n  - { name: c, as: signed-in, request: GET /safe, expect: 403 }\n"); !strings.Contains(got, scopes+"met") ||
		!strings.Contains(got, "mfa: true of route safe (gatehouse.yaml:24): never met, never not met") {
		t.Errorf("not covered: %s", got)
	}
}

func TestFailureOfAStepUpSaysWhatIsMissing(t *testing.T) {
	report := runTests(t, moreSuite(t), "tests:\n  - { name: it, as: { groups: staff }, request: GET /safe, expect: allow }\n")
	var text strings.Builder
	report.Write(&text)
	for _, want := range []string{"got step_up 401 for mfa_required", "miss    mfa: true   has: no amr"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, &text)
		}
	}
	if strings.Contains(text.String(), "groups: [staff]   has") {
		t.Errorf("the report tells of a condition that was met:\n%s", &text)
	}
}

// rule writes a random condition over a group that is settled, and an address and
// a claim that are open.
func rule(rng *rand.Rand, depth int) string {
	leaves := []string{"groups: [staff]", "ip: 10.0.0.0/8", "claims: { level: 3 }"}
	if depth == 0 || rng.IntN(4) == 0 {
		return "{ " + leaves[rng.IntN(len(leaves))] + " }"
	}
	switch rng.IntN(3) {
	case 0:
		return "{ not: " + rule(rng, depth-1) + " }"
	case 1:
		return "{ any_of: [" + rule(rng, depth-1) + ", " + rule(rng, depth-1) + "] }"
	default:
		return "{ all_of: [" + rule(rng, depth-1) + ", " + rule(rng, depth-1) + "] }"
	}
}

func TestMatrixAgreesWithTheGateForEveryAddressAndClaim(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	config := head + "routes:\n"
	const rules = 120
	for i := range rules {
		config += fmt.Sprintf("  - { name: r%d, match: { path: /r%d }, allow: %s }\n", i, i, rule(rng, 3))
	}
	s := suiteOf(t, config)
	m := matrixOf(t, s, "")
	kinds := map[string]int{}
	for _, column := range []string{"signed in", "staff"} {
		for i := range rules {
			got := cell(t, m, fmt.Sprintf("/r%d", i), column)
			met, refused := everyWay(t, s, fmt.Sprintf("/r%d", i), column)
			want := map[[2]bool]string{{true, false}: "allow", {false, true}: "403"}[[2]bool{met, refused}]
			if met && refused && !strings.HasSuffix(got, "?") || !(met && refused) && got != want {
				t.Errorf("/r%d as %s = %q; allowed for some %t, refused for some %t", i, column, got, met, refused)
			}
			kinds[got]++
		}
	}
	if len(kinds) < 5 {
		t.Errorf("the cells were only %v", kinds)
	}
}

// everyWay asks the gate with each address and claim there can be.
func everyWay(t *testing.T, s *whatif.Suite, path, column string) (met, refused bool) {
	t.Helper()
	req := canon.Request{Method: "GET", Host: "app.example.com", Path: path, EscapedPath: path}
	for _, client := range []netip.Addr{{}, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("192.0.2.1")} {
		for _, claims := range []map[string]any{{}, {"level": json.Number("3")}, {"level": json.Number("4")}} {
			id := (&whatif.Persona{Word: whatif.SignedIn}).Identity(s.World, s.Now)
			if id.Groups, id.Claims = []string{}, claims; column == "staff" {
				id.Groups = []string{"staff"}
			}
			if s.Gate.Judge(req, id, client, proxy.Asking{}).Verdict.Action == proxy.Forward {
				met = true
			} else {
				refused = true
			}
		}
	}
	return met, refused
}
