package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/idp/client"
	"gatehouse/idp/pool"

	"github.com/spf13/cobra"
)

func newScope(s *settings) *cobra.Command {
	return noun("scope", "Resource servers and their scopes", scopeAdd(s), scopeList(s), scopeDelete(s))
}

type scopeJSON struct {
	Name        string   `json:"name"`
	Server      string   `json:"resource_server"`
	Description string   `json:"description,omitempty"`
	Groups      []string `json:"groups,omitempty"`
}

func scopeAdd(s *settings) *cobra.Command {
	var sc client.Scope
	cmd := &cobra.Command{
		Use: "add NAME", Short: "Make or change a scope of a resource server", Args: cobra.ExactArgs(1),
		Long: "Make a scope of a resource server, and the server if it is new.\n\n" +
			"With --group the scope is given only to people in one of the groups, and to\nno machine. " +
			"Of a scope that is there only what is named here changes;\n--group= gives it to everybody.",
		Example: "  gatehouse scope add orders.read --server orders --description \"Read orders\"\n" +
			"  gatehouse scope add payroll.read --server payroll --group finance",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withStore(cmd.Context(), func(ctx context.Context, st *app.Store) error {
				sc.Name = args[0]
				if err := knownGroups(ctx, st, sc.Groups); err != nil {
					return err
				}
				made, err := keepScope(ctx, st, &sc, cmd)
				if err != nil {
					return err
				}
				err = st.Clients.PutScope(ctx, sc)
				if errors.Is(err, client.ErrNotFound) {
					if err = st.Clients.PutServer(ctx, client.ResourceServer{ID: sc.Server}); err == nil {
						err = st.Clients.PutScope(ctx, sc)
					}
				}
				if err != nil {
					return problems(fmt.Errorf("add scope %s: %w", sc.Name, err))
				}
				return s.done("scope %s of %s %s", sc.Name, sc.Server, made)
			})
		},
	}
	cmd.Flags().StringVar(&sc.Server, "server", "", "`ID` of the resource server it belongs to")
	cmd.Flags().StringVar(&sc.Description, "description", "", "what it allows, in words")
	cmd.Flags().StringSliceVar(&sc.Groups, "group", nil, "`GROUP` whose members alone get it; may be repeated")
	if err := cmd.MarkFlagRequired("server"); err != nil {
		panic(err) // the flag is defined four lines above
	}
	return cmd
}

// keepScope gives sc what cmd says nothing of, if there is such a scope: one that is
// tied to groups must not be everybody's because its description was changed. It
// returns what is done to it.
func keepScope(ctx context.Context, st *app.Store, sc *client.Scope, cmd *cobra.Command) (string, error) {
	all, err := st.Clients.Scopes(ctx)
	if err != nil {
		return "", problems(fmt.Errorf("list scopes: %w", err))
	}
	for _, have := range all {
		if have.Name != sc.Name {
			continue
		}
		if !cmd.Flags().Changed("description") {
			sc.Description = have.Description
		}
		if !cmd.Flags().Changed("group") {
			sc.Groups = have.Groups
		}
		return "changed", nil
	}
	return "made", nil
}

// knownGroups refuses a group that does not exist: a scope that is tied to it would
// silently be given to nobody.
func knownGroups(ctx context.Context, st *app.Store, wanted []string) error {
	for _, name := range wanted {
		_, err := st.Pool.FindGroup(ctx, name)
		if errors.Is(err, pool.ErrNotFound) {
			return problems(fmt.Errorf("there is no group %q; make it with `gatehouse group add %s`", name, name))
		}
		if err != nil {
			return problems(fmt.Errorf("find group %s: %w", name, err))
		}
	}
	return nil
}

func scopeList(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List scopes", Args: cobra.NoArgs, Example: "  gatehouse scope list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.withStore(cmd.Context(), func(ctx context.Context, st *app.Store) error {
				scopes, err := st.Clients.Scopes(ctx)
				if err != nil {
					return problems(fmt.Errorf("list scopes: %w", err))
				}
				all := []scopeJSON{}
				for _, sc := range scopes {
					all = append(all, scopeJSON{sc.Name, sc.Server, sc.Description, sc.Groups})
				}
				return s.print(all, func(w io.Writer) {
					t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
					fmt.Fprintln(t, "SCOPE\tSERVER\tGROUPS\tDESCRIPTION")
					for _, sc := range all {
						fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", sc.Name, sc.Server, orDash(strings.Join(sc.Groups, ",")), orDash(sc.Description))
					}
					t.Flush()
				})
			})
		},
	}
}

func scopeDelete(s *settings) *cobra.Command {
	return s.deletes(deletion{
		use: "delete NAME", short: "Delete a scope", example: "  gatehouse scope delete payroll.read --yes", what: "scope",
		do: func(ctx context.Context, st *app.Store, name string) error { return st.Clients.DeleteScope(ctx, name) },
	})
}
