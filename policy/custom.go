package policy

import (
	"errors"
	"fmt"
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
	// generatedFile is what OPA's errors and traces call the generated module.
	generatedFile = "gatehouse-routes.rego"
)

// ErrReserved is in the error of Compile when a module of an operator defines or
// reads something below data.gatehouse.
var ErrReserved = errors.New("data.gatehouse is reserved for what gatehouse generates")

// readCustom reads the operators' modules. All that cannot be read is reported
// together.
func (s *Sources) readCustom() error {
	files, seen, err := customFiles(s.cfg)
	s.seen = seen
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range files {
		text, err := readRegular(path, maxModule)
		if err != nil {
			errs = append(errs, &Error{Err: err})
			continue
		}
		s.custom = append(s.custom, sourceFile{path: path, text: string(text)})
	}
	return errors.Join(errs...)
}

// parseCustom parses the operators' modules, which are one source. All mistakes
// are reported together.
func (s *Sources) parseCustom() (source, error) {
	custom := source{name: "policy.custom", pos: s.cfg.Pos, modules: map[string]*ast.Module{}, files: s.seen}
	var errs []error
	for _, f := range s.custom {
		m, err := parseModule(f.path, f.text)
		if err != nil {
			errs = append(errs, &Error{Err: err})
			continue
		}
		custom.modules[f.path] = m
		custom.texts = append(custom.texts, f.text)
	}
	custom.roots = packagesOf(custom.modules)
	return custom, errors.Join(errs...)
}

// customFiles returns the files that the paths of cfg.Custom lead to, sorted,
// each once; and these with the folders that were searched.
func customFiles(cfg Config) (files, seen []string, err error) {
	found, folders := map[string]bool{}, map[string]bool{}
	for _, entry := range cfg.Custom {
		path, pos := entry.Path, entry.Pos
		if pos.Line == 0 {
			pos = cfg.Pos
		}
		switch {
		case entry.Bundle != "" && path == "":
			continue
		case entry.Bundle != "":
			return nil, nil, &Error{pos, errors.New("an entry of policy.custom names both a path and a bundle")}
		case path == "":
			return nil, nil, &Error{pos, errors.New("policy.custom names an empty path")}
		case isArchive(path):
			return nil, nil, &Error{pos, fmt.Errorf("%s is a bundle, not a module; write { bundle: %s }", path, path)}
		}
		if err := collect(filepath.Clean(beside(pos, path)), found, folders); err != nil {
			return nil, nil, &Error{pos, fmt.Errorf("read policy.custom: %w", err)}
		}
	}
	files = slices.Sorted(maps.Keys(found))
	return files, append(slices.Sorted(maps.Keys(folders)), files...), nil
}

func collect(path string, found, folders map[string]bool) error {
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
		if d.IsDir() {
			folders[file] = true
			return nil
		}
		if !strings.HasSuffix(file, ".rego") || strings.HasSuffix(file, "_test.rego") {
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

// parseModule parses a module of an operator; file is what errors call it.
func parseModule(file, text string) (*ast.Module, error) {
	if file == generatedFile {
		return nil, fmt.Errorf("%s: the name of this file is reserved", file)
	}
	if len(text) > maxModule {
		return nil, fmt.Errorf("read %s: more than %d bytes", file, maxModule)
	}
	m, err := ast.ParseModuleWithOpts(file, text, ast.ParserOptions{
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

// checkRule tells what is wrong with asking for the rule at path. A rule that is
// nowhere may be in a bundle that is missing.
func checkRule(c *ast.Compiler, rule string, lib library) error {
	ref, err := parseRuleRef(rule)
	if err != nil {
		return err
	}
	rules := c.GetRulesExact(ref)
	if len(rules) == 0 && len(lib.missing) > 0 {
		return nil
	}
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

// capabilities returns what Rego may use here: no network, no environment, and
// nothing that runs past every deadline: bits.lsh by a large number does not look
// at it.
func capabilities() *ast.Capabilities {
	caps := ast.CapabilitiesForThisVersion()
	caps.Builtins = slices.DeleteFunc(slices.Clone(caps.Builtins), func(b *ast.Builtin) bool {
		switch b.Name {
		case ast.HTTPSend.Name, ast.NetLookupIPAddr.Name, ast.OPARuntime.Name, ast.BitsShiftLeft.Name:
			return true
		}
		return false
	})
	caps.AllowNet = []string{} // nil would mean every host
	return caps
}
