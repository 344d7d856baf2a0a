package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"gatehouse/session"
)

// Redirect is where to send a browser, and with which cookies.
type Redirect struct {
	URL     string
	Cookies []*http.Cookie
}

// Begin starts an attempt to sign in that ends at what.ReturnTo on site, or at
// "/" when that is no page of a host (see ReturnPath) or, together with what is
// asked for, too long for a cookie. The URL is the issuer's, with PKCE S256,
// state and nonce; for a StepUp also acr_values, max_age and login_hint. The
// error is ErrIssuerDown, or says that nobody signs in at the issuer that the
// StepUp names.
//
// Each call adds one cookie to the browser; callers begin an attempt only for
// a document a person waits for.
func (l *Login) Begin(ctx context.Context, site session.Site, r *http.Request, what Attempt) (Redirect, error) {
	d := what.StepUp.demand()
	p := l.pick(r)
	if d.strict {
		if p = l.at(what.StepUp.Issuer, l.stepping(site, r, d)); p == nil {
			return Redirect{}, fmt.Errorf("begin step-up: nobody signs in at %s any more", what.StepUp.Issuer)
		}
	}
	a := newAttempt(p.name, ReturnPath(what.ReturnTo), time.Now())
	a.demand = d
	return l.begin(ctx, site, r, a)
}

func (l *Login) begin(ctx context.Context, site session.Site, r *http.Request, a attempt) (Redirect, error) {
	p := l.providers[a.provider]
	m, err := p.ready(ctx)
	if err != nil {
		return Redirect{}, err
	}
	cookies, err := l.attemptCookies(site, r, a)
	if errors.Is(err, session.ErrTooLarge) {
		a.returnTo = "/"
		cookies, err = l.attemptCookies(site, r, a)
	}
	if err != nil {
		return Redirect{}, fmt.Errorf("begin sign-in: %w", err)
	}
	options := slices.Concat(secrets(a), a.parameters(p, m, l.stepping(site, r, a.demand)), forced(a))
	return Redirect{
		URL:     p.oauth(m, site.Origin+CallbackPath).AuthCodeURL(a.stateParam(), options...),
		Cookies: cookies,
	}, nil
}

// restart begins an attempt anew in place of one that failed by no fault of
// the person, and that had not been restarted itself.
func (l *Login) restart(ctx context.Context, site session.Site, r *http.Request, old attempt, force bool) (Result, error) {
	next := newAttempt(old.provider, old.returnTo, time.Now())
	next.again, next.force, next.demand = true, force, old.demand
	to, err := l.begin(ctx, site, r, next)
	if err != nil {
		return Result{}, err
	}
	// The browser's list of attempts holds the old one still.
	cookies := append(to.Cookies, site.Expired(site.AttemptPrefix()+old.id))
	return Result{Location: to.URL, Cookies: cookies}, nil
}
