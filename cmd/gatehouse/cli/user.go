package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/idp/pool"

	"github.com/spf13/cobra"
)

func newUser(s *settings) *cobra.Command {
	return noun("user", "People who can sign in",
		userAdd(s), userInvite(s), userList(s), userShow(s), userSet(s), userPassword(s),
		userState(s, "disable", "Keep a user from signing in, and end what is running", (*pool.Pool).Disable),
		userState(s, "enable", "Let a user sign in again", (*pool.Pool).Enable),
		userEnd(s, "sign-out", "End every session and token of a user", "signed out", (*pool.Pool).SignOut),
		userEnd(s, "require-reset", "Make a password worthless until the person has chosen a new one", "has to choose a new password", (*pool.Pool).RequireReset),
		userDelete(s), userImport(s), userExport(s), userHeader(s))
}

// userJSON is a user as printed: never the password's hash.
type userJSON struct {
	ID            string            `json:"sub"`
	Username      string            `json:"username"`
	Email         string            `json:"email,omitempty"`
	EmailVerified bool              `json:"email_verified"`
	Phone         string            `json:"phone_number,omitempty"`
	PhoneVerified bool              `json:"phone_number_verified"`
	Name          string            `json:"name,omitempty"`
	Attributes    map[string]string `json:"attributes,omitempty"`
	Enabled       bool              `json:"enabled"`
	Status        string            `json:"status"`
	Groups        []string          `json:"groups"`
	Created       string            `json:"created"`
}

func describeUser(ctx context.Context, st *app.Store, u pool.User) (userJSON, error) {
	groups, err := st.Pool.GroupsOf(ctx, u.ID)
	if err != nil {
		return userJSON{}, fmt.Errorf("list groups of %s: %w", u.Username, err)
	}
	names := pool.Names(groups)
	if names == nil {
		names = []string{}
	}
	return userJSON{
		u.ID, u.Username, u.Email, u.EmailVerified, u.Phone, u.PhoneVerified, u.Name, u.Attributes,
		u.Enabled, string(u.Status), names, stamp(u.Created),
	}, nil
}

func userAdd(s *settings) *cobra.Command {
	var n pool.NewUser
	var from string
	var invite bool
	var attributes []string
	cmd := &cobra.Command{
		Use: "add USERNAME", Short: "Make a user", Args: cobra.ExactArgs(1),
		Long: "Make a user. The password is asked for, or read from a file or standard input;\nit is never an argument. With --invite there is none: the person is mailed a link\nto choose one.",
		Example: "  gatehouse user add dana --email dana@example.com --email-verified --group staff\n" +
			"  gatehouse user add dana --email dana@example.com --invite\n" +
			"  gatehouse user add dana --password-file - < secret.txt",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withPasswords(cmd.Context(), func(ctx context.Context, st *app.Store) error {
				var err error
				n.Username = args[0]
				if n.Attributes, err = pairs(attributes); err != nil {
					return err
				}
				add := st.Accounts.Invite
				if !invite {
					add = st.Pool.Add
					if n.Password, err = s.secret(from, "password"); err != nil {
						return err
					}
				}
				u, err := add(ctx, n)
				if err != nil {
					return problems(fmt.Errorf("add user %s: %w", n.Username, uninvited(err)))
				}
				return s.printUser(ctx, st, u)
			})
		},
	}
	cmd.Flags().StringVar(&n.Email, "email", "", "`ADDRESS`, which also works as a name to sign in with once it is verified")
	cmd.Flags().BoolVar(&n.EmailVerified, "email-verified", false, "the address is known to be theirs; rules by e-mail domain need this")
	cmd.Flags().StringVar(&n.Phone, "phone", "", "`NUMBER` such as +41791234567")
	cmd.Flags().BoolVar(&n.PhoneVerified, "phone-verified", false, "the number is known to be theirs")
	cmd.Flags().StringVar(&n.Name, "name", "", "display `NAME`")
	cmd.Flags().StringArrayVar(&attributes, "attribute", nil, "`NAME=VALUE` of a standard or custom: attribute; may be repeated")
	cmd.Flags().BoolVar(&n.Temporary, "temporary", false, "they must choose another password when they first sign in")
	cmd.Flags().StringSliceVar(&n.Groups, "group", nil, "`GROUP` to put them into; may be repeated")
	cmd.Flags().StringVar(&from, "password-file", "", "`FILE` with the password, - for standard input; default: ask")
	cmd.Flags().BoolVar(&invite, "invite", false, "mail them a link to choose a password with; a running server sends it")
	cmd.MarkFlagsMutuallyExclusive("invite", "password-file")
	cmd.MarkFlagsMutuallyExclusive("invite", "temporary")
	return cmd
}

func (s *settings) printUser(ctx context.Context, st *app.Store, u pool.User) error {
	d, err := describeUser(ctx, st, u)
	if err != nil {
		return problems(err)
	}
	return s.print(d, func(w io.Writer) {
		state := "enabled"
		if !d.Enabled {
			state = "disabled"
		}
		if d.Status != string(pool.Confirmed) {
			state += ", " + d.Status
		}
		fmt.Fprintf(w, "%s  %s  %s  groups: %s  sub: %s\n", d.Username, orDash(d.Email), state, orDash(strings.Join(d.Groups, ", ")), d.ID)
		// Nothing goes to what is not verified: here is why somebody gets no code.
		if d.Email != "" && !d.EmailVerified {
			fmt.Fprintln(w, "  email  not verified")
		}
		if d.Phone != "" && d.PhoneVerified {
			fmt.Fprintf(w, "  phone_number  %s\n", d.Phone)
		} else if d.Phone != "" {
			fmt.Fprintf(w, "  phone_number  %s  not verified\n", d.Phone)
		}
		for _, name := range sortedKeys(d.Attributes) {
			fmt.Fprintf(w, "  %s  %s\n", name, d.Attributes[name])
		}
	})
}

func userShow(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show a user, by username or e-mail address", Args: cobra.ExactArgs(1),
		Example: "  gatehouse user show dana\n  gatehouse user show dana@example.com --output json",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withUser(cmd.Context(), args[0], s.printUser)
		},
	}
}

func userPassword(s *settings) *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use: "password NAME", Short: "Set a user's password, and end what is running", Args: cobra.ExactArgs(1),
		Example: "  gatehouse user password dana\n  gatehouse user password dana --password-file -",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withPasswords(cmd.Context(), found(args[0], func(ctx context.Context, st *app.Store, u pool.User) error {
				pass, err := s.secret(from, "new password")
				if err != nil {
					return err
				}
				if err := st.Pool.SetPassword(ctx, u.ID, pass, pool.Confirmed); err != nil {
					return problems(fmt.Errorf("set password of %s: %w", u.Username, err))
				}
				return s.done("password of %s set; sessions and tokens of before have ended", u.Username)
			}))
		},
	}
	cmd.Flags().StringVar(&from, "password-file", "", "`FILE` with the password, - for standard input; default: ask")
	return cmd
}

func userState(s *settings, verb, short string, do func(*pool.Pool, context.Context, string) error) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NAME", Short: short, Args: cobra.ExactArgs(1),
		Example: "  gatehouse user " + verb + " dana",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withUser(cmd.Context(), args[0], func(ctx context.Context, st *app.Store, u pool.User) error {
				if err := do(st.Pool, ctx, u.ID); err != nil {
					return problems(fmt.Errorf("%s %s: %w", verb, u.Username, err))
				}
				return s.done("%s: %sd", u.Username, verb)
			})
		},
	}
}

// userEnd is a command that ends what a user has running.
func userEnd(s *settings, verb, short, did string, do func(*pool.Pool, context.Context, string) error) *cobra.Command {
	return &cobra.Command{
		Use: verb + " NAME", Short: short, Args: cobra.ExactArgs(1),
		Example: "  gatehouse user " + verb + " dana",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withUser(cmd.Context(), args[0], func(ctx context.Context, st *app.Store, u pool.User) error {
				if err := do(st.Pool, ctx, u.ID); err != nil {
					return problems(fmt.Errorf("%s %s: %w", verb, u.Username, err))
				}
				return s.done("%s: %s; sessions and tokens of before have ended", u.Username, did)
			})
		},
	}
}

func userDelete(s *settings) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "delete NAME", Short: "Delete a user for good, and end what is running", Args: cobra.ExactArgs(1),
		Example: "  gatehouse user delete dana\n  gatehouse user delete dana --yes",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withUser(cmd.Context(), args[0], func(ctx context.Context, st *app.Store, u pool.User) error {
				if err := s.confirm(yes, "Delete %s (%s) for good?", u.Username, orDash(u.Email)); err != nil {
					return err
				}
				if err := st.Pool.Delete(ctx, u.ID); err != nil {
					return problems(fmt.Errorf("delete %s: %w", u.Username, err))
				}
				return s.done("%s: deleted; the configuration does not bring them back", u.Username)
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
