package ui

import (
	"errors"
	"net/http"
	"time"

	"gatehouse/idp/pool"
	"gatehouse/idp/signin"
	"gatehouse/idp/sso"
	"gatehouse/internal/httpx"
)

// accountApp is what the sign-in page says one signs in to on the way to a
// page of one's own account.
const accountApp = "your account"

// errAnswered means that the answer has been written already.
var errAnswered = errors.New("answered")

// member makes a page of a person's own account a page: whoever has not signed
// in within fresh (0 for any time) is sent to sign in first.
func (p *Pages) member(fresh time.Duration, page func(http.ResponseWriter, *http.Request, pool.User, sso.Session) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		user, session, err := p.visitor(w, r, fresh)
		if errors.Is(err, errAnswered) {
			return nil
		}
		if err != nil {
			return err
		}
		return page(w, r, user, session)
	}
}

// visitor returns who has signed in from the browser that sent r, within fresh;
// 0 is any time. Nobody else gets past it: it answers a look at the page with
// the way to the sign-in page, from where the browser comes back, and returns
// errAnswered; a form is refused.
func (p *Pages) visitor(w http.ResponseWriter, r *http.Request, fresh time.Duration) (pool.User, sso.Session, error) {
	look := r.Method == http.MethodGet || r.Method == http.MethodHead
	if look {
		// Not for scripts and frames, not even of our own origin.
		if err := httpx.CheckNavigation(r); err != nil {
			return pool.User{}, sso.Session{}, err
		}
	}
	user, session, err := p.present(r)
	if err != nil {
		return pool.User{}, sso.Session{}, err
	}
	known := session.ID != ""
	if known && (fresh == 0 || p.deps.Now().Sub(session.AuthTime) <= fresh) {
		return user, session, nil
	}
	if !look {
		return pool.User{}, sso.Session{}, &httpx.Error{
			Status: http.StatusForbidden, Code: "login_required", Public: "you have to sign in again before you can do this",
		}
	}
	ask := signin.Ask{For: signin.ForAccount, App: accountApp, Restart: r.URL.RequestURI()}
	if known {
		ask.Hint = user.Username
	}
	return pool.User{}, sso.Session{}, p.begin(w, r, ask)
}

// guarded makes a page a member's who has signed in recently and has shown a
// second factor, if there is one: it changes where codes of a second factor and
// new passwords go, or ends the account.
func (p *Pages) guarded(page func(http.ResponseWriter, *http.Request, pool.User, sso.Session) error) func(http.ResponseWriter, *http.Request) error {
	return p.member(recent, func(w http.ResponseWriter, r *http.Request, u pool.User, s sso.Session) error {
		err := p.proved(w, r, u, s)
		if errors.Is(err, errAnswered) {
			return nil
		}
		if err != nil {
			return err
		}
		return page(w, r, u, s)
	})
}

// proved demands that the second factor of u, if there is one, was shown in s: a
// remembered browser is none. A look at the page is answered with the way to the
// factor, and errAnswered; a form is refused.
func (p *Pages) proved(w http.ResponseWriter, r *http.Request, u pool.User, s sso.Session) error {
	set, err := p.deps.Factors.Of(r.Context(), u.ID)
	if err != nil || !set.Enrolled() || signin.Satisfies(s.AMR) {
		return err
	}
	if r.Method == http.MethodPost {
		return signInAgain()
	}
	return p.begin(w, r, signin.Ask{
		For: signin.ForAccount, App: accountApp, Restart: r.URL.RequestURI(), Strong: true, Known: known(s),
	})
}

// present returns who has signed in from the browser that sent r. Without a
// session, or for a session whose user is gone or disabled, both are zero.
func (p *Pages) present(r *http.Request) (pool.User, sso.Session, error) {
	session, err := p.deps.SSO.Load(r.Context(), r)
	if sso.IsNone(err) {
		return pool.User{}, sso.Session{}, nil
	}
	if err != nil {
		return pool.User{}, sso.Session{}, err
	}
	user, err := p.deps.Pool.Get(r.Context(), session.UserID)
	if errors.Is(err, pool.ErrNotFound) || err == nil && !user.Enabled {
		return pool.User{}, sso.Session{}, nil
	}
	if err != nil {
		return pool.User{}, sso.Session{}, err
	}
	return user, session, nil
}

// begin keeps ask in a flow of this browser and sends it to the flow's page; it
// returns errAnswered when it has.
func (p *Pages) begin(w http.ResponseWriter, r *http.Request, ask signin.Ask) error {
	return p.beginOn(w, r, ask, pathSignIn)
}

// beginOn is begin with another page, which leads to the flow's own.
func (p *Pages) beginOn(w http.ResponseWriter, r *http.Request, ask signin.Ask, path string) error {
	secret := NewBrowserSecret()
	flow, err := p.deps.Machine.Start(r.Context(), secret, p.deps.ClientIP(r), ask)
	var limited *signin.LimitedError
	if errors.As(err, &limited) {
		return &httpx.Error{
			Status: http.StatusTooManyRequests, Public: "too many sign-ins were begun from your network",
			RetryAfter: limited.RetryAfter, Err: err,
		}
	}
	if errors.Is(err, signin.ErrUnmet) || errors.Is(err, signin.ErrNoFactor) {
		return refusal(err)
	}
	if err != nil {
		return err
	}
	p.RememberFlow(w, r, flow, secret)
	p.goTo(w, r, p.link(true, path, flow))
	return errAnswered
}

// enter ends a sign-in to a page of the person's own account.
func (p *Pages) enter(w http.ResponseWriter, r *http.Request, done signin.Done) error {
	if err := p.deps.BeginSession(w, r, done); err != nil {
		return err
	}
	p.goTo(w, r, done.Pending.Restart)
	return nil
}

// goTo sends the browser to a page of ours.
func (p *Pages) goTo(w http.ResponseWriter, r *http.Request, path string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, path, http.StatusSeeOther)
}
