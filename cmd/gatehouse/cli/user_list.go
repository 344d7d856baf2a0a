package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"gatehouse/cmd/gatehouse/app"

	"github.com/spf13/cobra"
)

func userList(s *settings) *cobra.Command {
	unconfirmed := false
	cmd := &cobra.Command{
		Use: "list", Short: "List users", Args: cobra.NoArgs,
		Example: "  gatehouse user list\n  gatehouse user list --unconfirmed --output json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if unconfirmed {
				return s.withStore(cmd.Context(), s.listSignUps)
			}
			return s.withStore(cmd.Context(), func(ctx context.Context, st *app.Store) error {
				all := []userJSON{}
				for after := ""; ; {
					page, err := st.Pool.List(ctx, after, 500)
					if err != nil {
						return problems(fmt.Errorf("list users: %w", err))
					}
					for _, u := range page {
						d, err := describeUser(ctx, st, u)
						if err != nil {
							return problems(err)
						}
						all, after = append(all, d), u.Username
					}
					if len(page) < 500 {
						break
					}
				}
				return s.print(all, func(w io.Writer) { tabulateUsers(w, all) })
			})
		},
	}
	cmd.Flags().BoolVar(&unconfirmed, "unconfirmed", false, "list sign-ups that nobody has confirmed, which are no users yet")
	return cmd
}

// signUpJSON is a sign-up as printed.
type signUpJSON struct {
	Username string `json:"username,omitempty"`
	Email    string `json:"email,omitempty"`
	Phone    string `json:"phone_number,omitempty"`
	Status   string `json:"status"`
	Created  string `json:"created"`
	Expires  string `json:"expires"`
}

func (s *settings) listSignUps(ctx context.Context, st *app.Store) error {
	all := []signUpJSON{}
	for after := ""; ; {
		page, err := st.Accounts.Waiting(ctx, after, 500)
		if err != nil {
			return problems(err)
		}
		for _, u := range page {
			all = append(all, signUpJSON{u.Username, u.Email, u.Phone, string(u.Status()), stamp(u.Created), stamp(u.Expires)})
			after = u.ID
		}
		if len(page) < 500 {
			break
		}
	}
	return s.print(all, func(w io.Writer) {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "USERNAME\tEMAIL\tNUMBER\tSIGNED UP\tENDS")
		for _, u := range all {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", orDash(u.Username), orDash(u.Email), orDash(u.Phone), u.Created, u.Expires)
		}
		t.Flush()
	})
}

func tabulateUsers(w io.Writer, all []userJSON) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "USERNAME\tEMAIL\tENABLED\tSTATUS\tGROUPS\tSUB")
	for _, u := range all {
		fmt.Fprintf(t, "%s\t%s\t%t\t%s\t%s\t%s\n", u.Username, orDash(u.Email), u.Enabled, u.Status, orDash(strings.Join(u.Groups, ",")), u.ID)
	}
	t.Flush()
}
