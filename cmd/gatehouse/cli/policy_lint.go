package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/internal/conf"
	"gatehouse/policy"
	"gatehouse/proxy/whatif"

	"github.com/spf13/cobra"
)

// warningJSON is one finding of `gatehouse policy lint`.
type warningJSON struct {
	Code   string       `json:"code"`
	Level  policy.Level `json:"level"`
	File   string       `json:"file"`
	Line   int          `json:"line"`
	Column int          `json:"column"`
	Text   string       `json:"text"`
}

func newPolicyLint(s *settings) *cobra.Command {
	var ignore []string
	cmd := &cobra.Command{
		Use:   "lint",
		Short: "Find rules that nobody can have meant",
		Long: `Find what a configuration allows and nobody can have meant: routes that can
never match, conditions that nobody can meet or everybody meets, groups, scopes
and clients that do not exist, and what is open to all. Names are compared with
the user pool, beside a running server or without one, and with idp.bootstrap.

Exit code 0 means that there was no warning; what is only information does not
count. ` + "`gatehouse check`" + ` shows the same warnings, without looking at the pool.

Codes: ` + strings.Join(whatif.LintCodes(), ", ") + `.`,
		Example: "  gatehouse policy lint\n  gatehouse policy lint --ignore open-to-all --output json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkCodes(ignore); err != nil {
				return err
			}
			plan, path, err := s.load()
			if err != nil {
				return err
			}
			found, err := plan.Lint(cmd.Context())
			if err != nil {
				return unreachable(err)
			}
			if found.Unread != nil {
				fmt.Fprintf(s.Err, "gatehouse: names are compared with the configuration alone: %v\n", found.Unread)
			}
			found.Warnings = slices.DeleteFunc(found.Warnings, func(w policy.Warning) bool { return slices.Contains(ignore, w.Code) })
			return s.printLint(path, found.Warnings)
		},
	}
	cmd.Flags().StringSliceVar(&ignore, "ignore", nil, "`CODE` of findings to leave out; may be repeated")
	return cmd
}

// checkCodes refuses a code that no finding has: it would silence nothing.
func checkCodes(codes []string) error {
	for _, code := range codes {
		if slices.Contains(whatif.LintCodes(), code) {
			continue
		}
		hint := ""
		if near := conf.Suggest(code, whatif.LintCodes()); near != "" {
			hint = "; did you mean " + near + "?"
		}
		return usage("--ignore names %q, which is no code%s", code, hint)
	}
	return nil
}

// printLint shows what was found, and is an error where there is a warning.
func (s *settings) printLint(path string, found []policy.Warning) error {
	warnings := 0
	list := []warningJSON{}
	for _, w := range found {
		if w.Level == policy.LevelWarning {
			warnings++
		}
		list = append(list, warningJSON{w.Code, w.Level, w.Pos.File, w.Pos.Line, w.Pos.Column, w.Text})
	}
	err := s.print(struct {
		File     string        `json:"file"`
		Warnings int           `json:"warnings"`
		Findings []warningJSON `json:"findings"`
	}{path, warnings, list}, func(w io.Writer) {
		for i, excerpt := range app.Excerpts(path, found) {
			f := list[i]
			fmt.Fprintf(w, "%s:%d:%d: %s: %s [%s]\n", f.File, f.Line, f.Column, f.Level, f.Text, f.Code)
			if excerpt != "" {
				fmt.Fprintln(w, excerpt)
			}
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s  %s", path, count(warnings, "warning"))
		if infos := len(list) - warnings; infos > 0 {
			fmt.Fprintf(w, ", %d for information", infos)
		}
		fmt.Fprintln(w)
	})
	if err == nil && warnings > 0 {
		err = &exitError{code: exitProblems, quiet: true, err: fmt.Errorf("%s: %s", path, count(warnings, "warning"))}
	}
	return err
}
