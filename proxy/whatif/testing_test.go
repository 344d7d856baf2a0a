package whatif_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/internal/conf"
	"gatehouse/proxy/whatif"
)

const issuer = "https://login.example.com"

// suiteOf asks the configuration text.
func suiteOf(t *testing.T, text string) *whatif.Suite {
	t.Helper()
	plan, err := app.Parse("gatehouse.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	asking, err := app.OpenAsking(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = asking.Close() })
	return &whatif.Suite{
		Gate: asking.Gate, Policy: asking.Policy, Config: &plan.Config.Config, Now: time.Now(),
		World: whatif.World{
			Origin: plan.Origin(), Issuer: issuer, Client: "gatehouse", MFA: []string{"urn:mfa"},
			Bearers: []whatif.Bearer{{Issuer: issuer, Clients: []string{"spa"}, Own: true}, {Issuer: "https://tokens.example.org"}},
		},
	}
}

// read reads the text of a file of tests.
func read(t *testing.T, text string) (*whatif.TestFile, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tests.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return whatif.ReadTests(path)
}

// runTests runs the text of a file of tests.
func runTests(t *testing.T, s *whatif.Suite, text string) *whatif.Report {
	t.Helper()
	f, err := read(t, text)
	if err != nil {
		t.Fatal(err)
	}
	f.Path = "tests.yaml"
	report, err := s.Run(t.Context(), []*whatif.TestFile{f}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// passes tells whether one test passes, given its keys as, request and expect.
func passes(t *testing.T, s *whatif.Suite, test string) bool {
	t.Helper()
	return runTests(t, s, "tests:\n  - { name: it, "+test+" }\n").Passed == 1
}

const personaConfig = `public_url: [https://app.example.com, https://www.example.com]
trusted_proxies: [127.0.0.1]
upstreams: { app: http://127.0.0.1:9 }
bearer: { issuers: [{ issuer: https://tokens.example.org, audiences: [app] }] }
routes:
  - { name: open, match: { path: /open }, allow: anyone }
  - { name: shut, match: { path: /shut }, allow: nobody }
  - { name: people, match: { path: /people }, allow: signed-in }
  - { name: staff, match: { path: /staff }, allow: { groups: [staff] } }
  - { name: visitors, match: { path: /outside }, allow: { not: { groups: [staff] } } }
  - { name: read, match: { path: /read }, allow: { scopes: [read] }, on_unauthenticated: deny }
  - { name: job, match: { path: /job }, allow: { clients: [job] }, credentials: [bearer] }
  - { name: desk, match: { path: /desk }, allow: signed-in, credentials: [session] }
  - { name: dana, match: { path: /dana }, allow: { users: [dana] } }
  - { name: id, match: { path: /id }, allow: { users: [0-17] } }
  - { name: mail, match: { path: /mail }, allow: { email_domains: [example.com] } }
  - { name: claim, match: { path: /claim }, allow: { claims: { level: 3, department: [sales, it] } } }
  - { name: large, match: { path: /large }, allow: { claims: { id: 9007199254740993 } } }
  - { name: inside, match: { path: /inside }, allow: { ip: 10.0.0.0/8 } }
  - { name: post, match: { path: /post, methods: [POST] }, allow: signed-in }
  - { name: always, match: { path: /always }, allow: signed-in, on_unauthenticated: authenticate, credentials: [session] }
`

func TestPersonaIsWhoTheTestSays(t *testing.T) {
	s := suiteOf(t, personaConfig)
	for _, c := range []struct{ as, request, expect string }{
		{"visitor", "GET /open", "allow"},
		{"visitor", "GET /people", "sign_in"},
		{"visitor", "GET /people", "401"},
		{"visitor", "GET /people", "deny"},
		{"visitor", "GET /shut", "403"},
		{"visitor", "GET /nowhere", "404"},
		{"visitor", "GET /people/../open", "400"},
		{"visitor", "GET https://elsewhere.example/", "404"},
		{"visitor", "GET /_gatehouse/health", "ours"},
		{"visitor", "GET /read", "{ decision: deny, status: 401 }"},
		{"visitor", "GET /job", "{ decision: deny, status: 401 }"},
		{"visitor", "POST /post", "{ decision: deny, status: 401 }"},
		{"visitor", "HEAD /always", "sign_in"},
		{"visitor", "{ url: /people, websocket: true }", "{ decision: deny, status: 401 }"},

		{"signed-in", "GET /people", "allow"},
		{"{}", "GET /people", "allow"},
		{"signed-in", "GET /staff", "{ status: 403, reason: group_missing }"},
		{"signed-in", "GET /outside", "allow"},
		{"{ unknown: groups, credential: session }", "GET /outside", "403"},
		{"{ groups: staff }", "GET /staff", "allow"},
		{"{ groups: staff }", "GET /job", "401"},
		{"{ user: dana }", "GET /dana", "allow"},
		{"{ user: 0-17 }", "GET /id", "allow"},
		{"{ user: dana, subject: 0-17 }", "GET /id", "allow"},
		{"{ user: subject-of-dana }", "GET /dana", "403"},
		{"{ email: x@example.com }", "GET /mail", "allow"},
		{"{ email: x@example.com, email_verified: false }", "GET /mail", "403"},
		{"{ claims: { level: 3, department: it } }", "GET /claim", "allow"},
		{"{ claims: { level: '3', department: it } }", "GET /claim", "403"},
		{"{ claims: { id: 9007199254740993 } }", "GET /large", "allow"},
		{"{ claims: { level: 3 } }", "GET /claim", "{ reason: claim_mismatch }"},

		{"{ scopes: read }", "GET /read", "allow"},
		{"{ scopes: write }", "GET /read", "{ status: 403, reason: scope_missing }"},
		{"{ scopes: read }", "GET /people", "{ reason: person_required }"},
		{"{ scopes: read, groups: staff, client: spa, credential: bearer }", "GET /staff", "allow"},
		{"{ groups: staff, client: tv, credential: bearer }", "GET /staff", "{ reason: bearer_not_listed }"},
		{"{ groups: staff, client: tv, listed: true, credential: bearer }", "GET /staff", "allow"},
		{"{ groups: staff, client: spa, listed: false, credential: bearer }", "GET /staff", "403"},
		{"{ client: job }", "GET /job", "allow"},
		{"{ client: job }", "GET /desk", "{ decision: deny, status: 401 }"},
		{"{ client: job }", "GET /always", "sign_in"},
		{"{ client: job, issuer: https://tokens.example.org }", "GET /job", "{ reason: client_not_listed }"},
		{"{ client: job, credential: session }", "GET /job", "401"},

		{"signed-in", "{ url: /inside, ip: 10.1.2.3 }", "allow"},
		{"signed-in", "GET /inside", "{ reason: ip_not_allowed }"},
		{"signed-in", "GET https://www.example.com/people", "404"},
	} {
		if !passes(t, s, "as: "+c.as+", request: "+c.request+", expect: "+c.expect) {
			report := runTests(t, s, "tests:\n  - { name: it, as: "+c.as+", request: "+c.request+", expect: "+c.expect+" }\n")
			t.Errorf("as %s, %s, expect %s: got %s", c.as, c.request, c.expect, report.Files[0].Tests[0].Failures[0].Got)
		}
	}
}

func TestWrongExpectationsFail(t *testing.T) {
	s := suiteOf(t, personaConfig)
	for _, test := range []string{
		"as: visitor, request: GET /people, expect: allow",
		"as: visitor, request: GET /people, expect: 403",
		"as: visitor, request: GET /people, expect: step_up",
		"as: visitor, request: GET /read, expect: sign_in",
		"as: visitor, request: GET /job, expect: sign_in",
		"as: visitor, request: POST /post, expect: sign_in",
		"as: { client: job }, request: GET /desk, expect: sign_in",
		"as: visitor, request: { url: /people, websocket: true }, expect: sign_in",
		"as: { claims: { id: 9007199254740992 } }, request: GET /large, expect: allow",
		"as: visitor, request: GET /open, expect: deny",
		"as: visitor, request: GET /open, expect: ours",
		"as: visitor, request: GET /open, expect: { route: people }",
		"as: visitor, request: GET /shut, expect: { decision: deny, reason: no_route }",
		"as: signed-in, request: GET /staff, expect: sign_in",
		"as: visitor, request: GET /open, expect: { headers: { X-Forwarded-User: dana } }",
		"as: visitor, request: GET /people, expect: { headers: { X-Forwarded-User: '' } }",
		"as: { user: dana }, request: GET /dana, expect: { headers: { X-Forwarded-User: bob } }",
		"as: { user: dana }, request: GET /dana, expect: { headers: { X-Forwarded-User: '' } }",
		"as: [{ user: dana }, signed-in], request: GET /dana, expect: allow",
		"as: visitor, request: [GET /open, GET /shut], expect: allow",
	} {
		if passes(t, s, test) {
			t.Errorf("%s passes", test)
		}
	}
	for _, test := range []string{
		"as: { user: dana, groups: [a, b] }, request: GET /dana, expect: { headers: { x-forwarded-user: dana, X-Forwarded-Groups: 'a,b', X-Forwarded-Email: '' } }",
		"as: visitor, request: GET /open, expect: { headers: { X-Forwarded-User: '' } }",
	} {
		if !passes(t, s, test) {
			t.Errorf("%s fails", test)
		}
	}
}

func TestFailureSaysWhatHappenedAndOnWhat(t *testing.T) {
	report := runTests(t, suiteOf(t, personaConfig), `tests:
  - { name: anybody may, as: { groups: [guests] }, request: GET /staff, expect: allow }
  - { name: nobody may, as: { groups: [staff] }, request: GET /staff, expect: deny }
`)
	var text strings.Builder
	report.Write(&text)
	for _, want := range []string{
		"FAIL  anybody may  (line 2)", "GET /staff   as groups: [guests]",
		"expected allow, got deny 403 for group_missing", "route staff (gatehouse.yaml:9), rule gatehouse.yaml:9",
		"miss    groups: [staff]   has: guests   gatehouse.yaml:9",
		"expected deny, got allow", "hit     groups: [staff]   has: staff", "2 tests, 0 passed, 2 failed; routes 1/16",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, &text)
		}
	}
}

func TestNamedPersonasAndRunByName(t *testing.T) {
	f, err := read(t, `personas: { dana: { user: dana }, bob: { user: bob } }
tests:
  - { name: dana may, as: dana, request: GET /dana, expect: allow }
  - { name: bob may, as: bob, request: GET /dana, expect: allow }
`)
	if err != nil {
		t.Fatal(err)
	}
	s := suiteOf(t, personaConfig)
	report, err := s.Run(t.Context(), []*whatif.TestFile{f}, regexp.MustCompile("^dana"))
	if err != nil || report.Tests != 1 || report.Passed != 1 {
		t.Errorf("--run ^dana = %+v, %v, want dana's test alone, passed", report, err)
	}
	if report, err = s.Run(t.Context(), []*whatif.TestFile{f}, nil); err != nil || report.Failed != 1 {
		t.Errorf("all = %+v, %v, want bob's test to fail", report, err)
	}
}

func TestMistakesInTestsHavePositions(t *testing.T) {
	_, err := read(t, `personas: { alice: { grups: [x] }, visitor: {}, bob: staff }
tests:
  - { as: alise, request: GET, expect: alow }
  - { name: a, as: { credential: cookie, unknown: [group, scopes], scopes: [a] }, request: GET /, expect: {} }
  - { name: b, as: { scopes: [a], listed: true }, request: { url: x }, expect: { decision: maybe } }
  - { name: c, as: { signed_in: -1h }, request: { url: /, time: noon, body: 1, body_state: absent }, expect: 200 }
  - { name: d, as: [[visitor]], request: { url: /, body_state: half }, expct: 403 }
  - { name: e }
`)
	var list *conf.Problems
	if !errors.As(err, &list) {
		t.Fatalf("ReadTests = %v, want problems", err)
	}
	var all strings.Builder
	for _, p := range list.Errors() {
		all.WriteString(strings.TrimPrefix(p.Pos.String(), filepath.Dir(p.Pos.File)) + " " + p.Message + "\n")
	}
	for _, want := range []string{
		`:1 unknown key "grups"`, `"visitor" has a word's name`, `persona "bob" is a single value`, `called "alise" — did you mean "alice"?`,
		`the request is "GET"`, `expect is "alow"`, `:3 a test needs name`, `credential is "cookie"`, `unknown lists "group"`,
		"scopes is both told and unknown", "expect is empty", "listed is about access tokens", `"x" is neither a path`, `decision is "maybe"`,
		"signed_in", `time is "noon"`, "body_state is absent", `expect is "200"`, "a persona is a list", `body_state is "half"`,
		`unknown key "expct"`, ":8 a test needs as", "a test needs request", ":8 a test needs expect",
	} {
		if !strings.Contains(all.String(), want) {
			t.Errorf("nothing says %q in\n%s", want, &all)
		}
	}
	if strings.Contains(all.String(), ":7 a test needs expect") {
		t.Errorf("a misspelt key is told twice:\n%s", &all)
	}
}
