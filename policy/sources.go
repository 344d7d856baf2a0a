package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"gatehouse/internal/conf"
)

// Sources are the files that a configuration names under policy.custom and
// policy.data, as they were when they were read. They do not change, whatever
// becomes of the files, and are safe for concurrent use.
type Sources struct {
	cfg    Config
	custom []sourceFile
	data   []sourceFile // one per name of policy.data
	// seen are the files and folders that custom was found in.
	seen []string
	// err joins what could not be read.
	err error
}

// sourceFile is one file that was read.
type sourceFile struct {
	path string
	name string // under policy.data; "" for a module
	text string
}

// Read reads the files that cfg names. What cannot be read is an error of
// Compile, which tells it together with all else that is wrong.
func Read(cfg Config) *Sources {
	s := &Sources{cfg: cfg}
	s.err = errors.Join(s.readCustom(), s.readData())
	return s
}

// source is where rules and data of operators come from: the files of
// policy.custom together, one bundle, or one file of policy.data.
type source struct {
	// name is what errors call it.
	name string
	pos  conf.Pos
	// modules are by file name; texts are what they were parsed from.
	modules map[string]*ast.Module
	texts   []string
	data    map[string]any
	// roots are the parts of data that belong to this source.
	roots []root
	// files are the files and folders that were read.
	files []string
}

// root is a part of data that belongs to one source.
type root struct {
	path []string
	// what is how errors speak of it: "package acme.orders", "data.tenants".
	what string
}

// overlaps tells whether one root is the other or lies below it.
func (r root) overlaps(other root) bool {
	n := min(len(r.path), len(other.path))
	return slices.Equal(r.path[:n], other.path[:n])
}

// packagesOf returns the packages of modules, sorted, each once.
func packagesOf(modules map[string]*ast.Module) []root {
	found := map[string]root{}
	for _, m := range modules {
		r := root{what: m.Package.String()}
		for _, t := range m.Package.Path[1:] {
			name, _ := t.Value.(ast.String)
			r.path = append(r.path, string(name))
		}
		found[r.what] = r
	}
	var roots []root
	for _, name := range slices.Sorted(maps.Keys(found)) {
		roots = append(roots, found[name])
	}
	return roots
}

// library is all that operators bring: modules, data, and what is missing.
type library struct {
	modules map[string]*ast.Module
	// texts are those of the modules, sorted.
	texts []string
	data  map[string]any
	// revisions are those of the bundles, by name.
	revisions map[string]string
	files     []string
	missing   []string
}

// library parses what was read and takes bundles in. All mistakes are reported
// together.
func (s *Sources) library(bundles []Bundle) (library, error) {
	lib := library{modules: map[string]*ast.Module{}, data: map[string]any{}, revisions: map[string]string{}}
	custom, err := s.parseCustom()
	sources, errs := []source{custom}, []error{s.err, err}
	data, err := s.decodeData()
	sources, errs = append(sources, data...), append(errs, err)
	errs = append(errs, strangers(s.cfg, bundles))
	for _, entry := range s.cfg.Custom {
		if entry.Bundle == "" {
			continue
		}
		i := slices.IndexFunc(bundles, func(b Bundle) bool { return b.Name == entry.Bundle })
		if i < 0 {
			lib.missing = append(lib.missing, entry.Label())
			continue
		}
		brought, err := bundles[i].source(entry)
		if err != nil {
			errs = append(errs, &Error{entry.Pos, err})
		}
		lib.revisions[entry.Bundle] = bundles[i].Revision
		if entry.URL() == nil {
			brought.files = []string{entry.File(entry.Bundle)}
		}
		sources = append(sources, brought)
	}
	if err := errors.Join(errs...); err != nil {
		return lib, err
	}
	return lib, lib.join(sources)
}

// strangers refuses bundles that no entry of cfg names, or one name twice: rules
// must not come from what nobody configured.
func strangers(cfg Config, bundles []Bundle) error {
	seen := map[string]bool{}
	for _, b := range bundles {
		named := slices.ContainsFunc(cfg.Custom, func(c Custom) bool { return c.Bundle == b.Name && b.Name != "" })
		if !named || seen[b.Name] {
			return &Error{cfg.Pos, fmt.Errorf("the bundle %s is given twice or not named in policy.custom", Custom{Bundle: b.Name}.Label())}
		}
		seen[b.Name] = true
	}
	return nil
}

// join puts sources together, which must not overlap.
func (lib *library) join(sources []source) error {
	var errs []error
	for i, s := range sources {
		for _, before := range sources[:i] {
			errs = append(errs, collide(before, s))
		}
		for file, m := range s.modules {
			for lib.modules[file] != nil { // URLs that differ in their query only
				file += "+"
			}
			lib.modules[file] = m
		}
		lib.texts = append(lib.texts, s.texts...)
		lib.files = append(lib.files, s.files...)
		merged, conflict := merge(lib.data, s.data)
		if conflict != "" {
			errs = append(errs, &Error{s.pos, fmt.Errorf("%s defines data%s, which another source defines", s.name, conflict)})
			continue
		}
		lib.data = merged
	}
	slices.Sort(lib.texts)
	slices.Sort(lib.files)
	lib.files = slices.Compact(lib.files)
	return errors.Join(errs...)
}

// collide tells where two sources define the same part of data.
func collide(a, b source) error {
	for _, r := range b.roots {
		for _, other := range a.roots {
			if r.overlaps(other) {
				return &Error{b.pos, fmt.Errorf("%s of %s overlaps %s of %s", r.what, b.name, other.what, a.name)}
			}
		}
	}
	return nil
}

// merge returns the objects a and b as one, without changing them, or the path
// of what both define.
func merge(a, b map[string]any) (merged map[string]any, conflict string) {
	merged = maps.Clone(a)
	for name, value := range b {
		have, taken := merged[name]
		if !taken {
			merged[name] = value
			continue
		}
		left, isObject := have.(map[string]any)
		right, both := value.(map[string]any)
		if !isObject || !both {
			return nil, "." + plain(name)
		}
		below, conflict := merge(left, right)
		if conflict != "" {
			return nil, "." + plain(name) + conflict
		}
		merged[name] = below
	}
	return merged, ""
}

// defines tells whether data has a value at path; it is what the compiler asks
// to find rules that data would be in the way of.
func (lib *library) defines(path []string) (bool, error) {
	var at any = lib.data
	for _, name := range path {
		object, ok := at.(map[string]any)
		if !ok {
			return false, nil
		}
		if at, ok = object[name]; !ok {
			return false, nil
		}
	}
	return true, nil
}
