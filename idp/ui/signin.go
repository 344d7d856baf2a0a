package ui

import (
	"errors"
	"net/http"
	"net/url"

	"gatehouse/idp/signin"
	"gatehouse/internal/httpx"
)

// Finish answers the browser once a sign-in is complete.
type Finish func(w http.ResponseWriter, r *http.Request, done signin.Done) error

type signInPage struct {
	common
	App, Action, Token, Username, Problem string
	// SignUp and Forgot are where their links lead; "" for none.
	SignUp, Forgot string
}

// SignIn shows the sign-in page of a flow: GET /login?flow=ID. It changes
// nothing.
func (p *Pages) SignIn(w http.ResponseWriter, r *http.Request) error {
	if err := httpx.CheckNavigation(r); err != nil {
		return err
	}
	pending, secret, err := p.find(r)
	if errors.Is(err, signin.ErrUsed) {
		return p.used(w, pending)
	}
	if err != nil {
		return err
	}
	return p.ask(w, pending, secret, attempt{username: pending.Hint, status: http.StatusOK})
}

// Answer takes the form of the sign-in page and hands a complete sign-in to
// finish: POST /login?flow=ID.
func (p *Pages) Answer(finish Finish) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		form, err := p.readForm(w, r)
		if err != nil {
			return err
		}
		pending, secret, err := p.find(r)
		used := errors.Is(err, signin.ErrUsed)
		if err != nil && !used {
			return err
		}
		if err := p.checkToken(form, secret, signInStep(pending.ID)); err != nil {
			return err
		}
		if used {
			return again(w, r, pending)
		}
		done, err := p.deps.Machine.Password(r.Context(), pending, secret, signin.Answer{
			Username: form.Get("username"), Password: form.Get("password"), Address: p.deps.ClientIP(r),
		})
		if err == nil && pending.For == signin.ForAccount {
			err = p.enter(w, r, done)
		} else if err == nil {
			err = finish(w, r, done)
		}
		return p.refused(w, r, refusal{pending: pending, secret: secret, username: form.Get("username"), err: err})
	}
}

// find returns the flow that the query names and the secret of this browser
// for it. With signin.ErrUsed the flow is returned too.
func (p *Pages) find(r *http.Request) (signin.Pending, string, error) {
	query, err := httpx.ParseForm(r.URL.RawQuery)
	if err != nil {
		return signin.Pending{}, "", err
	}
	id := query.Get("flow")
	secret := p.BrowserSecret(r, id)
	pending, err := p.deps.Machine.Find(r.Context(), id, secret)
	if errors.Is(err, signin.ErrFlowNotFound) {
		return signin.Pending{}, "", &httpx.Error{
			Status: http.StatusBadRequest, Code: "stale_form", Err: err,
			Public: "this sign-in page has expired, or was opened in another browser",
		}
	}
	return pending, secret, err
}

// refusal is an answer that led to no sign-in.
type refusal struct {
	pending          signin.Pending
	secret, username string
	err              error
}

// refused turns what the machine said into what the person sees; nil stays nil.
func (p *Pages) refused(w http.ResponseWriter, r *http.Request, f refusal) error {
	var limited *signin.LimitedError
	switch {
	case f.err == nil:
		return nil
	case errors.Is(f.err, signin.ErrRefused):
		// One text for a stranger, a wrong password, a disabled and a waiting
		// account. 422 and not 401: it is a form to be filled in again.
		return p.ask(w, f.pending, f.secret, attempt{
			username: f.username, status: http.StatusUnprocessableEntity,
			problem: "This name and password do not match. Check both and try again.",
		})
	case errors.Is(f.err, signin.ErrMustChange):
		return &httpx.Error{
			Status: http.StatusForbidden, Code: "password_change_required", Err: f.err,
			Public: "your password was set by somebody else and must be replaced before you can sign in; ask your administrator",
		}
	case errors.Is(f.err, signin.ErrUsed):
		return again(w, r, f.pending)
	case errors.Is(f.err, signin.ErrFlowNotFound), errors.Is(f.err, signin.ErrTooManyTries):
		return &httpx.Error{
			Status: http.StatusTooManyRequests, Code: "too_many_tries", Err: f.err,
			Public: "this sign-in page takes no more answers",
		}
	case errors.As(f.err, &limited):
		return &httpx.Error{
			Status: http.StatusTooManyRequests, Code: "too_many_tries", Err: f.err,
			RetryAfter: limited.RetryAfter, Public: "too many wrong passwords came from your network",
		}
	case errors.Is(f.err, signin.ErrBusy):
		return &httpx.Error{
			Status: http.StatusServiceUnavailable, RetryAfter: signin.BusyRetry, Err: f.err,
			Public: "too many people are signing in at once",
		}
	}
	return f.err
}

// attempt is what the form shows of an earlier answer.
type attempt struct {
	username, problem string
	status            int
}

func (p *Pages) ask(w http.ResponseWriter, pending signin.Pending, secret string, a attempt) error {
	title := "Sign in to " + pending.App
	if a.problem != "" {
		title = "Error: " + title
	}
	return p.show(w, view{status: a.status, name: "sign_in", destination: pending.Destination, data: signInPage{
		common: p.common(title), App: pending.App, Action: p.SignInPath(pending.ID),
		Token: p.token(secret, signInStep(pending.ID)), Username: a.username, Problem: a.problem,
		SignUp: p.link(p.deps.SignUp, "/signup", pending.ID), Forgot: p.link(p.deps.Recovery, "/forgot", pending.ID),
	}})
}

type usedPage struct {
	common
	App, Restart string
}

// used answers a look at a page that has done its work, as the Back button
// gives it: politely, and with the way on.
func (p *Pages) used(w http.ResponseWriter, pending signin.Pending) error {
	return p.show(w, view{status: http.StatusOK, name: "used", data: usedPage{
		common: p.common("Already signed in to " + pending.App), App: pending.App, Restart: pending.Restart,
	}})
}

// again answers a form that was sent twice: the first one has signed the
// browser in, so the same question now has an answer without a page.
func again(w http.ResponseWriter, r *http.Request, pending signin.Pending) error {
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, pending.Restart, http.StatusSeeOther)
	return nil
}

// link returns the path of a page that goes on from a flow, "" unless it is open.
func (p *Pages) link(open bool, path, flow string) string {
	if !open {
		return ""
	}
	return p.base + path + "?flow=" + url.QueryEscape(flow)
}

func signInStep(flow string) string { return "sign-in " + flow }
