package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/policy/regotest"
	"gatehouse/proxy/whatif"

	"github.com/spf13/cobra"
)

// testFlags are the flags of `gatehouse policy test`.
type testFlags struct {
	coverage int
	junit    string
	run      string
}

func newPolicyTest(s *settings) *cobra.Command {
	var f testFlags
	cmd := &cobra.Command{
		Use:   "test [DIR|FILE ...]",
		Short: "Run tests of the rules, and say what they never looked at",
		Long: `Run tests of the rules: who asks for what, and what shall happen. Nothing is
sent; the gate decides as it does for a request.

Tests are in every *.yaml file below DIR that has the key tests; DIR is "policy"
beside the configuration unless given:

  tests:
    - name: admins reach /admin
      as: { groups: [admins] }
      request: GET /admin
      expect: allow

as is visitor, signed-in, a name below the key personas, or a map of: user,
subject, issuer, groups, scopes, client, claims, name, email, email_verified,
acr, amr, mfa, signed_in (how long ago, such as 10m), credential (session or bearer), listed,
unknown. It is a person with a session, or a machine with an access token if it
names only scopes, client or credential: bearer. request is METHOD URL or a map of method,
url, websocket, ip, time, body, body_state. expect is allow, deny, sign_in,
step_up, a status, or a map of decision, status, reason, route, headers. Lists
of as and request run each with each.

A route is covered once it was seen to allow and to refuse (and to step up, if
it has require), a condition once somebody met it and somebody did not. Tests in
Rego beside the modules of policy.custom (*_test.rego) run as well.

Exit code 1 means that a test failed or --coverage was not reached.`,
		Example: "  gatehouse policy test\n  gatehouse policy test tests/ --coverage 100 --junit policy.xml\n  gatehouse policy test --run admins",
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.coverage < 0 || f.coverage > 100 {
				return usage("--coverage is %d, want 0 to 100 (per cent)", f.coverage)
			}
			only, err := regexp.Compile(f.run)
			if err != nil {
				return usage("--run: %w", err)
			}
			return s.withSuite(cmd.Context(), func(plan *app.Plan, suite *whatif.Suite) error {
				report, err := s.runTests(cmd.Context(), plan, suite, testChoice{args, only})
				if err != nil {
					return err
				}
				return s.printTests(report, f)
			})
		},
	}
	cmd.Flags().IntVar(&f.coverage, "coverage", 0, "fail if less than `PERCENT` of routes and conditions are covered")
	cmd.Flags().StringVar(&f.junit, "junit", "", "write the results to `FILE` as JUnit XML as well")
	cmd.Flags().StringVar(&f.run, "run", "", "run only tests whose name matches the `REGEXP`")
	return cmd
}

// testChoice says which tests run.
type testChoice struct {
	paths []string // none means the usual folder
	only  *regexp.Regexp
}

func (s *settings) runTests(ctx context.Context, plan *app.Plan, suite *whatif.Suite, choice testChoice) (*whatif.Report, error) {
	paths := choice.paths
	if len(paths) == 0 {
		path, err := app.FindConfig(s.config)
		if err != nil {
			return nil, usage("%w", err)
		}
		paths = []string{filepath.Join(filepath.Dir(path), "policy")}
	}
	if missing := suite.Policy.Missing(); len(missing) > 0 {
		fmt.Fprintf(s.Err, "gatehouse: rules in these bundles count as undefined, because they are not here: %s\n", strings.Join(missing, ", "))
	}
	inRego, err := regotest.Run(ctx, plan.Config.Policy, choice.only)
	if err != nil {
		return nil, problems(err)
	}
	found, err := whatif.FindTests(paths, besides(plan))
	switch {
	case errors.Is(err, whatif.ErrNoTests) && len(inRego) > 0 && len(choice.paths) == 0:
	case errors.Is(err, whatif.ErrNoTests):
		return nil, usage("%w; gatehouse policy test --help shows how to write one", err)
	case err != nil:
		return nil, problems(err)
	}
	files, err := s.readTests(found)
	if err != nil {
		return nil, err
	}
	report, err := suite.Run(ctx, files, choice.only)
	if err != nil {
		return nil, problems(err)
	}
	for _, of := range regoFiles(inRego) {
		report.Add(of)
	}
	switch {
	case report.Tests > 0:
	case choice.only.String() == "":
		return nil, usage("there are no tests in %s", strings.Join(found, ", "))
	default:
		return nil, usage("no test has a name that matches %s", choice.only)
	}
	return report, nil
}

// regoFiles are the results of tests in Rego, by file.
func regoFiles(results []regotest.Result) (files []whatif.FileReport) {
	for _, r := range results {
		if len(files) == 0 || files[len(files)-1].File != shortPath(r.File) {
			files = append(files, whatif.FileReport{File: shortPath(r.File)})
		}
		t := whatif.TestResult{Name: r.Name, File: shortPath(r.File), Line: r.Line, Passed: r.Passed, Took: r.Took}
		if !r.Passed {
			t.Failures = []whatif.Failure{{Expected: "true", Got: "another value, or none", Error: r.Error}}
		}
		last := &files[len(files)-1]
		last.Tests = append(last.Tests, t)
	}
	return files
}

// shortPath is path seen from the working directory, if it lies below that.
func shortPath(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// printTests tells what came of the tests, and fails as they did.
func (s *settings) printTests(report *whatif.Report, f testFlags) error {
	if f.junit != "" {
		if err := writeJUnit(f.junit, report); err != nil {
			return unreachable(err)
		}
	}
	if f.run != "" {
		report.Coverage.Gaps = nil // some tests cover some of it: that is no news
	}
	if err := s.print(report, func(w io.Writer) { report.Write(w) }); err != nil {
		return err
	}
	if report.Failed > 0 {
		return &exitError{code: exitProblems, quiet: true, err: errors.New("tests failed")}
	}
	if report.Coverage.Percent < f.coverage {
		return problems(fmt.Errorf("coverage is %d %%, want %d %%", report.Coverage.Percent, f.coverage))
	}
	return nil
}

func writeJUnit(path string, report *whatif.Report) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return report.WriteJUnit(file)
}
