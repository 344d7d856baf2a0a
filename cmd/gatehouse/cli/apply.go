package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/idp"
	"gatehouse/internal/conf"

	"github.com/spf13/cobra"
)

// applying are the flags of apply.
type applying struct {
	prune, pruneUsers, dryRun, yes bool
}

func newApply(s *settings) *cobra.Command {
	var o applying
	cmd := &cobra.Command{
		Use: "apply FILE", Short: "Make groups, clients, resource servers and users what a file says", Args: cobra.ExactArgs(1),
		Long: `Make groups, clients, resource servers, scopes and users what a file says. The
file is idp.bootstrap in a file of its own: users, groups, clients,
resource_servers.

What would change is shown first, and done after a yes, all in one transaction. A
second call changes nothing. Users that exist are left alone, and those that were
deleted stay so, unless --prune-users is given.

--prune removes groups, clients, resource servers and scopes that do not stand in
the file; those of idp.bootstrap stay, and the gateway's own client is never
touched. --prune-users makes all users what the file says, but for their passwords,
and deletes the others.

Exit code 0 means that all is as the file says, 1 that it is not: with --dry-run
that there would be changes.`,
		Example: "  gatehouse apply pool.yaml --dry-run\n  gatehouse apply pool.yaml --prune --yes",
		RunE: func(cmd *cobra.Command, args []string) error {
			plan, _, err := s.load()
			if err != nil {
				return err
			}
			want, err := s.declared(args[0], plan)
			if err != nil {
				return err
			}
			reach := idp.Reach{Prune: o.prune, Users: o.pruneUsers, Keep: app.Kept(plan)}
			if o.pruneUsers && len(want.Users) == 0 {
				return usage("%s declares no user, so --prune-users would delete everybody", args[0])
			}
			return s.withPasswords(cmd.Context(), func(ctx context.Context, st *app.Store) error {
				return s.apply(ctx, st, want, reach, o)
			})
		},
	}
	cmd.Flags().BoolVar(&o.prune, "prune", false, "remove groups, clients, resource servers and scopes that do not stand there")
	cmd.Flags().BoolVar(&o.pruneUsers, "prune-users", false, "overwrite users, and delete those that do not stand there")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "only show what would change")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "do not ask")
	return cmd
}

// declared reads the file; what is wrong with it has been printed when it returns
// an error of exit code 1.
func (s *settings) declared(path string, plan *app.Plan) (*idp.Bootstrap, error) {
	want, err := app.ReadDeclared(path, plan)
	var list *conf.Problems
	switch {
	case err == nil:
		return want, nil
	case errors.As(err, &list):
		if err := s.printProblems(path, list); err != nil {
			return nil, err
		}
		return nil, &exitError{code: exitProblems, quiet: true, err: err}
	}
	return nil, unreachable(err)
}

// applied is what apply prints as JSON.
type applied struct {
	*idp.Plan
	Applied bool `json:"applied"`
}

// apply shows what would change, asks, and does it.
func (s *settings) apply(ctx context.Context, st *app.Store, want *idp.Bootstrap, reach idp.Reach, o applying) error {
	plan, err := st.Plan(ctx, want, reach)
	if err != nil {
		return problems(err)
	}
	shown := s.Out
	if s.output == "json" {
		shown = io.Discard
		if plan.Changes == nil {
			plan.Changes = []idp.Change{}
		}
		if !o.yes && !o.dryRun {
			shown = s.Err // what is asked about is seen
		}
	}
	writePlan(shown, plan)
	result := applied{Plan: plan}
	if !o.dryRun && len(plan.Changes) > 0 {
		if err := s.confirm(o.yes, "Apply %s?", count(len(plan.Changes), "change")); err != nil {
			return err
		}
		if err := st.Apply(ctx, plan); err != nil {
			return problems(fmt.Errorf("nothing was changed: %w", err))
		}
		result.Applied = true
	}
	err = s.print(result, func(w io.Writer) { fmt.Fprintln(w, summary(plan, o)) })
	if err == nil && o.dryRun && len(plan.Changes) > 0 {
		return &exitError{code: exitProblems, quiet: true, err: errors.New("there would be changes")}
	}
	return err
}

func summary(plan *idp.Plan, o applying) string {
	n := map[idp.Verb]int{}
	for _, c := range plan.Changes {
		n[c.Verb]++
	}
	text := fmt.Sprintf("%d added, %d changed, %d removed", n[idp.Add], n[idp.Alter], n[idp.Remove])
	switch {
	case len(plan.Changes) == 0:
		return "nothing to change"
	case o.dryRun:
		return text + ": this was a dry run, nothing was changed"
	}
	return text
}

// signs mark changes as in a diff.
var signs = map[idp.Verb]string{idp.Add: "+", idp.Alter: "~", idp.Remove: "-"}

// writePlan shows a plan to people.
func writePlan(w io.Writer, plan *idp.Plan) {
	for _, c := range plan.Changes {
		fmt.Fprintf(w, "%s %s %s\n", signs[c.Verb], c.What, c.Name)
		for _, f := range c.Fields {
			if c.Verb == idp.Add {
				fmt.Fprintf(w, "    %s: %s\n", f.Name, oneLine(f.To))
				continue
			}
			fmt.Fprintf(w, "    %s: %s -> %s\n", f.Name, orDash(oneLine(f.From)), orDash(oneLine(f.To)))
		}
	}
	for _, n := range plan.Notes {
		why := "differs in " + strings.Join(n.Differs, ", ")
		if n.Deleted {
			why = "was deleted and is not made again"
		}
		fmt.Fprintf(w, "! user %s %s; only --prune-users overwrites users\n", n.User, why)
	}
}

// oneLine keeps a value from moving the lines around it, or a terminal.
func oneLine(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Sprintf("%q", text)
	}
	return text
}
