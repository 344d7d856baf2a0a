package cli

import (
	"fmt"
	"slices"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/proxy/whatif"

	"github.com/spf13/cobra"
)

func newPolicyMatrix(s *settings) *cobra.Command {
	var format, personas string
	cmd := &cobra.Command{
		Use:   "matrix",
		Short: "Say who can what, for every route",
		Long: `Say who can what: a row for each path pattern of each route, a column for a
visitor, for a person in no group, for each group, user, scope and client that a
rule names, and for each persona of --personas, a file of tests or of personas
alone. Nobody in a column has more than its name says.

A cell is allow, sign in, step up, or the status of a refusal. A word with a
question mark names what decides where the column does not say: ip, time,
claims, email, body, path, or opa for a rule of policy.custom. A dash is a
request that an earlier route takes.`,
		Example: "  gatehouse policy matrix\n  gatehouse policy matrix --format html > access.html\n  gatehouse policy matrix --personas policy/people.yaml --format csv",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains([]string{"text", "csv", "html"}, format) {
				return usage("--format is %q, want text, csv or html", format)
			}
			if s.output == "json" && format != "text" {
				return usage("--output json and --format %s are two formats: give one", format)
			}
			return s.withSuite(cmd.Context(), func(_ *app.Plan, suite *whatif.Suite) error {
				var people whatif.Personas
				if personas != "" {
					files, err := s.readTests([]string{personas})
					if err != nil {
						return err
					}
					if people = files[0].Personas; len(people) == 0 {
						return usage("%s names no personas: write them below the key personas", personas)
					}
				}
				m, err := suite.Matrix(cmd.Context(), people)
				if err != nil {
					return fmt.Errorf("make the matrix: %w", err)
				}
				return s.printMatrix(m, format)
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "`FORMAT` of the table: text, csv or html")
	cmd.Flags().StringVar(&personas, "personas", "", "`FILE` with personas that get a column each")
	return cmd
}

func (s *settings) printMatrix(m *whatif.Matrix, format string) error {
	switch {
	case s.output == "json":
		return s.print(m, nil)
	case format == "csv":
		return m.WriteCSV(s.Out)
	case format == "html":
		return m.WriteHTML(s.Out)
	}
	return m.Write(s.Out)
}
