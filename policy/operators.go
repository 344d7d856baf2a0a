package policy

import "github.com/open-policy-agent/opa/v1/ast"

// Operators returns what operators bring to a policy, for tools that look at it
// by itself: their modules by file, parsed, and their data. It reads the files
// that cfg names. Bundles that are configured and not given are left out.
func Operators(cfg Config, bundles ...Bundle) (modules map[string]*ast.Module, data map[string]any, err error) {
	lib, err := Read(cfg).library(bundles)
	return lib.modules, lib.data, err
}

// Capabilities returns what operators' modules may use: no network, no
// environment. The caller owns it.
func Capabilities() *ast.Capabilities { return capabilities() }
