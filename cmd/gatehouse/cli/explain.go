package cli

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/proxy/whatif"

	"github.com/spf13/cobra"
)

// explainFlags are the flags of `gatehouse explain`.
type explainFlags struct {
	as        string
	token     string
	ip        string
	websocket bool
}

func newExplain(s *settings) *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain METHOD URL",
		Short: "Say who may open what, and why",
		Long: `Say what the gateway would do with a request: the route it takes, the rule with
its line, the decision, and what would change it. Nothing is sent.

URL may be a path; then it is one of the first public URL. Without --as and
--token nobody is asking. Exit code 0 means the account was given, whether the
request is allowed or not.`,
		Example: "  gatehouse explain GET /admin/ --as bob\n  gatehouse explain GET /api/orders/7 --token - < token.txt\n  gatehouse explain GET https://app.example.com/ws --websocket --as alice",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if f.as != "" && f.token != "" {
				return usage("--as and --token are two askers: give one")
			}
			plan, _, err := s.load()
			if err != nil {
				return err
			}
			ctx := cmd.Context()
			q := whatif.Question{Method: strings.ToUpper(args[0]), URL: args[1], Origin: plan.Origin(), Websocket: f.websocket}
			if q.Client, err = netip.ParseAddr(f.ip); err != nil {
				return usage("--ip is %q, want an address such as 203.0.113.9", f.ip)
			}
			var token string
			if f.token != "" {
				if token, err = s.secret(f.token, "token"); err != nil {
					return err
				}
			}
			asking, err := app.OpenAsking(ctx, plan)
			if err != nil {
				return unreachable(err)
			}
			defer func() { err = errors.Join(err, asking.Close()) }()
			if q.Identity, q.Who, err = asking.Identify(ctx, f.as, token); err != nil {
				return problems(err)
			}
			answer, err := whatif.Explain(ctx, asking.Gate, asking.Policy, q)
			if err != nil {
				return usage("%w", err)
			}
			return s.print(answer, func(w io.Writer) { answer.Write(w); fmt.Fprintln(w) })
		},
	}
	cmd.Flags().StringVar(&f.as, "as", "", "`USER` of the pool who asks, by username or e-mail address")
	cmd.Flags().StringVar(&f.token, "token", "", "`FILE` with the access token that asks, - for standard input")
	cmd.Flags().StringVar(&f.ip, "ip", "127.0.0.1", "`ADDRESS` the request comes from")
	cmd.Flags().BoolVar(&f.websocket, "websocket", false, "ask for a web socket")
	return cmd
}
