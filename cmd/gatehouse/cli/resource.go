package cli

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/idp/client"

	"github.com/spf13/cobra"
)

func newResource(s *settings) *cobra.Command {
	return noun("resource", "Resource servers: APIs that scopes belong to", resourceAdd(s), resourceList(s), resourceDelete(s))
}

type resourceJSON struct {
	ID     string   `json:"id"`
	Name   string   `json:"name,omitempty"`
	Scopes []string `json:"scopes"`
}

func resourceAdd(s *settings) *cobra.Command {
	var r client.ResourceServer
	cmd := &cobra.Command{
		Use: "add ID", Short: "Make a resource server, or rename one", Args: cobra.ExactArgs(1),
		Example: "  gatehouse resource add orders --name Orders\n  gatehouse scope add orders.read --server orders",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withStore(cmd.Context(), func(ctx context.Context, st *app.Store) error {
				r.ID = args[0]
				if !cmd.Flags().Changed("name") {
					servers, err := st.Clients.Servers(ctx)
					if err != nil {
						return problems(fmt.Errorf("list resource servers: %w", err))
					}
					for _, have := range servers {
						if have.ID == r.ID {
							r.Name = have.Name
						}
					}
				}
				if err := st.Clients.PutServer(ctx, r); err != nil {
					return problems(fmt.Errorf("add resource server %s: %w", r.ID, err))
				}
				return s.done("resource server %s made", r.ID)
			})
		},
	}
	cmd.Flags().StringVar(&r.Name, "name", "", "`NAME` for people to read")
	return cmd
}

func resourceList(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List resource servers", Args: cobra.NoArgs, Example: "  gatehouse resource list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.withStore(cmd.Context(), func(ctx context.Context, st *app.Store) error {
				servers, err := st.Clients.Servers(ctx)
				if err != nil {
					return problems(fmt.Errorf("list resource servers: %w", err))
				}
				scopes, err := st.Clients.Scopes(ctx)
				if err != nil {
					return problems(fmt.Errorf("list scopes: %w", err))
				}
				all := []resourceJSON{}
				for _, r := range servers {
					one := resourceJSON{r.ID, r.Name, []string{}}
					for _, sc := range scopes {
						if sc.Server == r.ID {
							one.Scopes = append(one.Scopes, sc.Name)
						}
					}
					all = append(all, one)
				}
				return s.print(all, func(w io.Writer) {
					t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
					fmt.Fprintln(t, "ID\tSCOPES\tNAME")
					for _, r := range all {
						fmt.Fprintf(t, "%s\t%d\t%s\n", r.ID, len(r.Scopes), orDash(r.Name))
					}
					t.Flush()
				})
			})
		},
	}
}

func resourceDelete(s *settings) *cobra.Command {
	return s.deletes(deletion{
		use: "delete ID", short: "Delete a resource server with its scopes", example: "  gatehouse resource delete orders --yes", what: "resource server",
		do: func(ctx context.Context, st *app.Store, id string) error { return st.Clients.DeleteServer(ctx, id) },
	})
}
