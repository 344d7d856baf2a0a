package whatif_test

import (
	"encoding/csv"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/proxy/whatif"
)

const head = `public_url: [https://app.example.com, https://www.example.com]
trusted_proxies: [127.0.0.1]
upstreams: { app: http://127.0.0.1:9 }
bearer: { issuers: [{ issuer: https://tokens.example.org, audiences: [app] }] }
`

func matrixOf(t *testing.T, s *whatif.Suite, personas string) *whatif.Matrix {
	t.Helper()
	f, err := read(t, "personas: {"+personas+"}\n")
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.Matrix(t.Context(), f.Personas)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// cell returns the cell of the row with label and of the column with name.
func cell(t *testing.T, m *whatif.Matrix, label, name string) string {
	t.Helper()
	for _, r := range m.Rows {
		for i, c := range m.Columns {
			if r.Label() == label && c.Name == name {
				return r.Cells[i]
			}
		}
	}
	var text strings.Builder
	_ = m.Write(&text)
	t.Fatalf("there is no row %s with a column %s:\n%s", label, name, &text)
	return ""
}

func TestMatrixTellsWhatDepends(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x.rego"), []byte("package x\n\nallow if input.request.path == \"/opa\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := suiteOf(t, head+"policy: { custom: ["+filepath.Join(dir, "x.rego")+`] }
routes:
  - { name: ip, match: { path: /ip }, allow: { ip: 10.0.0.0/8 } }
  - { name: not-ip, match: { path: /not-ip }, allow: { groups: [staff], not: { ip: 10.0.0.0/8 } } }
  - { name: either, match: { path: /either }, allow: { any_of: [{ groups: [staff] }, { ip: 10.0.0.0/8 }] } }
  - { name: claims, match: { path: /claims }, allow: { claims: { level: 3 } } }
  - { name: mail, match: { path: /mail }, allow: { email_domains: [example.com] } }
  - { name: opa, match: { path: /opa }, allow: { opa: { rule: data.x.allow }, groups: [staff] } }
  - { name: both, match: { path: /both }, allow: { claims: { level: 3 }, ip: 10.0.0.0/8 } }
  - { name: client, match: { path: /client }, allow: { clients: [job] } }
  - { name: user, match: { path: /user }, allow: { users: [dana] } }
`)
	m := matrixOf(t, s, "boss: { claims: { level: 3 } }, intern: { claims: { level: 1 } }, mia: { email: mia@example.com }")
	for _, c := range []struct{ row, column, want string }{
		{"/ip", "visitor", "sign in"},
		{"/ip", "signed in", "ip?"},
		{"/ip", "client:job", "403"},
		{"/not-ip", "staff", "ip?"},
		{"/not-ip", "signed in", "403"},
		{"/either", "staff", "allow"},
		{"/either", "signed in", "ip?"},
		{"/either", "client:job", "403"},
		{"/claims", "signed in", "claims?"},
		{"/claims", "boss", "allow"},
		{"/claims", "intern", "403"},
		{"/claims", "client:job", "claims?"},
		{"/mail", "signed in", "email?"},
		{"/mail", "mia", "allow"},
		{"/mail", "client:job", "403"},
		{"/opa", "staff", "opa?"},
		{"/opa", "signed in", "403"},
		{"/both", "signed in", "claims? ip?"},
		{"/both", "boss", "ip?"},
		{"/both", "intern", "403"},
		{"/client", "client:job", "allow"},
		{"/client", "signed in", "403"},
		{"/user", "user:dana", "allow"},
		{"/user", "staff", "403"},
		{"anything else", "visitor", "404"},
		{"anything else", "staff", "404"},
	} {
		if got := cell(t, m, c.row, c.column); got != c.want {
			t.Errorf("%s as %s = %q, want %q", c.row, c.column, got, c.want)
		}
	}
}

func TestMatrixColumnsStandInTheOrderOfTheFile(t *testing.T) {
	s := suiteOf(t, head+`routes:
  - { name: a, match: { path: /a }, allow: { any_of: [{ groups: [z, b] }, { not: { groups: [y, z] }, scopes: [s2, s1] }] } }
  - { name: b, match: { path: /b }, allow: { all_of: [{ users: [u] }, { clients: [c] }] } }
`)
	var names []string
	for _, c := range matrixOf(t, s, "zoe: {}, ann: {}").Columns {
		names = append(names, c.Name)
	}
	want := "visitor, signed in, z, b, y, user:u, token:s2, token:s1, client:c, zoe, ann"
	if got := strings.Join(names, ", "); got != want {
		t.Errorf("columns are %s, want %s", got, want)
	}
}

func TestMatrixRowsAreRequestsThatRoutesTellApart(t *testing.T) {
	s := suiteOf(t, head+`routes:
  - { name: star, match: { path: [/x, /img/*.png, /a/*/b] }, allow: anyone }
  - { name: get, match: { path: /api/**, methods: [GET, POST] }, allow: signed-in }
  - { name: live, match: { path: /ws, websocket: true }, allow: signed-in }
  - { name: www, match: { host: www.example.com, path: "/a b" }, allow: signed-in }
  - { name: dead, match: { path: /api/v1/**, methods: [POST] }, allow: nobody }
  - { name: odd, match: { path: /*/** }, allow: nobody }
`)
	var got []string
	for _, r := range matrixOf(t, s, "").Rows {
		got = append(got, r.Route+": "+r.Label()+" by "+r.Sample+" = "+r.Cells[0])
	}
	want := []string{
		"star: /x by GET /x = allow", "star: /img/*.png by GET /img/x.png = allow", "star: /a/*/b by GET /a/x/b = allow",
		"get: GET,POST /api/** by GET /api/x = sign in", "live: WS /ws by GET /ws = 401",
		"www: www.example.com/a b by GET /a%20b = sign in", "dead: POST /api/v1/** by  = -",
		"odd: /*/** by GET /x/x = 403", ": anything else by GET / = 404",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("rows are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestMatrixPageIsAccessibleAndEscaped(t *testing.T) {
	s := suiteOf(t, head+`routes:
  - { name: a, match: { path: /a }, allow: { groups: ["</td><script>alert(1)</script>", "a,b"] } }
`)
	m := matrixOf(t, s, "")
	var html strings.Builder
	if err := m.WriteHTML(&html); err != nil {
		t.Fatal(err)
	}
	page := html.String()
	for _, want := range []string{
		"<!DOCTYPE html>", `<html lang="en">`, `<caption id="what">`, `scope="col"`, `scope="row"`, "prefers-color-scheme", "&lt;script&gt;", `class="no"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	for _, bad := range []string{"<script", "http://", "https://", "url("} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q in it, which is script or needs something else", bad)
		}
	}
	wellFormed(t, page)
	var text strings.Builder
	if err := m.WriteCSV(&text); err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(strings.NewReader(text.String())).ReadAll()
	if err != nil || len(lines) != 3 || len(lines[0]) != 9 || lines[0][8] != "a,b" || lines[1][0] != "a" {
		t.Errorf("CSV = %q, %v", lines, err)
	}
}

// wellFormed checks that every tag is closed, but for those of HTML that are not.
func wellFormed(t *testing.T, page string) {
	t.Helper()
	dec := xml.NewDecoder(strings.NewReader(page))
	dec.Entity = xml.HTMLEntity
	for {
		if _, err := dec.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatalf("the page: %v", err)
		}
	}
}
