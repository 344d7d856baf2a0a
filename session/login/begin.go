package login

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"gatehouse/session"
)

// Redirect is where to send a browser, and with which cookies.
type Redirect struct {
	URL     string
	Cookies []*http.Cookie
}

// Begin starts an attempt to sign in that ends at returnTo on site, or at "/"
// when returnTo is no page of a host (see ReturnPath). The URL is the
// issuer's, with PKCE S256, state and nonce. The error is ErrIssuerDown.
//
// Each call adds one cookie to the browser; callers begin an attempt only for
// a document a person waits for.
func (l *Login) Begin(ctx context.Context, site session.Site, r *http.Request, returnTo string) (Redirect, error) {
	p := l.pick(r)
	return l.begin(ctx, site, r, newAttempt(p.name, ReturnPath(returnTo), time.Now()))
}

func (l *Login) begin(ctx context.Context, site session.Site, r *http.Request, a attempt) (Redirect, error) {
	p := l.providers[a.provider]
	m, err := p.ready(ctx)
	if err != nil {
		return Redirect{}, err
	}
	cookies, err := l.attemptCookies(site, r, a)
	if err != nil {
		return Redirect{}, fmt.Errorf("begin sign-in: %w", err)
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(a.nonceParam()), oauth2.S256ChallengeOption(a.verifierParam())}
	if a.force {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"))
	}
	return Redirect{
		URL:     p.oauth(m, site.Origin+CallbackPath).AuthCodeURL(a.stateParam(), options...),
		Cookies: cookies,
	}, nil
}

// restart begins an attempt anew in place of one that failed by no fault of
// the person, and that had not been restarted itself.
func (l *Login) restart(ctx context.Context, site session.Site, r *http.Request, old attempt, force bool) (Result, error) {
	next := newAttempt(old.provider, old.returnTo, time.Now())
	next.again, next.force = true, force
	to, err := l.begin(ctx, site, r, next)
	if err != nil {
		return Result{}, err
	}
	// The browser's list of attempts holds the old one still.
	cookies := append(to.Cookies, site.Expired(site.AttemptPrefix()+old.id))
	return Result{Location: to.URL, Cookies: cookies}, nil
}
