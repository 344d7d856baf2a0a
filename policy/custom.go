package policy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/types"
)

const (
	maxModule  = 1 << 20
	maxModules = 1000
)

// ErrReserved is in the error of Compile when a module of an operator defines or
// reads something below data.gatehouse.
var ErrReserved = errors.New("data.gatehouse is reserved for what gatehouse generates")

// loadCustom reads and parses the operators' modules, by file name. All
// mistakes are reported together.
func loadCustom(cfg Config) (map[string]*ast.Module, error) {
	files, err := customFiles(cfg)
	if err != nil {
		return nil, err
	}
	modules := map[string]*ast.Module{}
	var errs []error
	for _, file := range files {
		m, err := loadModule(file)
		if err != nil {
			errs = append(errs, &Error{Err: err})
			continue
		}
		modules[file] = m
	}
	return modules, errors.Join(errs...)
}

// customFiles returns the files that cfg.Custom leads to, sorted, each once.
func customFiles(cfg Config) ([]string, error) {
	found := map[string]bool{}
	for _, entry := range cfg.Custom {
		path := entry.Path
		if path == "" {
			return nil, &Error{cfg.Pos, errors.New("policy.custom names an empty path")}
		}
		if !filepath.IsAbs(path) && cfg.Pos.File != "" {
			path = filepath.Join(filepath.Dir(cfg.Pos.File), path)
		}
		if err := collect(filepath.Clean(path), found); err != nil {
			return nil, &Error{cfg.Pos, fmt.Errorf("read policy.custom: %w", err)}
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

func collect(path string, found map[string]bool) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		found[path] = true
		return nil
	}
	before := len(found)
	err = filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// A mounted ConfigMap keeps its files a second time below ..data.
		if strings.HasPrefix(d.Name(), ".") && file != path {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() || !strings.HasSuffix(file, ".rego") || strings.HasSuffix(file, "_test.rego") {
			return nil
		}
		if found[file] = true; len(found) > maxModules {
			return fmt.Errorf("more than %d modules", maxModules)
		}
		return nil
	})
	if err == nil && len(found) == before {
		err = fmt.Errorf("no .rego file in %s", path)
	}
	return err
}

func loadModule(file string) (*ast.Module, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxModule+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if len(text) > maxModule {
		return nil, fmt.Errorf("read %s: more than %d bytes", file, maxModule)
	}
	m, err := ast.ParseModuleWithOpts(file, string(text), ast.ParserOptions{
		RegoVersion: ast.RegoV1, Capabilities: capabilities(),
	})
	if err != nil {
		return nil, err
	}
	return m, refuseReserved(m)
}

// refuseReserved keeps a module from defining our rules, which would rewrite
// every route, and from reading or mocking them, which would tie it to names
// that we generate.
func refuseReserved(m *ast.Module) error {
	if reserved(m.Package.Path) {
		return fmt.Errorf("%s: package %s: %w", m.Package.Location, m.Package.Path, ErrReserved)
	}
	var err error
	ast.WalkRefs(m, func(r ast.Ref) bool {
		if err == nil && reserved(r) {
			err = fmt.Errorf("%s: %w", place(r, m), ErrReserved)
		}
		return err != nil
	})
	return err
}

func place(r ast.Ref, m *ast.Module) *ast.Location {
	if len(r) > 0 && r[0].Location != nil {
		return r[0].Location
	}
	return m.Package.Location
}

func reserved(r ast.Ref) bool {
	return len(r) > 1 && r[0].Equal(ast.DefaultRootDocument) && r[1].Value.Compare(ast.String(reservedRoot)) == 0
}

// parseRuleRef returns the path of an operator's rule.
func parseRuleRef(rule string) (ast.Ref, error) {
	bad := fmt.Errorf("rule is %q, want the full path of a rule in policy.custom, such as data.orders.allow", rule)
	ref, err := ast.ParseRef(rule)
	if err != nil || len(ref) < 3 || !ref[0].Equal(ast.DefaultRootDocument) {
		return nil, bad
	}
	for _, t := range ref[1:] {
		if s, ok := t.Value.(ast.String); !ok || s == "" {
			return nil, bad
		}
	}
	if reserved(ref) {
		return nil, fmt.Errorf("rule is %q: %w", rule, ErrReserved)
	}
	return ref, nil
}

// checkRule tells what is wrong with asking for the rule at path.
func checkRule(c *ast.Compiler, rule string) error {
	ref, err := parseRuleRef(rule)
	if err != nil {
		return err
	}
	rules := c.GetRulesExact(ref)
	if len(rules) == 0 {
		return fmt.Errorf("no module of policy.custom defines %s", rule)
	}
	for _, r := range rules {
		if len(r.Head.Args) > 0 {
			return fmt.Errorf("%s is a function, want a rule that is true or false", rule)
		}
		if r.Head.RuleKind() == ast.MultiValue {
			return fmt.Errorf("%s is a set, want a rule that is true or false", rule)
		}
	}
	if t := c.TypeEnv.GetByRef(ref); t != nil && !types.Contains(t, types.B) {
		return fmt.Errorf("%s has the type %s, want a rule that is true or false", rule, t)
	}
	return nil
}

// capabilities returns what Rego may use here: no network, no environment.
func capabilities() *ast.Capabilities {
	caps := ast.CapabilitiesForThisVersion()
	caps.Builtins = slices.DeleteFunc(slices.Clone(caps.Builtins), func(b *ast.Builtin) bool {
		switch b.Name {
		case ast.HTTPSend.Name, ast.NetLookupIPAddr.Name, ast.OPARuntime.Name:
			return true
		}
		return false
	})
	caps.AllowNet = []string{} // nil would mean every host
	return caps
}
