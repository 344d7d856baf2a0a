package cli

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/idp/pool"

	"github.com/spf13/cobra"
)

func newGroup(s *settings) *cobra.Command {
	return noun("group", "Groups of users", groupAdd(s), groupList(s), groupShow(s), groupDelete(s),
		groupMember(s, "add-member", "added to", (*pool.Pool).AddToGroup),
		groupMember(s, "remove-member", "removed from", (*pool.Pool).RemoveFromGroup))
}

type groupJSON struct {
	Name        string   `json:"name"`
	Description string   `json:"description,omitempty"`
	Precedence  *int     `json:"precedence,omitempty"`
	RoleARN     string   `json:"role_arn,omitempty"`
	Members     []string `json:"members,omitempty"`
}

func groupAdd(s *settings) *cobra.Command {
	var g pool.Group
	var precedence int
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Make a group", Args: cobra.ExactArgs(1),
		Example: "  gatehouse group add staff --description \"Everyone on the payroll\"\n  gatehouse group add admins --precedence 0",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withStore(cmd.Context(), func(ctx context.Context, st *app.Store) error {
				g.Name = args[0]
				if cmd.Flags().Changed("precedence") {
					g.Precedence = &precedence
				}
				if err := st.Pool.AddGroup(ctx, g); err != nil {
					return problems(fmt.Errorf("add group %s: %w", g.Name, err))
				}
				return s.done("group %s made", g.Name)
			})
		},
	}
	cmd.Flags().StringVar(&g.Description, "description", "", "what the group is for")
	cmd.Flags().IntVar(&precedence, "precedence", 0, "`NUMBER` that orders a user's groups: the lowest first")
	cmd.Flags().StringVar(&g.RoleARN, "role-arn", "", "role of identity pools")
	return cmd
}

func groupList(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List groups", Args: cobra.NoArgs, Example: "  gatehouse group list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.withStore(cmd.Context(), func(ctx context.Context, st *app.Store) error {
				groups, err := st.Pool.ListGroups(ctx)
				if err != nil {
					return problems(fmt.Errorf("list groups: %w", err))
				}
				all := []groupJSON{}
				for _, g := range groups {
					all = append(all, groupJSON{Name: g.Name, Description: g.Description, Precedence: g.Precedence, RoleARN: g.RoleARN})
				}
				return s.print(all, func(w io.Writer) {
					t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
					fmt.Fprintln(t, "NAME\tPRECEDENCE\tDESCRIPTION")
					for _, g := range all {
						fmt.Fprintf(t, "%s\t%s\t%s\n", g.Name, precedenceText(g.Precedence), orDash(g.Description))
					}
					t.Flush()
				})
			})
		},
	}
}

func precedenceText(p *int) string {
	if p == nil {
		return "-"
	}
	return fmt.Sprint(*p)
}

func groupShow(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a group and who is in it", Args: cobra.ExactArgs(1), Example: "  gatehouse group show admins",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withStore(cmd.Context(), func(ctx context.Context, st *app.Store) error {
				g, err := st.Pool.FindGroup(ctx, args[0])
				if err != nil {
					return problems(fmt.Errorf("find group %s: %w", args[0], err))
				}
				members, err := st.Pool.UsersIn(ctx, g.Name)
				if err != nil {
					return problems(fmt.Errorf("list members of %s: %w", g.Name, err))
				}
				d := groupJSON{Name: g.Name, Description: g.Description, Precedence: g.Precedence, RoleARN: g.RoleARN}
				for _, u := range members {
					d.Members = append(d.Members, u.Username)
				}
				return s.print(d, func(w io.Writer) {
					fmt.Fprintf(w, "%s  precedence: %s  %s\n", d.Name, precedenceText(d.Precedence), orDash(d.Description))
					for _, m := range d.Members {
						fmt.Fprintf(w, "  %s\n", m)
					}
				})
			})
		},
	}
}

func groupDelete(s *settings) *cobra.Command {
	return s.deletes(deletion{
		use: "delete NAME", short: "Delete a group; its members lose it at once", example: "  gatehouse group delete staff --yes", what: "group",
		do: func(ctx context.Context, st *app.Store, name string) error { return st.Pool.DeleteGroup(ctx, name) },
	})
}

func groupMember(s *settings, verb, told string, do func(*pool.Pool, context.Context, string, string) error) *cobra.Command {
	return &cobra.Command{
		Use: verb + " GROUP USER", Short: "Change who is in a group; the user signs in anew", Args: cobra.ExactArgs(2),
		Example: "  gatehouse group " + verb + " admins dana",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withUser(cmd.Context(), args[1], func(ctx context.Context, st *app.Store, u pool.User) error {
				if err := do(st.Pool, ctx, u.ID, args[0]); err != nil {
					return problems(fmt.Errorf("%s %s: %w", verb, args[0], err))
				}
				return s.done("%s %s %s", u.Username, told, args[0])
			})
		},
	}
}
