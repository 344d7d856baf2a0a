package regotest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"

	"gatehouse/policy"
)

const (
	// maxFile and maxFiles bound what is read, as for modules.
	maxFile  = 1 << 20
	maxFiles = 1000
	// timeout bounds one test.
	timeout = 5 * time.Second
)

// Result is what came of one test.
type Result struct {
	// Name is the rule's path: data.orders_test.test_owner_may.
	Name string
	// File and Line are where the rule stands.
	File string
	Line int
	// Passed is true if the rule was true.
	Passed bool
	// Error is what went wrong while evaluating; "" if nothing did.
	Error string
	Took  time.Duration
}

// Run runs the tests that belong to the paths of cfg.Custom, of which only
// matches the name, all if only is nil; bundles are those that cfg names. Tests
// whose names begin with todo_ are not run. It returns nil if there is none. The
// error says what keeps the files from being read or compiled.
func Run(ctx context.Context, cfg policy.Config, only *regexp.Regexp, bundles ...policy.Bundle) ([]Result, error) {
	files, err := find(cfg)
	if err != nil || len(files) == 0 {
		return nil, err
	}
	modules, data, err := policy.Operators(cfg, bundles...)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, file := range files {
		m, err := parse(file)
		errs = append(errs, err)
		modules[file] = m
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return run(ctx, modules, data, only)
}

func run(ctx context.Context, modules map[string]*ast.Module, data map[string]any, only *regexp.Regexp) ([]Result, error) {
	store := inmem.NewFromObject(data)
	txn, err := store.NewTransaction(ctx, storage.TransactionParams{})
	if err != nil {
		return nil, fmt.Errorf("read the data of the policy: %w", err)
	}
	defer store.Abort(ctx, txn)
	// Not strict, as with `opa test`: a test may import what it does not use.
	compiler := ast.NewCompiler().WithCapabilities(policy.Capabilities()).WithDefaultRegoVersion(ast.RegoV1)
	runner := tester.NewRunner().SetCompiler(compiler).SetStore(store).SetModules(modules).
		RaiseBuiltinErrors(true).CapturePrintOutput(false).SetTimeout(timeout)
	if only != nil {
		runner.Filter(only.String())
	}
	found, err := runner.RunTests(ctx, txn)
	if err != nil {
		return nil, fmt.Errorf("compile the tests in Rego: %w", err)
	}
	var results []Result
	for r := range found {
		if r.Skip {
			continue
		}
		result := Result{
			Name: r.Package + "." + r.Name, File: r.Location.File, Line: r.Location.Row, Passed: r.Pass(), Took: r.Duration,
		}
		if r.Error != nil {
			result.Error = r.Error.Error()
		}
		results = append(results, result)
	}
	slices.SortFunc(results, func(a, b Result) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), strings.Compare(a.Name, b.Name))
	})
	return results, ctx.Err()
}

// find returns the test files below the directories that cfg.Custom names,
// sorted, each once, names that begin with a dot aside.
func find(cfg policy.Config) ([]string, error) {
	var found []string
	for _, entry := range cfg.Custom {
		if entry.Path == "" {
			continue
		}
		dir := entry.Path
		if at := cmp.Or(entry.Pos.File, cfg.Pos.File); !filepath.IsAbs(dir) && at != "" {
			dir = filepath.Join(filepath.Dir(at), dir)
		}
		err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if strings.HasPrefix(d.Name(), ".") && file != dir {
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
			if d.IsDir() || file == dir || !strings.HasSuffix(file, "_test.rego") {
				return nil
			}
			if found = append(found, filepath.Clean(file)); len(found) > maxFiles {
				return fmt.Errorf("more than %d files of tests", maxFiles)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("look for tests in Rego: %w", err)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

func parse(file string) (*ast.Module, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("read %s: more than %d bytes", file, maxFile)
	}
	return ast.ParseModuleWithOpts(file, string(text), ast.ParserOptions{
		RegoVersion: ast.RegoV1, Capabilities: policy.Capabilities(),
	})
}
