package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Bundle is the content of an OPA bundle: modules and data that were made and
// shipped together. Package policy/bundle reads and verifies them.
type Bundle struct {
	// Name is Custom.Bundle as it is configured.
	Name string
	// Revision is what the bundle's manifest calls this version; may be empty.
	Revision string
	// Roots are the parts of data that the manifest claims for this bundle, such
	// as "acme/orders". Empty, or an empty root: the packages of its modules and
	// the top-level names of its data.
	Roots []string
	// Modules are texts of Rego (version 1) by their path in the bundle.
	Modules map[string]string
	// Data is the bundle's data as encoding/json decodes it, with numbers as
	// json.Number. Nobody may write to it.
	Data map[string]any
}

// Check tells what keeps the bundle from being used by any configuration: a
// module that cannot be parsed, too many or too long ones, or anything below
// data.gatehouse (errors.Is ErrReserved). Whether rules of routes are in it, and
// whether it fits other modules, is for Compile.
func (b Bundle) Check() error {
	_, err := b.source(Custom{})
	return err
}

// source parses the bundle.
func (b Bundle) source(entry Custom) (source, error) {
	label := Custom{Bundle: b.Name}.Label()
	s := source{name: "the bundle " + label, pos: entry.Pos, modules: map[string]*ast.Module{}, data: b.Data}
	if len(b.Modules) > maxModules {
		return s, fmt.Errorf("%s: more than %d modules", s.name, maxModules)
	}
	var errs []error
	for _, file := range slices.Sorted(maps.Keys(b.Modules)) {
		// The name of the bundle keeps apart what two bundles call alike.
		name := label + ":" + file
		m, err := parseModule(name, b.Modules[file])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		s.modules[name] = m
		s.texts = append(s.texts, b.Modules[file])
	}
	if _, taken := b.Data[reservedRoot]; taken {
		errs = append(errs, fmt.Errorf("%s: its data: %w", s.name, ErrReserved))
	}
	s.roots = b.roots(s.modules)
	for _, r := range s.roots {
		if r.path[0] == reservedRoot {
			errs = append(errs, fmt.Errorf("%s: %s: %w", s.name, r.what, ErrReserved))
		}
	}
	return s, errors.Join(errs...)
}

// roots returns what the bundle claims, and what it holds besides.
func (b Bundle) roots(modules map[string]*ast.Module) []root {
	var claimed []root
	for _, r := range b.Roots {
		if r = strings.Trim(r, "/"); r == "" {
			claimed = nil
			break
		}
		claimed = append(claimed, root{strings.Split(r, "/"), "root " + r})
	}
	held := packagesOf(modules)
	for _, name := range slices.Sorted(maps.Keys(b.Data)) {
		held = append(held, root{[]string{name}, "data." + name})
	}
	all := claimed
	for _, h := range held {
		covered := slices.ContainsFunc(claimed, func(c root) bool { return c.overlaps(h) })
		if !covered {
			all = append(all, h)
		}
	}
	return all
}
