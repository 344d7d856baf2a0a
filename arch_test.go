package gatehouse_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// This file holds the shape of the house as code: who may import whom, and
// why. It reads the sources, so it also judges files of other platforms. Tests
// (_test.go) are exempt from the import rules.

const module = "gatehouse/"

// edge says which packages of ours a package may import, besides internal/...,
// which is open to all. "x/..." is x and all below it; several stand apart by
// spaces.
type edge struct {
	pkg string
	may string
	why string
}

// The first line that names a package holds for it.
var edges = []edge{
	{"cmd/gatehouse/demo", "", "the demo application is an upstream like any other, and knows nothing of the gateway"},
	{"cmd/gatehouse/...", "cmd/gatehouse/... proxy/... session/... policy/... idp/...", "the only place that knows both halves"},
	{"bench", "idp/store/storetest/pgserver", "load from outside: it measures the program, not its packages; the server starts a database"},
	{"bench/decide", "policy session", "one decision by itself, beside OPA's own server"},

	{"proxy", "proxy/... policy session", "request → verdict: the chain is proxy → policy → session"},
	{"proxy/canon", "", "bytes → canonical request; knows no rule"},
	{"proxy/route", "proxy/canon", "the request chooses the route, never the identity"},
	{"proxy/identity", "session", "tells an upstream who asked"},
	{"proxy/principal", "proxy/identity session policy", "remembers verified credentials and what follows from them, verifies none"},
	{"proxy/body", "policy", "reads what rules may judge, and gives it back as it came; knows no rule"},
	{"proxy/upstream", "proxy/upstream/h1", "carries bytes; what may pass was decided before"},
	{"proxy/upstream/h1", "", "one exchange over one connection; knows no upstream by name"},
	{"proxy/whatif", "proxy/... policy/... session", "asks the gate without a request, about a log of decisions too"},
	{"proxy/extauthz", "proxy/... policy session", "answers the same verdict over gRPC"},

	{"session", "", "who is asking: the root of the chain"},
	{"session/bearer", "session", "a pure verifier of standard tokens; our provider is an issuer like any other"},
	{"session/login", "session", "a relying party; our provider is an issuer like any other"},
	{"session/redisstore", "session", "keeps sessions elsewhere"},
	{"session/sessiontest", "session", "the suite every store must pass"},

	{"policy", "session", "rules over an Identity, decided without I/O"},
	{"policy/...", "policy session", "the edges of policy: where modules come from, where decisions go"},

	{"idp", "idp/...", "assembles the issuer; the gateway must be able to do without it"},
	{"idp/password", "idp/password/breach idp/password/strength", "hashes and strength; knows no user"},
	{"idp/password/strength", "", "how soon a text is guessed; knows no hash and no user"},
	{"idp/password/breach", "", "lists of stolen passwords, in a file or at a service; knows no user and no hash of ours"},
	{"idp/keys", "", "signing keys; knows no token"},
	{"idp/mfa", "", "second factors of whoever it is told"},
	{"idp/risk", "", "bounds on guessing; knows neither passwords nor users"},
	{"idp/sso", "", "cookie ↔ row of the provider's own session"},
	{"idp/hook", "", "calls out; decides nothing"},
	{"idp/notify", "", "sends what others wrote"},
	{"idp/pool", "idp/password/...", "people and groups"},
	{"idp/pool/transfer", "idp/pool idp/password idp/mfa", "people in and out by the thousand: what a file says, checked by the pool's own rules"},
	{"idp/client", "idp/password idp/pool", "programs, and the scopes they may have"},
	{"idp/account", "idp/password idp/pool idp/risk", "the ways in and out of an account"},
	{"idp/federation", "idp/pool", "contracts and linking: connectors know it, it knows none of them"},
	{"idp/federation/...", "idp/federation idp/pool", "a connector knows the contract, no other connector"},
	{"idp/signin", "idp/pool idp/account idp/password idp/mfa idp/risk idp/federation", "the challenge machine ends before tokens begin"},
	{"idp/token", "idp/pool idp/client idp/keys", "the only mint; knows no page and no protocol"},
	{"idp/oidc", "idp/token idp/client idp/signin idp/sso idp/pool idp/keys", "protocol; asks oidc.Pages for pages and never sees a password"},
	{"idp/ui", "idp/pool idp/account idp/signin idp/sso idp/mfa", "pages; no tokens, no SQL"},
	{"idp/cognito", "idp/pool idp/account idp/client idp/signin idp/token", "a wire shape without rules of its own"},
	{"idp/admin", "idp/pool idp/account idp/client idp/password idp/mfa idp/signin idp/sso idp/token", "a wire shape without rules of its own"},
	{"idp/identitypool", "", "trusts tokens of any configured issuer, ours is not special"},
	{
		"idp/store/...",
		"idp/store idp/store/storetest/... idp/notify idp/pool/... idp/client idp/account idp/mfa idp/risk idp/keys idp/token idp/sso idp/signin idp/federation idp/oidc",
		"knows the rows of the domain, none of its pages",
	},

	{"internal/...", "", "plumbing: it serves the folders and knows none of them"},
}

// outside says who alone may import a library: technology stays at the edges.
type outside struct {
	lib string // an import path and everything below it
	in  string
	why string
}

var libraries = []outside{
	{"github.com/lestrrat-go/jwx", "internal/jose", "its builders let a claim name inject claims; one place guards against it"},
	{"github.com/go-jose/go-jose", "internal/jose", "one place for signatures"},
	{"github.com/open-policy-agent/opa", "policy/...", "policy is the only one that knows how rules are decided"},
	{"database/sql", "idp/store/...", "no SQL outside the store"},
	{"modernc.org/sqlite", "idp/store/...", "no SQL outside the store"},
	{"github.com/jackc/pgx", "idp/store/...", "no SQL outside the store"},
	{"github.com/pressly/goose", "idp/store/...", "no SQL outside the store"},
	{"github.com/coreos/go-oidc", "session/login idp/federation/...", "relying parties only"},
	{"golang.org/x/oauth2", "session/login idp/federation/...", "relying parties only"},
	{"github.com/gorilla/securecookie", "session/...", "sealed cookies belong to the session"},
	{"github.com/go-webauthn/webauthn", "idp/mfa", "it is before 1.0: one place checks what it takes"},
	{"github.com/boombuler/barcode", "idp/mfa", "one place draws"},
	{"golang.org/x/crypto/argon2", "idp/password bench", "one place bounds what a hash may cost; bench measures one alone"},
	{"github.com/wneessen/go-mail", "idp/notify", "one place writes headers"},
	{"golang.org/x/crypto/bcrypt", "idp/password", "one place bounds what a hash may cost"},
	{"golang.org/x/crypto/scrypt", "idp/password", "one place bounds what a hash may cost"},
	{"crypto/pbkdf2", "idp/password", "one place bounds what a hash may cost"},
	{"github.com/ccojocar/zxcvbn-go", "idp/password/strength", "its lists alone; all else of it unpacks them at every start"},
	{"github.com/FastFilter/xorfilter", "idp/password/breach", "the form of one file"},
	{"gopkg.in/yaml.v3", "internal/conf", "one YAML dialect, strict"},
	{"go.yaml.in", "internal/conf", "one YAML dialect, strict"},
	{"github.com/spf13/cobra", "cmd/gatehouse/...", "the command line stays at the door"},
	{"github.com/fsnotify/fsnotify", "internal/watch", "polling catches what it misses; one place does both"},
	{"github.com/prometheus", "internal/telemetry", "names and labels of metrics have one home"},
	{"go.opentelemetry.io", "policy/declog internal/telemetry", "an edge: where logs and traces go"},
	{"github.com/redis", "session/redisstore internal/testenv", "sessions on a server"},
}

// forbidden says what a package must not import though others may.
var forbidden = []outside{
	{"net/http", "policy", "a rule sees a Query, not a request"},
	{"net/http", "idp/pool idp/client idp/account idp/password idp/mfa idp/signin idp/token idp/keys", "the domain knows no protocol"},
	{module + "internal/jose", "idp/pool idp/client idp/account idp/password idp/signin idp/ui", "tokens are made by idp/token alone"},
	{module + "internal/httpx", "policy session", "they answer questions, not requests"},
}

var vagueNames = []string{"util", "utils", "common", "helper", "helpers", "base", "manager", "service", "types", "misc", "shared", "lib"}

const (
	longestFile     = 500 // lines, tests too; we aim at 400
	longestFunction = 80  // lines, tests not; we aim at 60
)

// source is one parsed file.
type source struct {
	name  string // path from the root
	pkg   string // its folder
	test  bool
	file  *ast.File
	fset  *token.FileSet
	lines int
}

// readSources parses every Go file below fsys, but for other modules.
func readSources(fsys fs.FS) ([]source, error) {
	var list []source
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return enter(fsys, name)
		}
		if path.Ext(name) != ".go" || path.Dir(name) == "." {
			return nil
		}
		s, err := readSource(fsys, name)
		list = append(list, s)
		return err
	})
	return list, err
}

// enter leaves out what is not ours to judge: other modules, folders that Go
// ignores, and a scratch package that only holds versions in go.mod.
func enter(fsys fs.FS, dir string) error {
	base := path.Base(dir)
	if dir == "." {
		return nil
	}
	_, err := fs.Stat(fsys, path.Join(dir, "go.mod"))
	if err == nil || strings.HasPrefix(base, ".") || base == "testdata" || dir == "internal/warm" {
		return fs.SkipDir
	}
	return nil
}

func readSource(fsys fs.FS, name string) (source, error) {
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return source{}, err
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return source{
		name: name, pkg: path.Dir(name), test: strings.HasSuffix(name, "_test.go"),
		file: file, fset: fset, lines: strings.Count(string(text), "\n"),
	}, err
}

func (s source) imports() []string {
	var list []string
	for _, i := range s.file.Imports {
		list = append(list, strings.Trim(i.Path.Value, `"`))
	}
	return list
}

// under reports whether pkg is one of patterns, "x/..." meaning x and all below.
func under(pkg, patterns string) bool {
	return slices.ContainsFunc(strings.Fields(patterns), func(p string) bool {
		tree, deep := strings.CutSuffix(p, "/...")
		return pkg == tree || deep && strings.HasPrefix(pkg, tree+"/")
	})
}

// importFaults judges the imports of all sources that are not tests.
func importFaults(list []source) []string {
	var faults []string
	for _, s := range list {
		if s.test {
			continue
		}
		i := slices.IndexFunc(edges, func(e edge) bool { return under(s.pkg, e.pkg) })
		if i < 0 {
			faults = append(faults, fmt.Sprintf("%s: package %s is not in the table of arch_test.go; add it with a reason", s.name, s.pkg))
			continue
		}
		for _, imported := range s.imports() {
			faults = append(faults, judge(s, edges[i], imported)...)
		}
	}
	return faults
}

func judge(s source, e edge, imported string) (faults []string) {
	ours, isOurs := strings.CutPrefix(imported, module)
	if isOurs && !under(ours, "internal/...") && !under(ours, e.may) {
		faults = append(faults, fmt.Sprintf("%s imports %s; %s may not: %s", s.name, imported, e.pkg, e.why))
	}
	for _, l := range libraries {
		if under(imported, l.lib+"/...") && !under(s.pkg, l.in) {
			faults = append(faults, fmt.Sprintf("%s imports %s; only %s may: %s", s.name, imported, l.in, l.why))
		}
	}
	for _, l := range forbidden {
		if imported == l.lib && under(s.pkg, l.in) {
			faults = append(faults, fmt.Sprintf("%s imports %s: %s", s.name, imported, l.why))
		}
	}
	return faults
}

// shapeFaults judges names, lengths and package comments.
func shapeFaults(list []source) []string {
	var faults []string
	documented := map[string]bool{}
	for _, s := range list {
		if slices.Contains(vagueNames, path.Base(s.pkg)) || slices.Contains(vagueNames, s.file.Name.Name) {
			faults = append(faults, fmt.Sprintf("%s: a package named %q says nothing; name what it holds", s.name, path.Base(s.pkg)))
		}
		if s.lines >= longestFile {
			faults = append(faults, fmt.Sprintf("%s has %d lines; fewer than %d, please", s.name, s.lines, longestFile))
		}
		if s.test {
			continue
		}
		faults = append(faults, longFunctions(s)...)
		// A command may say in main.go what it is.
		isHome := path.Base(s.name) == "doc.go" || s.file.Name.Name == "main" && path.Base(s.name) == "main.go"
		documented[s.pkg] = documented[s.pkg] || isHome && strings.TrimSpace(s.file.Doc.Text()) != ""
	}
	for pkg, ok := range documented {
		if !ok {
			faults = append(faults, fmt.Sprintf("%s has no doc.go with a package comment: what it answers, owns, and must not know", pkg))
		}
	}
	slices.Sort(faults)
	return faults
}

func longFunctions(s source) (faults []string) {
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		lines := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
		if lines > longestFunction {
			faults = append(faults, fmt.Sprintf("%s: %s has %d lines; %d at most", s.name, f.Name.Name, lines, longestFunction))
		}
	}
	return faults
}

func sources(t *testing.T) []source {
	t.Helper()
	list, err := readSources(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestImportsFollowTheTable(t *testing.T) {
	for _, fault := range importFaults(sources(t)) {
		t.Error(fault)
	}
}

func TestSourcesKeepTheirShape(t *testing.T) {
	for _, fault := range shapeFaults(sources(t)) {
		t.Error(fault)
	}
}

func TestEveryLineOfTheTableHasAReason(t *testing.T) {
	for i, e := range edges {
		if e.why == "" {
			t.Errorf("%s: no reason", e.pkg)
		}
		for _, earlier := range edges[:i] {
			if under(e.pkg, earlier.pkg) {
				t.Errorf("%s can never apply: %s comes first", e.pkg, earlier.pkg)
			}
		}
	}
	for _, l := range slices.Concat(libraries, forbidden) {
		if l.why == "" {
			t.Errorf("%s in %s: no reason", l.lib, l.in)
		}
	}
}

// The checker itself must be able to fail.
func TestViolationsAreCaught(t *testing.T) {
	imports := func(pkg string, paths ...string) string {
		return "package " + pkg + "\n\nimport (\n\t\"" + strings.Join(paths, "\"\n\t\"") + "\"\n)\n"
	}
	for _, c := range []struct{ file, text, want string }{
		{"session/a.go", imports("session", "gatehouse/policy"), "session/a.go imports gatehouse/policy; session may not"},
		{"idp/pool/a.go", imports("pool", "gatehouse/session"), "idp/pool may not"},
		{"idp/oidc/a.go", imports("oidc", "gatehouse/idp/ui"), "idp/oidc may not"},
		{"policy/bundle/a.go", imports("bundle", "gatehouse/proxy"), "policy/... may not"},
		{"internal/conf/a.go", imports("conf", "gatehouse/session"), "internal/... may not"},
		{"proxy/a.go", imports("proxy", "github.com/lestrrat-go/jwx/v2/jws"), "only internal/jose may"},
		{"session/a.go", imports("session", "github.com/open-policy-agent/opa/v1/rego"), "only policy/... may"},
		{"idp/pool/a.go", imports("pool", "database/sql"), "only idp/store/... may"},
		{"policy/a.go", imports("policy", "net/http"), "a rule sees a Query"},
		{"novel/a.go", imports("novel", "fmt"), "not in the table"},
		{"internal/util/a.go", "package util\n", "says nothing"},
		{"session/a.go", "package session\n", "session has no doc.go"},
		{"session/a.go", "package session\n\nfunc f() {\n" + strings.Repeat("\tg()\n", 80) + "}\n", "f has 82 lines"},
		{"session/a_test.go", "package session\n" + strings.Repeat("\n", 500), "501 lines"},
	} {
		list, err := readSources(fstest.MapFS{c.file: {Data: []byte(c.text)}})
		if err != nil {
			t.Fatal(err)
		}
		faults := strings.Join(append(importFaults(list), shapeFaults(list)...), "\n")
		if !strings.Contains(faults, c.want) {
			t.Errorf("%s with\n%s\ngave %q, want %q", c.file, c.text, faults, c.want)
		}
	}
}

func TestWhatIsAllowedPasses(t *testing.T) {
	list, err := readSources(fstest.MapFS{
		"session/doc.go":      {Data: []byte("// Package session is.\npackage session\n\nimport _ \"gatehouse/internal/conf\"\n")},
		"policy/doc.go":       {Data: []byte("// Package policy is.\npackage policy\n\nimport _ \"gatehouse/session\"\n")},
		"policy/a_test.go":    {Data: []byte("package policy_test\n\nimport _ \"gatehouse/idp\"\n")},
		"e2e/go.mod":          {Data: []byte("module gatehouse/e2e\n")},
		"e2e/a.go":            {Data: []byte("package e2e\n\nimport _ \"gatehouse/idp\"\n")},
		"proxy/testdata/a.go": {Data: []byte("not Go at all")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if faults := append(importFaults(list), shapeFaults(list)...); len(faults) > 0 {
		t.Errorf("faults: %q", faults)
	}
}
