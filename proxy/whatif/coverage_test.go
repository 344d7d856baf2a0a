package whatif_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/proxy/whatif"
)

const coverConfig = `public_url: https://app.example.com
trusted_proxies: [127.0.0.1]
upstreams: { app: http://127.0.0.1:9 }
bearer: { issuers: [{ issuer: https://tokens.example.org, audiences: [app] }] }
routes:
  - { name: open, match: { path: /open }, allow: anyone }
  - { name: shut, match: { path: /shut }, allow: nobody }
  - name: staff
    match: { path: /staff }
    allow:
      any_of:
        - { groups: [staff] }
        - { scopes: [read] }
  - { name: inside, match: { path: /inside }, allow: { ip: 10.0.0.0/8 } }
`

func TestCoverageCountsWhatWasSeenBothWays(t *testing.T) {
	s := suiteOf(t, coverConfig)
	const (
		none = "route open (gatehouse.yaml:6): never reached; route shut (gatehouse.yaml:7): never reached; " +
			"route staff (gatehouse.yaml:8): never allowed, never refused; " +
			"condition groups: [staff] of route staff (gatehouse.yaml:12): never met, never not met; " +
			"condition scopes: [read] of route staff (gatehouse.yaml:13): never met, never not met; " +
			"route inside (gatehouse.yaml:14): never allowed, never refused; " +
			"condition ip: [10.0.0.0/8] of route inside (gatehouse.yaml:14): never met, never not met"
	)
	for _, c := range []struct {
		what, tests string
		percent     int
		gaps        string
	}{
		{"nothing", "", 0, none},
		{"a request that no route takes", "as: visitor, request: GET /, expect: 404", 0, none},
		{"a request that is not canonical", "as: visitor, request: GET /staff%2f, expect: 400", 0, none},
		{"what is open and what is shut", "as: visitor, request: [GET /open, GET /shut], expect: { decision: deny }", 28, "route staff"},
		{
			"visitors look at no condition", "as: visitor, request: [GET /staff, GET /inside], expect: sign_in", 0,
			"condition groups: [staff] of route staff (gatehouse.yaml:12): never met, never not met",
		},
		{
			"one side of an any_of", "as: [{ groups: staff }, { scopes: x }], request: GET /staff, expect: allow", 28,
			"condition scopes: [read] of route staff (gatehouse.yaml:13): never met;",
		},
		{
			"both sides of an any_of", "as: [{ groups: staff }, { scopes: read }], request: GET /staff, expect: allow", 28,
			"route staff (gatehouse.yaml:8): never refused;",
		},
		{"an address inside and one outside", "as: signed-in, request: [GET /inside, { url: /inside, ip: 10.0.0.1 }], expect: allow", 28, "route open"},
	} {
		text := "tests: []\n"
		if c.tests != "" {
			text = "tests:\n  - { name: it, " + c.tests + " }\n"
		}
		got := runTests(t, s, text).Coverage
		var gaps []string
		for _, g := range got.Gaps {
			gaps = append(gaps, g.Text())
		}
		if joined := strings.Join(gaps, "; "); got.Percent != c.percent || !strings.Contains(joined, c.gaps) {
			t.Errorf("%s: %d %% without\n%s\nwant %d %% without\n%s", c.what, got.Percent, joined, c.percent, c.gaps)
		}
	}
}

func TestJUnitIsWhatBuildServersRead(t *testing.T) {
	report := runTests(t, suiteOf(t, coverConfig), `tests:
  - { name: "open & <shut>", as: visitor, request: [GET /open, GET /shut], expect: allow }
  - { name: open, as: visitor, request: GET /open, expect: allow }
`)
	var out bytes.Buffer
	if err := report.WriteJUnit(&out); err != nil {
		t.Fatal(err)
	}
	var got struct {
		XMLName  xml.Name `xml:"testsuites"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Time     float64  `xml:"time,attr"`
		Suites   []struct {
			Name     string  `xml:"name,attr"`
			Tests    int     `xml:"tests,attr"`
			Failures int     `xml:"failures,attr"`
			Errors   int     `xml:"errors,attr"`
			Time     float64 `xml:"time,attr"`
			Cases    []struct {
				Name     string  `xml:"name,attr"`
				Class    string  `xml:"classname,attr"`
				File     string  `xml:"file,attr"`
				Line     int     `xml:"line,attr"`
				Time     float64 `xml:"time,attr"`
				Failures []struct {
					Message string `xml:"message,attr"`
					Type    string `xml:"type,attr"`
					Text    string `xml:",chardata"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	dec := xml.NewDecoder(&out)
	dec.Strict = true
	if err := dec.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Tests != 2 || got.Failures != 1 || len(got.Suites) != 1 || got.Time <= 0 {
		t.Fatalf("testsuites = %+v, want 2 tests, 1 failure, 1 suite, and time", got)
	}
	suite := got.Suites[0]
	if suite.Name != "tests.yaml" || suite.Tests != 2 || suite.Failures != 1 || suite.Time <= 0 || len(suite.Cases) != 2 {
		t.Fatalf("testsuite = %+v", suite)
	}
	bad, good := suite.Cases[0], suite.Cases[1]
	if bad.Name != "open & <shut>" || bad.File != "tests.yaml" || bad.Line != 2 || bad.Class == "" || len(bad.Failures) != 1 {
		t.Fatalf("first testcase = %+v", bad)
	}
	if f := bad.Failures[0]; f.Type == "" || f.Message != "GET /shut: expected allow, got deny 403 for nobody" || !strings.Contains(f.Text, "gatehouse.yaml:7") {
		t.Errorf("failure = %+v", f)
	}
	if len(good.Failures) != 0 || good.Line != 3 {
		t.Errorf("second testcase = %+v, want no failure, line 3", good)
	}
}

func TestTestsAreFoundBelowAFolder(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"b.yaml": "tests: []\n", "a.yml": "tests: []\n", "deep/c.test.yaml": "tests: []\n", "data.yaml": "tests: [1]\n",
		"people.yaml": "personas: {}\n", "list.yaml": "- tests\n", "tests.json": "{\"tests\": []}", ".git/d.yaml": "tests: []\n", "..data/e.yaml": "tests: []\n",
		"empty/f.rego": "package f\n", "empty.yaml": "",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	got, err := whatif.FindTests([]string{dir, in("b.yaml"), in("people.yaml")}, []string{in("data.yaml")})
	want := []string{in("a.yml"), in("b.yaml"), in("deep/c.test.yaml"), in("people.yaml")}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("FindTests = %q, %v, want %q", got, err, want)
	}
	for _, path := range []string{in("empty"), in("none")} {
		if got, err := whatif.FindTests([]string{path}, nil); !errors.Is(err, whatif.ErrNoTests) {
			t.Errorf("FindTests(%s) = %q, %v, want ErrNoTests", path, got, err)
		}
	}
	if err := os.WriteFile(in("broken.yaml"), []byte("tests: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := whatif.FindTests([]string{dir}, nil); err == nil {
		t.Errorf("FindTests beside a broken file = %q, want an error: it may hold tests", got)
	}
}
