package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/idp/client"

	"github.com/spf13/cobra"
)

func newClient(s *settings) *cobra.Command {
	return noun("client", "App clients: programs that get tokens",
		clientAdd(s), clientList(s), clientShow(s), clientSet(s), clientSecret(s), clientDelete(s))
}

// clientJSON is an app client as printed; Secret only where it was just made.
type clientJSON struct {
	ID           string   `json:"client_id"`
	Name         string   `json:"name,omitempty"`
	Type         string   `json:"type"`
	Secret       string   `json:"client_secret,omitempty"`
	SecretIDs    []string `json:"secret_ids,omitempty"`
	Grants       []string `json:"grants"`
	Scopes       []string `json:"scopes"`
	RedirectURIs []string `json:"redirect_uris,omitempty"`
	SignOutURIs  []string `json:"sign_out_uris,omitempty"`
	AccessTTL    string   `json:"access_ttl"`
	RefreshTTL   string   `json:"refresh_ttl"`
	Managed      bool     `json:"managed"`
}

func describeClient(c client.Client) clientJSON {
	d := clientJSON{
		ID: c.ID, Name: c.Name, Type: "confidential", Grants: c.Grants, Scopes: c.Scopes,
		RedirectURIs: c.RedirectURIs, SignOutURIs: c.SignOutURIs,
		AccessTTL: c.AccessTTL.String(), RefreshTTL: c.RefreshTTL.String(), Managed: c.Managed,
	}
	if c.Public {
		d.Type = "public"
	}
	for _, secret := range c.Secrets {
		d.SecretIDs = append(d.SecretIDs, secret.ID)
	}
	return d
}

func clientAdd(s *settings) *cobra.Command {
	var c client.Client
	cmd := &cobra.Command{
		Use: "add ID", Short: "Register an app client; its secret is shown once", Args: cobra.ExactArgs(1),
		Example: "  gatehouse client add reporter --grant client_credentials --scope orders.read\n" +
			"  gatehouse client add spa --public --redirect-uri https://spa.example.com/cb --scope openid --scope email",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withStore(cmd.Context(), func(ctx context.Context, st *app.Store) error {
				c.ID = args[0]
				if len(c.Grants) == 0 {
					c.Grants = []string{client.AuthorizationCode, client.RefreshToken}
				}
				if err := knownScopes(ctx, st, c.Scopes); err != nil {
					return err
				}
				made, secret, err := st.Clients.Create(ctx, c)
				if err != nil {
					return problems(fmt.Errorf("add client %s: %w", c.ID, err))
				}
				d := describeClient(made)
				d.Secret = secret
				return s.print(d, func(w io.Writer) {
					fmt.Fprintf(w, "client_id      %s\n", d.ID)
					if secret != "" {
						fmt.Fprintf(w, "client_secret  %s\n", secret)
						fmt.Fprintln(s.Err, "The secret is not shown again.")
					}
				})
			})
		},
	}
	cmd.Flags().BoolVar(&c.Public, "public", false, "a client that cannot keep a secret: a browser or a phone")
	clientFlags(cmd, &c)
	return cmd
}

// clientFlags are the flags of what can be changed of a client.
func clientFlags(cmd *cobra.Command, c *client.Client) {
	f := cmd.Flags()
	f.StringVar(&c.Name, "name", "", "display `NAME`")
	f.StringSliceVar(&c.Grants, "grant", nil, "`GRANT` it may use: authorization_code, refresh_token, client_credentials (default: the first two)")
	f.StringSliceVar(&c.Scopes, "scope", nil, "`SCOPE` it may ask for; may be repeated")
	f.StringSliceVar(&c.RedirectURIs, "redirect-uri", nil, "`URI` a code may be sent to, compared exactly; may be repeated")
	f.StringSliceVar(&c.SignOutURIs, "sign-out-uri", nil, "`URI` the browser may be sent to after sign-out; may be repeated")
	f.DurationVar(&c.AccessTTL, "access-ttl", client.DefaultTTL, "life of its access tokens, 5m to 24h")
	f.DurationVar(&c.IDTTL, "id-ttl", client.DefaultTTL, "life of its ID tokens, 5m to 24h")
	f.DurationVar(&c.RefreshTTL, "refresh-ttl", client.DefaultRefreshTTL, "life of a refresh token and all that follow it")
	f.StringSliceVar(&c.ReadAttributes, "read-attribute", nil, "`NAME` of an attribute it is told (default: all but custom ones); may be repeated")
	f.StringSliceVar(&c.WriteAttributes, "write-attribute", nil, "`NAME` of an attribute people may set who sign up on the way to it (default: all but custom ones); may be repeated")
	f.BoolVar(&c.NoRevocation, "no-revocation", false, "turn the revocation endpoint off for it")
}

// clientSet replaces what its flags name.
func clientSet(s *settings) *cobra.Command {
	var n client.Client
	cmd := &cobra.Command{
		Use: "set ID", Short: "Change an app client; what no flag names stays", Args: cobra.ExactArgs(1),
		Long:    "Change an app client. A flag that may be repeated replaces the whole list. What\nwas issued to the client ends when it loses a grant or a scope.",
		Example: "  gatehouse client set spa --scope openid --scope email --access-ttl 15m",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withStore(cmd.Context(), func(ctx context.Context, st *app.Store) error {
				c, err := st.Clients.Find(ctx, args[0])
				if err != nil {
					return problems(fmt.Errorf("find client %s: %w", args[0], err))
				}
				replace(cmd, &c, n)
				if err := knownScopes(ctx, st, n.Scopes); err != nil {
					return err
				}
				if err := st.Clients.Update(ctx, c); err != nil {
					return problems(fmt.Errorf("change client %s: %w", c.ID, err))
				}
				return s.done("client %s changed", c.ID)
			})
		},
	}
	clientFlags(cmd, &n)
	return cmd
}

// replace takes from n what the flags of cmd have set.
func replace(cmd *cobra.Command, c *client.Client, n client.Client) {
	for flag, take := range map[string]func(){
		"name": func() { c.Name = n.Name }, "grant": func() { c.Grants = n.Grants }, "scope": func() { c.Scopes = n.Scopes },
		"redirect-uri": func() { c.RedirectURIs = n.RedirectURIs }, "sign-out-uri": func() { c.SignOutURIs = n.SignOutURIs },
		"access-ttl": func() { c.AccessTTL = n.AccessTTL }, "id-ttl": func() { c.IDTTL = n.IDTTL },
		"refresh-ttl":    func() { c.RefreshTTL = n.RefreshTTL },
		"read-attribute": func() { c.ReadAttributes = n.ReadAttributes }, "write-attribute": func() { c.WriteAttributes = n.WriteAttributes },
		"no-revocation": func() { c.NoRevocation = n.NoRevocation },
	} {
		if cmd.Flags().Changed(flag) {
			take()
		}
	}
}

// knownScopes refuses a scope that does not exist: a client that lists it would
// silently never be given it.
func knownScopes(ctx context.Context, st *app.Store, wanted []string) error {
	scopes, err := st.Clients.Scopes(ctx)
	if err != nil {
		return problems(fmt.Errorf("list scopes: %w", err))
	}
	for _, name := range wanted {
		known := client.Standard(name) || slices.ContainsFunc(scopes, func(sc client.Scope) bool { return sc.Name == name })
		if !known {
			return problems(fmt.Errorf("there is no scope %q; make it with `gatehouse scope add %s --server SERVER`", name, name))
		}
	}
	return nil
}

func clientList(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List app clients", Args: cobra.NoArgs, Example: "  gatehouse client list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.withStore(cmd.Context(), func(ctx context.Context, st *app.Store) error {
				clients, err := st.Clients.List(ctx)
				if err != nil {
					return problems(fmt.Errorf("list clients: %w", err))
				}
				all := []clientJSON{}
				for _, c := range clients {
					all = append(all, describeClient(c))
				}
				return s.print(all, func(w io.Writer) {
					t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
					fmt.Fprintln(t, "CLIENT_ID\tTYPE\tGRANTS\tSCOPES")
					for _, c := range all {
						fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", c.ID, c.Type, strings.Join(c.Grants, ","), orDash(strings.Join(c.Scopes, ",")))
					}
					t.Flush()
				})
			})
		},
	}
}

func clientShow(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "show ID", Short: "Show an app client", Args: cobra.ExactArgs(1), Example: "  gatehouse client show orders-job",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withStore(cmd.Context(), func(ctx context.Context, st *app.Store) error {
				c, err := st.Clients.Find(ctx, args[0])
				if err != nil {
					return problems(fmt.Errorf("find client %s: %w", args[0], err))
				}
				d := describeClient(c)
				return s.print(d, func(w io.Writer) {
					fmt.Fprintf(w, "%s  %s  grants: %s  scopes: %s\n", d.ID, d.Type, strings.Join(d.Grants, ", "), orDash(strings.Join(d.Scopes, ", ")))
					for _, u := range d.RedirectURIs {
						fmt.Fprintf(w, "  redirect  %s\n", u)
					}
					for _, u := range d.SignOutURIs {
						fmt.Fprintf(w, "  sign-out  %s\n", u)
					}
					for _, id := range d.SecretIDs {
						fmt.Fprintf(w, "  secret    %s\n", id)
					}
				})
			})
		},
	}
}

// clientSecret replaces a secret without a gap: add the second, change the
// program over, remove the first.
func clientSecret(s *settings) *cobra.Command {
	add := &cobra.Command{
		Use: "add ID", Short: "Give a client a second secret, shown once", Args: cobra.ExactArgs(1), Example: "  gatehouse client secret add reporter",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withStore(cmd.Context(), func(ctx context.Context, st *app.Store) error {
				made, value, err := st.Clients.AddSecret(ctx, args[0])
				if err != nil {
					return problems(fmt.Errorf("add secret: %w", err))
				}
				return s.print(map[string]string{"secret_id": made.ID, "client_secret": value}, func(w io.Writer) {
					fmt.Fprintf(w, "secret_id      %s\nclient_secret  %s\n", made.ID, value)
					fmt.Fprintln(s.Err, "The secret is not shown again.")
				})
			})
		},
	}
	remove := &cobra.Command{
		Use: "remove ID SECRET_ID", Short: "Remove a secret of a client", Args: cobra.ExactArgs(2), Example: "  gatehouse client secret remove reporter k3v7q2ab",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withStore(cmd.Context(), func(ctx context.Context, st *app.Store) error {
				if err := st.Clients.RemoveSecret(ctx, args[0], args[1]); err != nil {
					return problems(fmt.Errorf("remove secret: %w", err))
				}
				return s.done("secret %s of %s removed", args[1], args[0])
			})
		},
	}
	return noun("secret", "Secrets of an app client", add, remove)
}

func clientDelete(s *settings) *cobra.Command {
	return s.deletes(deletion{
		use: "delete ID", short: "Delete an app client, and end its tokens", example: "  gatehouse client delete reporter --yes", what: "client",
		do: func(ctx context.Context, st *app.Store, id string) error { return st.Clients.Delete(ctx, id) },
	})
}
