package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"gatehouse/idp"
	"gatehouse/internal/conf"
	"gatehouse/internal/telemetry"
	"gatehouse/proxy"
	"gatehouse/session"
	"gatehouse/session/bearer"
	"gatehouse/session/login"
)

// openSignIn makes the relying party: at the providers of the configuration,
// or at the embedded one.
func (a *App) openSignIn(g *generation) error {
	cfg := g.plan.Config.Login
	switch {
	case len(cfg.Providers) > 0:
	case a.provider != nil:
		own := login.Own(a.provider.Issuer().String(), idp.GatewayClient, conf.Secret(a.gatewaySecret), cfg.Scopes...)
		cfg.Providers = map[string]*login.Provider{"gatehouse": own}
	default:
		g.SignIn = nobody{}
		return nil
	}
	keep := needsAccessToken(g)
	l, err := use(g, "login"+fingerprint(cfg, g.plan.Config.Session, keep), func() (*login.Login, work, error) {
		l, err := login.New(cfg, login.Parts{
			Cookies: g.cookies, Feed: a.feed, ClientFor: a.clientFor, KeepAccessToken: keep, Log: a.log,
		})
		if err != nil {
			return nil, work{}, err
		}
		return l, work{run: l.Run}, nil
	})
	g.SignIn = signIn{l}
	return err
}

func needsAccessToken(g *generation) bool {
	for _, plan := range g.Headers {
		if plan.NeedsAccessToken() {
			return true
		}
	}
	return false
}

// verifier tells the gate apart a bad token from keys that cannot be had.
type verifier struct {
	*bearer.Verifier
	metrics *telemetry.Metrics // nil for nobody
}

// Verify implements proxy.TokenVerifier.
func (v verifier) Verify(ctx context.Context, token string) (*session.Identity, error) {
	id, err := v.Verifier.Verify(ctx, token)
	v.count(err)
	var bad *bearer.Error
	if errors.As(err, &bad) && bad.Reason == bearer.Unavailable {
		return nil, fmt.Errorf("%w: %w", proxy.ErrIssuerDown, err)
	}
	return id, err
}

// count counts what became of a token.
func (v verifier) count(err error) {
	if v.metrics == nil {
		return
	}
	var bad *bearer.Error
	switch {
	case err == nil:
		v.metrics.TokenVerified("")
	case errors.As(err, &bad):
		v.metrics.TokenVerified(string(bad.Reason))
	}
}

// signIn is the relying party as the gate sees it.
type signIn struct{ *login.Login }

// Begin implements proxy.SignIn.
func (s signIn) Begin(ctx context.Context, site session.Site, r *http.Request, a proxy.Attempt) (string, []*http.Cookie, error) {
	to, err := s.Login.Begin(ctx, site, r, login.Attempt{ReturnTo: a.ReturnTo, StepUp: stepUp(a)})
	if errors.Is(err, login.ErrIssuerDown) {
		err = proxy.ErrIssuerDown
	}
	return to.URL, to.Cookies, err
}

// stepUp is what a route requires, and of whom, in the words of the relying
// party.
func stepUp(a proxy.Attempt) *login.StepUp {
	if a.Require == nil {
		return nil
	}
	s := &login.StepUp{MFA: a.Require.MFA, ACR: a.Require.ACR, MaxAge: a.Require.SignedInWithin}
	if a.Identity != nil {
		s.Issuer, s.Subject = a.Identity.Issuer, a.Identity.Subject
	}
	return s
}

// Callback implements proxy.SignIn.
func (s signIn) Callback(ctx context.Context, site session.Site, r *http.Request) (string, []*http.Cookie, error) {
	done, err := s.Login.Callback(ctx, site, r)
	var failed *login.Error
	switch {
	case errors.As(err, &failed):
		err = &proxy.CallbackError{Status: failed.Status, Code: failed.Code, Text: failed.Text, Err: err}
	case errors.Is(err, login.ErrIssuerDown):
		err = proxy.ErrIssuerDown
	}
	return done.Location, done.Cookies, err
}

// Renew implements proxy.SignIn.
func (s signIn) Renew(ctx context.Context, _ session.Site, have *session.Session) (*session.Session, error) {
	fresh, err := s.Login.Refresh(ctx, have)
	switch {
	case errors.Is(err, login.ErrEnded):
		return nil, proxy.ErrSessionEnded
	case errors.Is(err, login.ErrIssuerDown):
		return nil, proxy.ErrIssuerDown
	}
	return fresh, err
}

// SignOut implements proxy.SignIn.
func (s signIn) SignOut(ctx context.Context, site session.Site, have *session.Session) (proxy.SignedOut, error) {
	out, err := s.Login.SignOut(ctx, site, have)
	return proxy.SignedOut{Location: out.Location, Form: out.Form}, err
}

// Elsewhere implements proxy.SignIn.
func (s signIn) Elsewhere(ctx context.Context, site session.Site) string {
	return s.Login.Elsewhere(ctx, site)
}

// nobody is the sign-in of a gate that has no issuer: routes are for anyone,
// or for bearers of tokens.
type nobody struct{}

// Begin implements proxy.SignIn.
func (nobody) Begin(context.Context, session.Site, *http.Request, proxy.Attempt) (string, []*http.Cookie, error) {
	return "", nil, proxy.ErrIssuerDown
}

// Callback implements proxy.SignIn.
func (nobody) Callback(context.Context, session.Site, *http.Request) (string, []*http.Cookie, error) {
	return "", nil, &proxy.CallbackError{
		Status: http.StatusNotFound, Code: "no_sign_in", Text: "Nobody signs in here.", Err: errors.New("no issuer is configured"),
	}
}

// Renew implements proxy.SignIn.
func (nobody) Renew(context.Context, session.Site, *session.Session) (*session.Session, error) {
	return nil, proxy.ErrSessionEnded
}

// Knows implements proxy.SignIn.
func (nobody) Knows(*session.Identity) bool { return false }

// SignOut implements proxy.SignIn.
func (nobody) SignOut(context.Context, session.Site, *session.Session) (proxy.SignedOut, error) {
	return proxy.SignedOut{}, nil
}

// Elsewhere implements proxy.SignIn.
func (nobody) Elsewhere(context.Context, session.Site) string { return "" }
