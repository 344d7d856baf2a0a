package cli

import (
	"context"
	"fmt"
	"strings"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/idp/pool"

	"github.com/spf13/cobra"
)

// userSet changes what is known of a user; what no flag names stays.
func userSet(s *settings) *cobra.Command {
	var email, phone, name string
	var emailVerified, phoneVerified bool
	var attributes []string
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Change a user's address, number, name or attributes", Args: cobra.ExactArgs(1),
		Long: "Change what is known of a user; what no flag names stays as it is. A new address\nor number is not verified unless its flag says so. Sessions and tokens of before\nend where rules may depend on what changed.",
		Example: "  gatehouse user set dana --email dana@example.org --email-verified\n" +
			"  gatehouse user set dana --attribute given_name=Dana --attribute custom:team=blue --attribute nickname=",
		RunE: func(cmd *cobra.Command, args []string) error {
			given, err := pairs(attributes)
			if err != nil {
				return err
			}
			changes := pool.Changes{Attributes: given}
			for flag, set := range map[string]func(){
				"email": func() { changes.Email = &email }, "email-verified": func() { changes.EmailVerified = &emailVerified },
				"phone": func() { changes.Phone = &phone }, "phone-verified": func() { changes.PhoneVerified = &phoneVerified },
				"name": func() { changes.Name = &name },
			} {
				if cmd.Flags().Changed(flag) {
					set()
				}
			}
			return s.withUser(cmd.Context(), args[0], func(ctx context.Context, st *app.Store, u pool.User) error {
				if err := st.Pool.Change(ctx, u.ID, changes); err != nil {
					return problems(fmt.Errorf("change %s: %w", u.Username, err))
				}
				after, err := st.Pool.Get(ctx, u.ID)
				if err != nil {
					return problems(err)
				}
				return s.printUser(ctx, st, after)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&email, "email", "", "`ADDRESS`; \"\" removes it")
	f.BoolVar(&emailVerified, "email-verified", false, "the address is known to be theirs, and a name to sign in with")
	f.StringVar(&phone, "phone", "", "`NUMBER` such as +41791234567; \"\" removes it")
	f.BoolVar(&phoneVerified, "phone-verified", false, "the number is known to be theirs")
	f.StringVar(&name, "name", "", "display `NAME`")
	f.StringArrayVar(&attributes, "attribute", nil, "`NAME=VALUE` of a standard or custom: attribute, NAME= removes it; may be repeated")
	return cmd
}

// pairs reads NAME=VALUE arguments.
func pairs(args []string) (map[string]string, error) {
	all := map[string]string{}
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok || name == "" {
			return nil, usage("--attribute is %q, want NAME=VALUE", arg)
		}
		if _, twice := all[name]; twice {
			return nil, usage("--attribute %s occurs twice", name)
		}
		all[name] = value
	}
	return all, nil
}
