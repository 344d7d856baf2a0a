package ui

import (
	"errors"
	"net/http"
	"net/url"

	"gatehouse/idp/mfa"
	"gatehouse/idp/signin"
	"gatehouse/internal/httpx"
)

// Finish answers the browser once a sign-in is complete.
type Finish func(w http.ResponseWriter, r *http.Request, done signin.Done) error

// Unmet answers the browser when what waits for a sign-in demands more than this
// person can prove.
type Unmet func(w http.ResponseWriter, r *http.Request, p signin.Pending) error

// flow is one look at, or answer to, a sign-in: what waits, and the secret of
// this browser for it.
type flow struct {
	signin.Pending
	secret string
	// status, problem and username are what the page shows of an earlier answer:
	// "" for none.
	status            int
	problem, username string
}

// SignIn shows the page of the step that a flow waits in: GET /login?flow=ID. It
// changes nothing.
func (p *Pages) SignIn(w http.ResponseWriter, r *http.Request) error {
	if err := httpx.CheckNavigation(r); err != nil {
		return err
	}
	f, err := p.find(w, r)
	switch {
	case errors.Is(err, errAnswered):
		return nil
	case errors.Is(err, signin.ErrUsed):
		return p.used(w, f.Pending)
	case err != nil:
		return err
	}
	f.username = f.Hint
	return p.step(w, f)
}

// Answer takes the form of such a page: POST /login?flow=ID. It hands a complete
// sign-in to finish.
func (p *Pages) Answer(finish Finish, unmet Unmet) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		form, err := p.readForm(w, r)
		if err != nil {
			return err
		}
		f, err := p.find(w, r)
		if errors.Is(err, errAnswered) {
			return nil
		}
		used := errors.Is(err, signin.ErrUsed)
		if err != nil && !used {
			return err
		}
		latest, err := p.checkStep(form, f)
		if err != nil {
			return err
		}
		if used {
			return again(w, r, f.Pending)
		}
		if !latest {
			p.goTo(w, r, p.SignInPath(f.ID))
			return nil
		}
		err = p.answer(w, r, f, form, finish)
		if errors.Is(err, signin.ErrUnmet) && f.For == "" {
			return unmet(w, r, f.Pending)
		}
		return p.refused(w, r, f, form.Get("username"), err)
	}
}

// answer hands the form to the machine, and what follows to the browser.
func (p *Pages) answer(w http.ResponseWriter, r *http.Request, f flow, form httpx.Form, finish Finish) error {
	next, err := p.deps.Machine.Answer(r.Context(), f.Pending, signin.Browser{
		Secret: f.secret, Address: p.deps.ClientIP(r), Device: p.device.Read(r), Agent: r.UserAgent(),
	}, answerOf(f.Step, form))
	if err != nil {
		return err
	}
	if next.Device != "" {
		p.setDevice(w, next.Device)
	}
	switch {
	case next.Done == nil:
		p.goTo(w, r, p.SignInPath(f.ID))
		return nil
	case f.For == signin.ForAccount:
		return p.enter(w, r, *next.Done)
	}
	return finish(w, r, *next.Done)
}

// answerOf reads the answer to a step out of its form.
func answerOf(s signin.Step, form httpx.Form) signin.Answer {
	trust := form.Get("trust") != ""
	switch {
	case form.Has("use"):
		return signin.Choose{Kind: mfa.Kind(form.Get("use"))}
	case form.Has("resend"):
		return signin.Resend{}
	case form.Get("passkey") != "":
		return signin.Passkey{Response: []byte(form.Get("passkey")), Name: form.Get("name"), Trust: trust}
	case s == signin.StepPassword:
		return signin.Password{Username: form.Get("username"), Password: form.Get("password")}
	case s == signin.StepNewPassword:
		return signin.NewPassword{Password: form.Get("password")}
	case s == signin.StepCodes:
		return signin.Saved{}
	}
	return signin.Code{Code: form.Get("code"), Name: form.Get("name"), Trust: trust}
}

// find returns the flow that the query names. With signin.ErrUsed the flow is
// returned too. A flow that goes on from a session which the browser has no more
// begins anew: then the answer is written, and it returns errAnswered.
func (p *Pages) find(w http.ResponseWriter, r *http.Request) (flow, error) {
	query, err := httpx.ParseForm(r.URL.RawQuery)
	if err != nil {
		return flow{}, err
	}
	id := query.Get("flow")
	f := flow{secret: p.BrowserSecret(r, id), status: http.StatusOK}
	f.Pending, err = p.deps.Machine.Find(r.Context(), id, f.secret)
	if errors.Is(err, signin.ErrFlowNotFound) {
		return flow{}, staleFlow(err)
	}
	if err != nil || f.Demands() == "" {
		return f, err
	}
	_, session, err := p.present(r)
	if err != nil {
		return flow{}, err
	}
	if session.ID != f.Demands() {
		p.goTo(w, r, f.Restart)
		return flow{}, errAnswered
	}
	return f, nil
}

func staleFlow(cause error) error {
	return &httpx.Error{
		Status: http.StatusBadRequest, Code: "stale_form", Err: cause,
		Public: "this sign-in page has expired, or was opened in another browser",
	}
}

// refused turns what the machine said of an answer into what the person sees;
// nil stays nil.
func (p *Pages) refused(w http.ResponseWriter, r *http.Request, f flow, username string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, signin.ErrUsed) {
		return again(w, r, f.Pending)
	}
	if errors.Is(err, signin.ErrMoved) || errors.Is(err, signin.ErrNotAsked) {
		p.goTo(w, r, p.SignInPath(f.ID))
		return nil
	}
	problem := problemOf(f.Step, err)
	if problem == "" {
		return refusal(err)
	}
	// A form to be filled in again: 422, not 401. The flow is looked up once
	// more, because it may have a new challenge now.
	f, err = p.find(w, r)
	if errors.Is(err, errAnswered) {
		return nil
	}
	if err != nil {
		return err
	}
	f.status, f.problem, f.username = http.StatusUnprocessableEntity, problem, username
	return p.step(w, f)
}

// problemOf returns what the form says when it is to be filled in again, "" for
// what ends in a page of its own.
func problemOf(s signin.Step, err error) string {
	switch {
	case errors.Is(err, signin.ErrRefused):
		// One text for a stranger, a wrong password, a disabled and a waiting
		// account.
		return "This name and password do not match. Check both and try again."
	case errors.Is(err, mfa.ErrName):
		return "A name has at most 64 characters, all of them plain text."
	case errors.Is(err, signin.ErrPassword):
		return passwordProblem(err)
	case errors.Is(err, signin.ErrWrongCode) && s == signin.StepSetUp:
		return "That did not work. Check the code, or begin again, and mind that each code works once."
	case errors.Is(err, signin.ErrWrongCode):
		return "That was not right, or it has been used already. Try again with a new one."
	}
	return ""
}

// refusal is the page of an answer that leads no further.
func refusal(err error) error {
	page := func(status int, code, public string) *httpx.Error {
		return &httpx.Error{Status: status, Code: code, Public: public, Err: err}
	}
	var limited *signin.LimitedError
	var wait *mfa.WaitError
	switch {
	case errors.As(err, &limited):
		e := page(http.StatusTooManyRequests, "too_many_tries", "too many wrong passwords came from your network")
		e.RetryAfter = limited.RetryAfter
		return e
	case errors.As(err, &wait):
		e := page(http.StatusTooManyRequests, "too_many_tries", "too many wrong codes were sent for your account")
		e.RetryAfter = wait.RetryAfter
		return e
	case errors.Is(err, signin.ErrFlowNotFound):
		return staleFlow(err)
	case errors.Is(err, signin.ErrTooManyTries):
		return page(http.StatusTooManyRequests, "too_many_tries", "this sign-in page takes no more answers")
	case errors.Is(err, signin.ErrResetRequired):
		return page(http.StatusForbidden, "password_reset_required", "your password has to be reset before you can sign in")
	case errors.Is(err, signin.ErrNoFactor):
		return page(http.StatusForbidden, "no_second_factor", "none of your second factors can be used; ask your administrator")
	case errors.Is(err, signin.ErrUnmet):
		return page(http.StatusForbidden, "second_factor_required", "you need a second factor and cannot set one up here; ask your administrator")
	case errors.Is(err, signin.ErrBusy):
		e := page(http.StatusServiceUnavailable, "", "too many people are signing in at once")
		e.RetryAfter = signin.BusyRetry
		return e
	}
	return err
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
