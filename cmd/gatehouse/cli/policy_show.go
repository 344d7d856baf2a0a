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

// shownPolicy is what `gatehouse policy show` tells.
type shownPolicy struct {
	// Route is the route, "" for all; Rule is where its rule stands.
	Route string `json:"route,omitempty"`
	Rule  string `json:"rule,omitempty"`
	// Asks are the rules of operators that it asks.
	Asks []string `json:"asks"`
	// Rego is the module.
	Rego string `json:"rego"`
}

func newPolicyShow(s *settings) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "show [ROUTE]",
		Short: "Print the Rego that decides a route",
		Long: `Print the Rego that decides a route: a module that could stand alone, with the
line of the configuration beside each rule. Where the route asks rules of
policy.custom, they are named last. The lines of --all are those of ` + "`explain --trace`" + `.`,
		Example: "  gatehouse policy show admin\n  gatehouse policy show --all > gatehouse.rego",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) == 1) {
				return usage("name one route, or give --all for every one")
			}
			return s.withSuite(cmd.Context(), func(plan *app.Plan, suite *whatif.Suite) error {
				shown, err := show(plan, suite.Policy, args)
				if err != nil {
					return err
				}
				return s.print(shown, func(w io.Writer) {
					// After the module: what OPA traces counts its lines from the first.
					fmt.Fprint(w, shown.Rego)
					for _, rule := range shown.Asks {
						fmt.Fprintf(w, "\n# asks %s\n", rule)
					}
				})
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "print the whole module")
	return cmd
}

// show finds the route that args name; without one, all are meant.
func show(plan *app.Plan, p *policy.Policy, args []string) (shownPolicy, error) {
	routes := plan.Config.Routes
	shown := shownPolicy{Asks: []string{}}
	if len(args) == 0 {
		for _, rt := range routes {
			shown.Asks = asked(rt.Allow.When, shown.Asks)
		}
		shown.Rego = p.Module()
		return shown, nil
	}
	var names []string
	for i, rt := range routes {
		if names = append(names, rt.Name); rt.Name == args[0] {
			shown.Route, shown.Rule = rt.Name, rt.Allow.Pos.String()
			shown.Asks, shown.Rego = asked(rt.Allow.When, shown.Asks), p.RouteModule(i)
			return shown, nil
		}
	}
	if near := conf.Suggest(args[0], names); near != "" {
		return shown, usage("there is no route %q; did you mean %s?", args[0], near)
	}
	return shown, usage("there is no route %q; there are %s", args[0], strings.Join(names, ", "))
}

// asked appends the rules of operators that c asks, each once.
func asked(c *policy.Condition, rules []string) []string {
	if c == nil {
		return rules
	}
	if c.OPA != nil && !slices.Contains(rules, c.OPA.Rule) {
		rules = append(rules, c.OPA.Rule)
	}
	for _, below := range slices.Concat(c.AnyOf, c.AllOf) {
		rules = asked(&below, rules)
	}
	return asked(c.Not, rules)
}
