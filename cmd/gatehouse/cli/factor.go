package cli

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/idp/mfa"
	"gatehouse/idp/pool"

	"github.com/spf13/cobra"
)

func newFactor(s *settings) *cobra.Command {
	return noun("factor", "Second factors of users", factorList(s), factorRemove(s), factorReset(s))
}

type factorJSON struct {
	Kind    string `json:"kind"`
	ID      string `json:"id,omitempty"`
	Name    string `json:"name,omitempty"`
	Created string `json:"created"`
	Used    string `json:"used,omitempty"`
}

type factorsJSON struct {
	Factors      []factorJSON `json:"factors"`
	Preferred    string       `json:"preferred,omitempty"`
	RecoveryLeft int          `json:"recovery_codes_left"`
}

func factorList(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "list NAME", Short: "List a user's second factors", Args: cobra.ExactArgs(1), Example: "  gatehouse factor list dana",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withUser(cmd.Context(), args[0], func(ctx context.Context, st *app.Store, u pool.User) error {
				set, err := st.Factors.Of(ctx, u.ID)
				if err != nil {
					return problems(err)
				}
				out := factorsJSON{Factors: []factorJSON{}, Preferred: string(set.Preferred), RecoveryLeft: set.RecoveryLeft}
				for _, f := range set.Factors {
					out.Factors = append(out.Factors, factorJSON{string(f.Kind), f.ID, f.Name, stamp(f.Created), stampOrNone(f.Used)})
				}
				return s.print(out, func(w io.Writer) {
					t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
					fmt.Fprintln(t, "KIND\tNAME\tSET UP\tLAST USED\tID")
					for _, f := range out.Factors {
						fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", f.Kind, orDash(f.Name), f.Created, orDash(f.Used), orDash(f.ID))
					}
					t.Flush()
					fmt.Fprintf(w, "recovery codes left: %d\n", out.RecoveryLeft)
				})
			})
		},
	}
}

func stampOrNone(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return stamp(t)
}

func factorRemove(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME KIND [ID]", Short: "Remove one second factor, and end what is running", Args: cobra.RangeArgs(2, 3),
		Long:    "Remove one second factor, and end every session and token. A passkey is named by\nits ID, which `gatehouse factor list` shows.",
		Example: "  gatehouse factor remove dana totp\n  gatehouse factor remove dana passkey kD2m…",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withUser(cmd.Context(), args[0], func(ctx context.Context, st *app.Store, u pool.User) error {
				groups, err := st.Pool.GroupsOf(ctx, u.ID)
				if err != nil {
					return problems(err)
				}
				id := ""
				if len(args) > 2 {
					id = args[2]
				}
				who := mfa.Person{ID: u.ID, Name: u.Username, Groups: pool.Names(groups)}
				if err := st.Factors.Remove(ctx, who, mfa.Kind(args[1]), id); err != nil {
					return problems(fmt.Errorf("remove factor of %s: %w", u.Username, err))
				}
				return s.done("%s of %s removed; sessions and tokens of before have ended", args[1], u.Username)
			})
		},
	}
}

func factorReset(s *settings) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "reset NAME", Short: "Remove every second factor of a user who has lost them", Args: cobra.ExactArgs(1),
		Long:    "Remove every second factor of a user, with recovery codes and remembered devices,\nand end every session and token. Make sure that it is the user who asks: with the\npassword alone one is in afterwards.",
		Example: "  gatehouse factor reset dana",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withUser(cmd.Context(), args[0], func(ctx context.Context, st *app.Store, u pool.User) error {
				if err := s.confirm(yes, "Remove every second factor of %s?", u.Username); err != nil {
					return err
				}
				if err := st.Factors.Reset(ctx, u.ID); err != nil {
					return problems(fmt.Errorf("reset factors of %s: %w", u.Username, err))
				}
				return s.done("%s has no second factor any more; sessions and tokens of before have ended", u.Username)
			})
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
