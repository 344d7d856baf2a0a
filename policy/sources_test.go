package policy

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/conf"
)

// brought compiles askOperator's one route beside files, given as name and
// text, with policy and bundles.
func brought(t testing.TB, policy string, files []string, bundles ...Bundle) (*Policy, error) {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		file := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, file, files[i+1])
	}
	f := read(t, dir, "routes: [{name: it, allow: {opa: {rule: data.orders.allow}}}]\npolicy: "+policy+"\n")
	p, err := Compile(context.Background(), f.Policy, f.rules(), bundles...)
	if err == nil {
		p.timeout = time.Minute
	}
	return p, err
}

const allowStaff = "package orders\n\nallow if input.user.username in data.tenants.acme.staff\n"

func TestDataOfFiles(t *testing.T) {
	for name, text := range map[string]string{
		"t.json": `{"acme": {"staff": ["bob", "8.5"]}}`,
		"t.yaml": "acme:\n  staff: [bob]\n",
		"t.yml":  "acme: {staff: [bob]}",
	} {
		p, err := brought(t, "{custom: [rego], data: {tenants: data/"+name+"}}",
			[]string{"rego/orders.rego", allowStaff, "data/" + name, text})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		allows(t, p, person(), OPAAllow)
		denies(t, p, machine(), OPADeny)
		var last []string
		for _, f := range p.Files() {
			last = append(last, filepath.Base(f))
		}
		if want := []string{name, "rego", "orders.rego"}; !slices.Equal(last, want) {
			t.Errorf("Files = %v, want %v", p.Files(), want)
		}
	}
}

func TestDataThatCannotBeRead(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"twice in JSON":    {"t.json", "{\"a\": 1,\n\"a\": 2}", "t.json:2: the name a is written twice"},
		"twice by escape":  {"t.json", `{"a": {"b": 1, "\u0062": 2}}`, "written twice"},
		"two values":       {"t.json", "{}\n{}", "t.json:2: this is not one JSON value"},
		"half":             {"t.json", `{"a": `, "not one JSON value"},
		"empty":            {"t.json", "", "not one JSON value"},
		"no UTF-8":         {"t.json", "\"\xff\"", "not UTF-8"},
		"byte order mark":  {"t.json", "\ufeff{}", "not one JSON value"},
		"too deep":         {"t.json", strings.Repeat("[", 200) + strings.Repeat("]", 200), "nested more than 100"},
		"twice in YAML":    {"t.yaml", "a: 1\na: 2\n", "t.yaml:2:1: key \"a\" is written twice"},
		"two documents":    {"t.yaml", "a: 1\n---\nb: 1\n", "second YAML document"},
		"no YAML":          {"t.yaml", "a: [", "not YAML"},
		"too large":        {"t.json", "\"" + strings.Repeat("x", maxData) + "\"", "more than 16777216 bytes"},
		"not there":        {"u.json", "{}", "no such file"},
		"shows no secrets": {"t.json", `{"password": "hunter2"`, "not one JSON value"},
	} {
		_, err := brought(t, "{data: {t: t"+filepath.Ext(c.file)+"}}", []string{c.file, c.text})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: Compile = %v, want an error with %q", name, err, c.want)
		}
		var at *Error
		if !errors.As(err, &at) || at.Pos.Line != 2 {
			t.Errorf("%s: Compile = %v, want an *Error at line 2", name, err)
		}
	}
	dir := t.TempDir()
	if err := syscall.Mkfifo(dir+"/pipe.json", 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"pipe.json", "folder.json"} {
		_ = os.Mkdir(dir+"/folder.json", 0o700)
		_, err := Compile(context.Background(), Config{Data: map[string]string{"t": dir + "/" + file}}, nil)
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: Compile = %v, want an error", file, err)
		}
	}
	if err := os.Symlink(dir+"/pipe.json", dir+"/pipe.rego"); err != nil {
		t.Fatal(err)
	}
	if _, err := Compile(context.Background(), Config{Custom: []Custom{{Path: dir + "/pipe.rego"}}}, nil); err == nil {
		t.Error("a module is read from a pipe")
	}
}

func ordersBundle() Bundle {
	return Bundle{
		Name: "b.tar.gz", Revision: "r1", Modules: map[string]string{"/orders.rego": allowStaff},
		Data: map[string]any{"tenants": map[string]any{"acme": map[string]any{"staff": []any{"bob", json.Number("1")}}}},
	}
}

const oneBundle = "{custom: [{bundle: b.tar.gz}]}"

func TestRulesOfABundle(t *testing.T) {
	p, err := brought(t, oneBundle, nil, ordersBundle())
	if err != nil {
		t.Fatal(err)
	}
	allows(t, p, person(), OPAAllow)
	denies(t, p, machine(), OPADeny)
	if files := p.Files(); len(files) != 1 || filepath.Base(files[0]) != "b.tar.gz" || p.Missing() != nil {
		t.Errorf("Files = %v, Missing = %v", files, p.Missing())
	}
}

func TestMissingBundleDenies(t *testing.T) {
	p, err := brought(t, oneBundle, nil)
	if err != nil {
		t.Fatalf("Compile without the bundle: %v", err)
	}
	denies(t, p, person(), OPADeny)
	if got := p.Missing(); !slices.Equal(got, []string{"b.tar.gz"}) {
		t.Errorf("Missing = %v", got)
	}
	// With all bundles at hand a rule that is nowhere is a mistake.
	b := ordersBundle()
	b.Modules = nil
	if _, err := brought(t, oneBundle, nil, b); err == nil || !strings.Contains(err.Error(), "no module of policy.custom defines") {
		t.Errorf("Compile = %v, want an error", err)
	}
}

func TestBundlesThatNobodyConfiguredAreRefused(t *testing.T) {
	b := ordersBundle()
	for _, bundles := range [][]Bundle{{b, b}, {b, {Name: "other.tar.gz"}}, {b, {}}} {
		if _, err := brought(t, oneBundle, nil, bundles...); err == nil || !strings.Contains(err.Error(), "not named in policy.custom") {
			t.Errorf("Compile = %v, want an error", err)
		}
	}
}

func TestSourcesMustNotOverlap(t *testing.T) {
	type objects = map[string]any
	rego := []string{"rego/orders.rego", "package orders\n\nallow := true\n"}
	both := "{custom: [rego, {bundle: b.tar.gz}]}"
	for name, c := range map[string]struct {
		policy string
		files  []string
		bundle Bundle
		want   []string
	}{
		"a package twice":          {both, rego, Bundle{Modules: map[string]string{"/x.rego": "package orders\n\nother := true\n"}}, []string{"package orders", "policy.custom", "b.tar.gz"}},
		"a package below":          {both, rego, Bundle{Modules: map[string]string{"/x.rego": "package orders.allow\n\nx := true\n"}}, []string{"package orders.allow", "package orders of"}},
		"data over a package":      {both, rego, Bundle{Data: objects{"orders": objects{"x": true}}}, []string{"data.orders", "package orders"}},
		"a root over a package":    {both, rego, Bundle{Roots: []string{"orders"}}, []string{"root orders", "package orders"}},
		"content beyond the roots": {both, rego, Bundle{Roots: []string{"acme"}, Data: objects{"orders": true}}, []string{"data.orders"}},
		"an empty root":            {both, rego, Bundle{Roots: []string{"acme", ""}, Data: objects{"orders": objects{}}}, []string{"data.orders"}},
		"data over a package of files": {
			"{custom: [rego], data: {orders: t.json}}", append([]string{"t.json", "{}"}, rego...),
			Bundle{},
			[]string{"data.orders of policy.data.orders", "package orders of policy.custom"},
		},
		"data of both": {
			"{custom: [rego, {bundle: b.tar.gz}], data: {acme: t.json}}", append([]string{"t.json", "{}"}, rego...),
			Bundle{Data: objects{"acme": objects{"x": 1}}},
			[]string{"data.acme of the bundle", "policy.data.acme"},
		},
		"data where its own rule is": {
			oneBundle, nil,
			Bundle{Modules: map[string]string{"/x.rego": "package orders\n\nallow := true\n"}, Data: objects{"orders": objects{"allow": true}}},
			[]string{"conflicting rule for data path orders/allow"},
		},
	} {
		bundles := []Bundle{}
		if strings.Contains(c.policy, "bundle") {
			c.bundle.Name = "b.tar.gz"
			bundles = append(bundles, c.bundle)
		}
		_, err := brought(t, c.policy, c.files, bundles...)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: Compile = %v, want an error with %q", name, err, want)
			}
		}
	}
}

func TestSourcesBesideEachOtherAreJoined(t *testing.T) {
	b := ordersBundle()
	b.Roots = []string{"orders", "tenants/acme"}
	other := Bundle{Name: "https://b.example/o?x=1", Roots: []string{"tenants/umbrella"}, Data: map[string]any{"tenants": map[string]any{"umbrella": true}}}
	p, err := brought(t, "{custom: [rego, {bundle: b.tar.gz}, {bundle: \"https://b.example/o?x=1\"}], data: {more: m.yaml}}",
		[]string{"rego/a.rego", "package lib\n\nx := true\n", "rego/b.rego", "package lib\n\ny := true\n", "m.yaml", "[1]"}, b, other)
	if err != nil {
		t.Fatal(err)
	}
	allows(t, p, person(), OPAAllow)
	if len(b.Data["tenants"].(map[string]any)) != 1 {
		t.Error("the data of a bundle was changed")
	}
}

func TestReservedRootOfBundlesAndData(t *testing.T) {
	for name, b := range map[string]Bundle{
		"package":       {Modules: map[string]string{"/x.rego": "package gatehouse.routes\n\nallow.it := true\n"}},
		"package above": {Roots: []string{""}, Modules: map[string]string{"/x.rego": "package gatehouse\n\nroutes.allow.it := true\n"}},
		"reading":       {Modules: map[string]string{"/x.rego": "package orders\n\nallow if data.gatehouse.routes.allow.it\n"}},
		"data":          {Data: map[string]any{"gatehouse": map[string]any{"routes": map[string]any{"allow": map[string]any{"it": true}}}}},
		"data, claimed": {Roots: []string{"acme"}, Data: map[string]any{"gatehouse": nil}},
		"root":          {Roots: []string{"/gatehouse/"}},
		"root below":    {Roots: []string{"gatehouse/routes"}},
	} {
		b.Name = "b.tar.gz"
		if _, err := brought(t, oneBundle, nil, b); !errors.Is(err, ErrReserved) {
			t.Errorf("%s: Compile = %v, want ErrReserved", name, err)
		}
		if err := b.Check(); !errors.Is(err, ErrReserved) {
			t.Errorf("%s: Check = %v, want ErrReserved", name, err)
		}
	}
	cfg := Config{Data: map[string]string{"gatehouse": "x.json"}}
	if _, err := Compile(context.Background(), cfg, nil); err == nil || !strings.Contains(err.Error(), "reserved") {
		t.Errorf("Compile = %v, want an error", err)
	}
}

func TestBundlesHaveNoNetworkEither(t *testing.T) {
	for _, call := range []string{`http.send({"method": "get", "url": "http://127.0.0.1"})`, `net.lookup_ip_addr("localhost")`, `opa.runtime()`} {
		b := Bundle{Name: "b.tar.gz", Modules: map[string]string{"/x.rego": "package orders\n\nallow if " + call + "\n"}}
		if _, err := brought(t, oneBundle, nil, b); err == nil || !strings.Contains(err.Error(), "undefined function") {
			t.Errorf("Compile with %s = %v, want an error", call, err)
		}
	}
}

func TestArchiveAsPlainPathIsTold(t *testing.T) {
	cfg := Config{Custom: []Custom{{Pos: conf.Pos{File: "g.yaml", Line: 3}, Path: "b.tar.gz"}}}
	if _, err := Compile(context.Background(), cfg, nil); err == nil || !strings.Contains(err.Error(), "write { bundle: b.tar.gz }") {
		t.Errorf("Compile = %v, want an error that says bundle:", err)
	}
}

func TestRevisionNamesWhatDecides(t *testing.T) {
	revision := func(policy string, files []string, bundles ...Bundle) string {
		t.Helper()
		p, err := brought(t, policy, files, bundles...)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Revision()) != 12 || strings.Trim(p.Revision(), "0123456789abcdef") != "" {
			t.Errorf("Revision = %q, want 12 hexadecimal digits", p.Revision())
		}
		return p.Revision()
	}
	const withData = "{custom: [rego], data: {tenants: t.json}}"
	files := func(module, data string) []string { return []string{"rego/x.rego", module, "t.json", data} }
	base := revision(withData, files(allowStaff, "{}"))
	if again := revision(withData, files(allowStaff, "{ }")); again != base {
		t.Errorf("Revision = %s and %s of the same policy in two folders", base, again)
	}
	next := ordersBundle()
	next.Revision = "r2"
	data := ordersBundle()
	data.Data = nil
	seen := map[string]string{base: "the first"}
	for name, r := range map[string]string{
		"another module": revision(withData, files(allowStaff+"\n", "{}")),
		"other data":     revision(withData, files(allowStaff, `{"a": 1}`)),
		"a bundle":       revision(oneBundle, nil, ordersBundle()),
		"another bundle": revision(oneBundle, nil, next),
		"its data":       revision(oneBundle, nil, data),
		"no bundle":      revision(oneBundle, nil),
	} {
		if seen[r] != "" {
			t.Errorf("%s has the revision of %s", name, seen[r])
		}
		seen[r] = name
	}
	// Routes that share rules are told apart.
	shared := func(last string) string {
		a, b := Allow{When: &Condition{Groups: []string{"a"}}}, Allow{When: &Condition{Groups: []string{"b"}}}
		third := map[string]Allow{"a": a, "b": b}[last]
		p, err := Compile(context.Background(), Config{}, []Rule{{Route: "1", Allow: a}, {Route: "2", Allow: b}, {Route: "3", Allow: third}})
		if err != nil {
			t.Fatal(err)
		}
		return p.Revision()
	}
	if a, b := shared("a"), shared("b"); a == b {
		t.Errorf("Revision = %s, whichever of two rules a route has", a)
	}
	rules := func(change func(*Rule)) string {
		r := Rule{Route: "it", Allow: Allow{Word: WordSignedIn}}
		change(&r)
		p, err := Compile(context.Background(), Config{}, []Rule{r})
		if err != nil {
			t.Fatal(err)
		}
		return p.Revision()
	}
	seen = map[string]string{}
	for name, change := range map[string]func(*Rule){
		"as it is":   func(*Rule) {},
		"nobody":     func(r *Rule) { r.Allow.Word = WordNobody },
		"anyone":     func(r *Rule) { r.Allow.Word = WordAnyone },
		"other name": func(r *Rule) { r.Route = "that" },
		"mfa":        func(r *Rule) { r.Require = &Require{MFA: true} },
		"acr":        func(r *Rule) { r.Require = &Require{ACR: []string{"a", "b"}} },
		"acrs":       func(r *Rule) { r.Require = &Require{ACR: []string{"b", "a"}} },
		"fresh":      func(r *Rule) { r.Require = &Require{SignedInWithin: time.Hour} },
	} {
		r := rules(change)
		if seen[r] != "" {
			t.Errorf("%s has the revision of %s", name, seen[r])
		}
		seen[r] = name
	}
}

func TestSourcesAreWhatTheyWereWhenRead(t *testing.T) {
	dir := t.TempDir()
	module, data := filepath.Join(dir, "orders.rego"), filepath.Join(dir, "t.json")
	writeFile(t, module, allowStaff)
	writeFile(t, data, `{"acme": {"staff": ["bob"]}}`)
	f := read(t, dir, "routes: [{name: it, allow: {opa: {rule: data.orders.allow}}}]\npolicy: {custom: [orders.rego], data: {tenants: t.json}}\n")
	sources := Read(f.Policy)
	first, err := sources.Compile(t.Context(), f.rules())
	if err != nil {
		t.Fatal(err)
	}
	wants := func(when string) {
		t.Helper()
		p, err := sources.Compile(t.Context(), f.rules())
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		allows(t, p, person(), OPAAllow)
		if p.Revision() != first.Revision() || !slices.Equal(p.Files(), first.Files()) {
			t.Errorf("%s: revision %s of %v, want %s of %v", when, p.Revision(), p.Files(), first.Revision(), first.Files())
		}
	}
	writeFile(t, module, "package orders\n\nallow := false\n")
	writeFile(t, data, "{}")
	wants("with other files")
	writeFile(t, module, "package")
	writeFile(t, data, "{")
	wants("with broken files")
	if err := errors.Join(os.Remove(module), os.Remove(data)); err != nil {
		t.Fatal(err)
	}
	wants("without files")
	if _, err := Read(f.Policy).Compile(t.Context(), f.rules()); err == nil {
		t.Error("files that are gone were read")
	}
}
