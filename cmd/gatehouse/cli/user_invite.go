package cli

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/idp/account"
	"gatehouse/idp/pool"

	"github.com/spf13/cobra"
)

// userInvite sends another link to somebody who was invited.
func userInvite(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "invite NAME", Short: "Send an invitation once more; the link before is dead", Args: cobra.ExactArgs(1),
		Long:    "Send another link to somebody who was invited, by `gatehouse user add --invite`, and\nhas not set up the account yet. The link before is dead. A running server sends\nit; without one it waits until there is one.",
		Example: "  gatehouse user invite dana",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withUser(cmd.Context(), args[0], func(ctx context.Context, st *app.Store, u pool.User) error {
				if err := st.Accounts.InviteAgain(ctx, u.ID); err != nil {
					return problems(fmt.Errorf("invite %s: %w", u.Username, uninvited(err)))
				}
				return s.done("%s: the invitation to %s is on its way", u.Username, u.Email)
			})
		},
	}
}

// uninvited says what an invitation lacks.
func uninvited(err error) error {
	if errors.Is(err, account.ErrClosed) {
		return fmt.Errorf("%w: nobody can be invited without idp.mail, nor with idp.account.sign_up: off", err)
	}
	return err
}
