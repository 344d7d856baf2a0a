package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/proxy/whatif"
	"gatehouse/session"

	"github.com/spf13/cobra"
)

// explainFlags are the flags of `gatehouse explain`.
type explainFlags struct {
	as, token, cookie string
	ip, at, body      string
	websocket         bool
	input, trace      bool
}

func newExplain(s *settings) *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain METHOD URL",
		Short: "Say who may open what, and why",
		Long: `Say what the gateway would do with a request: the route it takes, the rule with
its line, each condition with what it looks at, the decision, what would change
it, and what the application would be told. Nothing is sent.

URL may be a path; then it is one of the first public URL. Without --as, --token
and --cookie nobody is asking. Exit code 0 means the account was given, whether
the request is allowed or not.`,
		Example: "  gatehouse explain GET /admin/ --as bob\n  gatehouse explain GET /api/orders/7 --token - < token.txt\n" +
			"  gatehouse explain GET https://app.example.com/ws --websocket --as alice\n" +
			"  gatehouse explain POST /orders --as bob --body order.json --time 2026-12-24T18:00:00+01:00 --input",
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			q, err := s.question(args, f)
			if err != nil {
				return err
			}
			credential, err := s.credential(f)
			if err != nil {
				return err
			}
			plan, _, err := s.load()
			if err != nil {
				return err
			}
			q.Origin = plan.Origin()
			asking, err := app.OpenAsking(cmd.Context(), plan)
			if err != nil {
				return unreachable(err)
			}
			defer func() { err = errors.Join(err, asking.Close()) }()
			if q.Identity, q.Who, err = f.identify(cmd.Context(), asking, credential); err != nil {
				return problems(err)
			}
			answer, err := whatif.Explain(cmd.Context(), asking.Gate, asking.Policy, q)
			if err != nil {
				return usage("%w", err)
			}
			return s.print(answer, func(w io.Writer) { answer.Write(w); fmt.Fprintln(w) })
		},
	}
	cmd.Flags().StringVar(&f.as, "as", "", "`USER` of the pool who asks, by username or e-mail address")
	cmd.Flags().StringVar(&f.token, "token", "", "`FILE` with the access token that asks, - for standard input")
	cmd.Flags().StringVar(&f.cookie, "cookie", "", "`FILE` with the session cookie that asks, or the Cookie header that holds it, - for standard input")
	cmd.Flags().StringVar(&f.ip, "ip", "127.0.0.1", "`ADDRESS` the request comes from")
	cmd.Flags().StringVar(&f.at, "time", "", "`TIME` the request comes at, such as 2026-12-24T18:00:00+01:00 (default now)")
	cmd.Flags().StringVar(&f.body, "body", "", "`FILE` with the JSON that the request carries, - for standard input")
	cmd.Flags().BoolVar(&f.websocket, "websocket", false, "ask for a web socket")
	cmd.Flags().BoolVar(&f.input, "input", false, "print what OPA is given")
	cmd.Flags().BoolVar(&f.trace, "trace", false, "print how OPA evaluates it; lines of gatehouse-routes.rego are those of policy show --all")
	return cmd
}

// maxBody is how much of a body is read, in bytes: more than any route judges,
// so that what is larger is truncated for each.
const maxBody = 1<<20 + 1

// question is what the arguments and flags ask, but for who asks.
func (s *settings) question(args []string, f explainFlags) (q whatif.Question, err error) {
	given, stdin := 0, 0
	for _, from := range []string{f.as, f.token, f.cookie} {
		if from != "" {
			given++
		}
	}
	for _, from := range []string{f.token, f.cookie, f.body} {
		if from == "-" {
			stdin++
		}
	}
	switch {
	case given > 1:
		return q, usage("--as, --token and --cookie are several askers: give one")
	case stdin > 1:
		return q, usage("standard input holds one thing: name a file for the other")
	}
	q = whatif.Question{
		Method: strings.ToUpper(args[0]), URL: args[1], Websocket: f.websocket, Input: f.input, Trace: f.trace,
	}
	if q.Client, err = netip.ParseAddr(f.ip); err != nil {
		return q, usage("--ip is %q, want an address such as 203.0.113.9", f.ip)
	}
	if f.at != "" {
		if q.Time, err = time.Parse(time.RFC3339, f.at); err != nil {
			return q, usage("--time is %q, want a time with its zone such as 2026-12-24T18:00:00+01:00", f.at)
		}
	}
	if f.body != "" {
		q.Body, err = s.readBody(f.body)
	}
	return q, err
}

// readBody reads a body from a file, or from standard input for "-".
func (s *settings) readBody(from string) ([]byte, error) {
	in := s.In
	if from != "-" {
		file, err := os.Open(from)
		if err != nil {
			return nil, usage("read body: %w", err)
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxBody))
	if err != nil {
		return nil, usage("read body: %w", err)
	}
	return text, nil
}

// credential reads the token or the cookie; "" if neither was named.
func (s *settings) credential(f explainFlags) (string, error) {
	switch {
	case f.token != "":
		return s.secret(f.token, "token")
	case f.cookie != "":
		return s.secret(f.cookie, "cookie")
	}
	return "", nil
}

// identify returns who asks.
func (f *explainFlags) identify(ctx context.Context, asking *app.Asking, credential string) (*session.Identity, string, error) {
	if f.cookie != "" {
		return asking.IdentifyCookie(ctx, credential)
	}
	return asking.Identify(ctx, f.as, credential)
}
