package cli

import (
	"errors"
	"fmt"
	"io"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/internal/conf"

	"github.com/spf13/cobra"
)

func newCheck(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "Read the configuration and report every mistake",
		Long: `Read the configuration and report every mistake at once, with its place.

It runs exactly what serve runs before it has any effect: nothing is opened,
made or listened on, and no server is asked. It prints the revision,
by which logs and figures of a running gateway name its configuration.`,
		Example: "  gatehouse check\n  gatehouse check config.example.yaml --output json",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				s.config = args[0]
			}
			plan, path, err := s.load()
			if err != nil {
				return err
			}
			sum := plan.Summary()
			return s.print(struct {
				File string `json:"file"`
				app.Summary
				Warnings []problemJSON `json:"warnings"`
			}{path, sum, problemsJSON(sum.Warnings)}, func(w io.Writer) {
				fmt.Fprintf(w, "%s  %s, %s  revision %s  ok\n", path, count(sum.Routes, "route"), count(sum.Upstreams, "upstream"), sum.Revision)
				for _, warning := range sum.Warnings {
					fmt.Fprintln(w, warning)
				}
			})
		},
	}
}

// load finds, reads and compiles the configuration. What is wrong with the
// file has been printed when it returns an error of exit code 1.
func (s *settings) load() (*app.Plan, string, error) {
	path, err := app.FindConfig(s.config)
	if err != nil {
		return nil, "", usage("%w", err)
	}
	plan, err := app.Load(path)
	var list *conf.Problems
	switch {
	case err == nil:
		return plan, path, nil
	case errors.As(err, &list):
		if err := s.printProblems(path, list); err != nil {
			return nil, path, err
		}
		return nil, path, &exitError{code: exitProblems, quiet: true, err: err}
	}
	return nil, path, unreachable(err)
}

// problemJSON is one mistake of a configuration file; line and column count
// from 1, and are 0 for what concerns the whole file.
type problemJSON struct {
	// File is the configuration, or the one that policy.shadow names.
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
	Help    string `json:"help,omitempty"`
	Warning bool   `json:"warning"`
}

// printProblems shows every mistake: to people on standard error, with its
// line, to programs on standard output.
func (s *settings) printProblems(path string, list *conf.Problems) error {
	if s.output == "text" {
		fmt.Fprintln(s.Err, list.Error())
		return nil
	}
	return s.print(struct {
		File     string        `json:"file"`
		Problems []problemJSON `json:"problems"`
	}{path, problemsJSON(append(list.Errors(), list.Warnings()...))}, nil)
}

func problemsJSON(list []conf.Problem) []problemJSON {
	all := []problemJSON{}
	for _, p := range list {
		all = append(all, problemJSON{p.Pos.File, p.Pos.Line, p.Pos.Column, p.Message, p.Help, p.Warning})
	}
	return all
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
