package cli

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"gatehouse/cmd/gatehouse/app"
	"gatehouse/idp"
	"gatehouse/internal/conf"
	"gatehouse/proxy/whatif"
	"gatehouse/session/login"

	"github.com/spf13/cobra"
)

func newPolicy(s *settings) *cobra.Command {
	return noun("policy", "What the rules say: show, test, and who can what",
		newPolicyShow(s), newPolicyTest(s), newPolicyMatrix(s), newPolicyLint(s), newPolicyReplay(s))
}

// withSuite opens what asks the configuration, and calls use with it.
func (s *settings) withSuite(ctx context.Context, use func(plan *app.Plan, suite *whatif.Suite) error) (err error) {
	plan, _, err := s.load()
	if err != nil {
		return err
	}
	asking, err := app.OpenAsking(ctx, plan)
	if err != nil {
		return unreachable(err)
	}
	defer func() { err = errors.Join(err, asking.Close()) }()
	return use(plan, &whatif.Suite{
		Gate: asking.Gate, Policy: asking.Policy, Config: &plan.Config.Config, World: worldOf(plan), Now: time.Now(),
	})
}

// worldOf is what personas need to know of a configuration.
func worldOf(plan *app.Plan) whatif.World {
	c := plan.Config
	w := whatif.World{Origin: plan.Origin()}
	if c.IDP != nil {
		own := login.Own(c.IDP.Issuer.String(), idp.GatewayClient, "")
		w.Issuer, w.Client, w.MFA = own.Issuer, own.ClientID, own.MFAACR
		w.Bearers = append(w.Bearers, whatif.Bearer{Issuer: own.Issuer, Clients: c.Bearer.Clients, Own: true})
	}
	for name, p := range c.Login.Providers {
		if name == c.Login.Default || len(c.Login.Providers) == 1 {
			w.Issuer, w.Client, w.MFA = p.Issuer, p.ClientID, p.MFAACR
		}
	}
	for _, i := range c.Bearer.Issuers {
		w.Bearers = append(w.Bearers, whatif.Bearer{Issuer: i.Issuer, Clients: i.Clients})
	}
	return w
}

// readTests reads files of tests or personas, and reports every mistake of all
// of them at once.
func (s *settings) readTests(paths []string) ([]*whatif.TestFile, error) {
	var files []*whatif.TestFile
	bad := false
	for _, path := range paths {
		f, err := whatif.ReadTests(path)
		var list *conf.Problems
		switch {
		case err == nil:
			files = append(files, f)
		case errors.As(err, &list):
			bad = true
			if err := s.printProblems(path, list); err != nil {
				return nil, err
			}
		default:
			return nil, usage("%w", err)
		}
	}
	if bad {
		return nil, &exitError{code: exitProblems, quiet: true, err: errors.New("the tests cannot be read")}
	}
	return files, nil
}

// besides are files of YAML that hold no tests though they may have the key.
func besides(plan *app.Plan) []string {
	pos := plan.Config.Policy.Pos
	var files []string
	for _, path := range plan.Config.Policy.Data {
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(pos.File), path)
		}
		files = append(files, path)
	}
	return files
}
