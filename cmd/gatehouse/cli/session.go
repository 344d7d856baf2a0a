package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/idp/pool"

	"github.com/spf13/cobra"
)

func newSession(s *settings) *cobra.Command {
	return noun("session", "Sign-ins at the provider", sessionList(s), sessionEnd(s))
}

type sessionJSON struct {
	ID        string   `json:"id"`
	Created   string   `json:"created"`
	Seen      string   `json:"seen"`
	Expires   string   `json:"expires"`
	AMR       []string `json:"amr"`
	IP        string   `json:"ip,omitempty"`
	UserAgent string   `json:"user_agent,omitempty"`
}

func sessionList(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "list NAME", Short: "List a user's sign-ins, the newest first", Args: cobra.ExactArgs(1),
		Example: "  gatehouse session list dana\n  gatehouse session list dana --output json",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withUser(cmd.Context(), args[0], func(ctx context.Context, st *app.Store, u pool.User) error {
				found, err := st.Sessions.OfUser(ctx, u.ID)
				if err != nil {
					return problems(err)
				}
				all := []sessionJSON{}
				for _, v := range found {
					all = append(all, sessionJSON{v.ID, stamp(v.Created), stamp(v.Seen), stamp(v.Expires), v.AMR, v.IP, v.UserAgent})
				}
				return s.print(all, func(w io.Writer) {
					t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
					fmt.Fprintln(t, "ID\tSIGNED IN\tLAST SEEN\tBY\tFROM\tBROWSER")
					for _, v := range all {
						fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", v.ID, v.Created, v.Seen, strings.Join(v.AMR, ","), orDash(v.IP), orDash(plainText(v.UserAgent)))
					}
					t.Flush()
				})
			})
		},
	}
}

// plainText is what a browser said of itself, without what would move the
// cursor of a terminal.
func plainText(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, text)
}

func sessionEnd(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "end NAME ID", Short: "End one sign-in with all that was issued in it", Args: cobra.ExactArgs(2),
		Long:    "End one sign-in with all that was issued in it. `gatehouse user sign-out` ends all\nof a user's.",
		Example: "  gatehouse session end dana 3vZ0q1yTQmS4c0dC8rJ2Kw",
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.withUser(cmd.Context(), args[0], func(ctx context.Context, st *app.Store, u pool.User) error {
				found, err := st.Sessions.OfUser(ctx, u.ID)
				if err != nil {
					return problems(err)
				}
				for _, v := range found {
					if v.ID != args[1] {
						continue
					}
					if err := st.Mint.EndSession(ctx, v.ID, u.ID); err != nil {
						return problems(fmt.Errorf("end session: %w", err))
					}
					return s.done("session %s of %s ended", v.ID, u.Username)
				}
				return problems(fmt.Errorf("%s has no session %s; see `gatehouse session list %s`", u.Username, args[1], u.Username))
			})
		},
	}
}
