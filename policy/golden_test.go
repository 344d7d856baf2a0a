package policy

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"

	"gatehouse/internal/conf"
)

var update = flag.Bool("update", false, "write the golden files anew")

// shop compiles testdata/shop.yaml, which uses everything once.
func shop(t testing.TB) *Policy {
	t.Helper()
	var f file
	if _, err := conf.Load("testdata/shop.yaml", &f); err != nil {
		t.Fatal(err)
	}
	p, err := Compile(context.Background(), f.Policy, f.rules())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		writeFile(t, path, got)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test ./policy -update writes it)", err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test ./policy -update if that is meant); got:\n%s", path, got)
	}
}

func TestGeneratedRego(t *testing.T) {
	p := shop(t)
	golden(t, "shop.rego", p.Module())
	golden(t, "reports.rego", p.RouteModule(5))
	golden(t, "odd.rego", p.RouteModule(6))
	golden(t, "open.rego", p.RouteModule(0))
	if got := p.RouteModule(99); got != "" {
		t.Errorf("RouteModule of an unknown route = %q, want nothing", got)
	}
}

func TestGeneratedRegoIsFormattedAndStrict(t *testing.T) {
	p := shop(t)
	texts := map[string]string{"module": p.Module()}
	for i := range p.routes {
		texts[p.routes[i].name] = p.RouteModule(i)
	}
	for name, text := range texts {
		formatted, err := format.SourceWithOpts("x.rego", []byte(text), format.Opts{RegoVersion: ast.RegoV1})
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		if string(formatted) != text {
			t.Errorf("%q is not as opa fmt writes it; it would write:\n%s\ngot:\n%s", name, formatted, text)
		}
	}
}

// A route's Rego, alone, is a whole: everything it refers to is in it.
func TestRouteModuleStandsAlone(t *testing.T) {
	p := shop(t)
	for i := range p.routes {
		text := p.RouteModule(i)
		m, err := ast.ParseModuleWithOpts("x.rego", text, ast.ParserOptions{RegoVersion: ast.RegoV1})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if strings.Contains(text, "data.orders") {
			continue
		}
		if _, err := compileModules(map[string]*ast.Module{"x.rego": m}); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

func TestEachConditionIsCompiledOnce(t *testing.T) {
	text := shop(t).Module()
	for _, rule := range []string{`"admins" in input.user.groups`, `client_orders_job if`, `"10.0.0.0/8", input`} {
		if n := strings.Count(text, rule); n != 1 {
			t.Errorf("%q stands %d times in the module, want once\n%s", rule, n, text)
		}
	}
}
