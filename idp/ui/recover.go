package ui

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"gatehouse/idp/account"
	"gatehouse/idp/pool"
	"gatehouse/idp/signin"
	"gatehouse/internal/httpx"
)

// Paths of the ways back into an account, below the issuer's.
const (
	PathForgot     = "/forgot"
	PathForgotCode = "/forgot/code"
	PathReset      = "/reset"
	PathInvite     = "/invite"
)

// Forgot asks who has forgotten the password: GET /forgot?flow=ID. Without a flow
// it begins one that leads to the person's account.
func (p *Pages) Forgot(w http.ResponseWriter, r *http.Request) error {
	if !p.deps.Accounts.RecoveryOpen() {
		return accountError(account.ErrClosed)
	}
	pending, secret, err := p.inFlow(w, r, PathForgot)
	if errors.Is(err, errAnswered) {
		return nil
	}
	if err != nil {
		return err
	}
	return p.form(w, p.forgotForm(pending, secret, pending.Hint))
}

func (p *Pages) forgotForm(pending signin.Pending, secret, name string) formPage {
	f := formPage{
		Title: "Forgotten your password?", Lead: "Tell us who you are, and we send you a link to choose a new one.",
		Action: p.link(true, PathForgot, pending.ID), Token: p.token(secret, forgotStep(pending.ID)), Button: "Send a link",
		Inputs: []input{{Name: "username", Label: "Username or e-mail", Type: "text", Auto: "username", Mode: "email", Required: true, Value: name}},
		Links:  []link{{p.SignInPath(pending.ID), "Back to sign in"}},
	}
	if p.deps.Accounts.RecoversBy(account.Phone) {
		f.Lead, f.Button = "Tell us who you are, and we send you what you need to choose a new one.", "Send it"
		f.Inputs[0].Label, f.Inputs[0].Mode = "Username, e-mail or phone number", ""
	}
	return f
}

func forgotStep(flow string) string { return "forgot " + flow }

// Forgotten sends a link or a code, or not: POST /forgot?flow=ID. The answer is
// the same: where codes can go out, the page that takes one.
func (p *Pages) Forgotten(w http.ResponseWriter, r *http.Request) error {
	f, form, err := p.posted(w, r, forgotStep)
	if errors.Is(err, errAnswered) {
		return nil
	}
	if err != nil && !errors.Is(err, signin.ErrUsed) {
		return err
	}
	name := form.Get("username")
	if pool.Canonical(name) == "" {
		return p.refuse(w, p.forgotForm(f.Pending, f.secret, ""), &account.FieldError{Field: "username", Reason: "it is needed"})
	}
	err = p.deps.Accounts.Forgot(p.actor(r, ""), account.Forgotten{
		Name: name, Browser: f.secret, Flow: f.ID, Restart: f.Restart, From: p.deps.ClientIP(r),
	})
	if err != nil {
		return accountError(err)
	}
	// What is sent lives longer than the flow may: a code counts in this browser
	// alone, and it alone goes on afterwards.
	p.remember(w, r, f.ID, f.secret, max(p.deps.FlowLifetime, p.deps.Accounts.ResetWithin()))
	if p.deps.Accounts.RecoversBy(account.Phone) {
		return p.form(w, p.codeForm(f.ID, f.secret, form))
	}
	return p.note(w, notePage{
		Title: "Check your mail", Text: "If there is an account of this name with a mail address, a link is on its way to it. It works for a short time, and once.",
		Link: link{p.SignInPath(f.ID), "Back to sign in"},
	})
}

// codeForm takes a code and a new password. It shows the name as it was typed: who
// has it is not told.
func (p *Pages) codeForm(flow, secret string, typed httpx.Form) formPage {
	lead := "If there is an account of this name with a phone number, a code is on its way to it."
	if p.deps.Accounts.RecoversBy(account.Email) {
		lead = "If there is an account of this name, a code is on its way to its phone, or a link to its mail address. Type the code in here, or follow the link."
	}
	return formPage{
		Title: "Choose a new password", Lead: lead + " You are signed out everywhere once the password is set.",
		Action: p.link(true, PathForgotCode, flow), Token: p.token(secret, forgotStep(flow)), Button: "Set password",
		Inputs: []input{
			{Name: "username", Label: "Account", Type: "text", Auto: "username", Value: typed.Get("username"), ReadOnly: true},
			code(typed.Get("code"), "Eight digits. It works for a short time, in this browser, and once. After five wrong ones ask for another"),
			newPassword("New password"),
		},
		SecondAction: p.link(true, PathForgot, flow), SecondButton: "Send another",
		Links: []link{{p.SignInPath(flow), "Back to sign in"}},
	}
}

// ResetByCode sets the new password: POST /forgot/code?flow=ID, from the browser
// that asked. It signs nobody in.
func (p *Pages) ResetByCode(w http.ResponseWriter, r *http.Request) error {
	form, err := p.readForm(w, r)
	if err != nil {
		return err
	}
	query, err := httpx.ParseForm(r.URL.RawQuery)
	if err != nil {
		return err
	}
	// The flow itself may be over: the code is not.
	flow := query.Get("flow")
	secret := p.BrowserSecret(r, flow)
	if err := p.checkToken(form, secret, forgotStep(flow)); err != nil {
		return err
	}
	asked, err := p.deps.Accounts.ResetByCode(p.actor(r, ""), account.ByCode{
		Name: form.Get("username"), Browser: secret, Code: form.Get("code"), Password: form.Get("password"), From: p.deps.ClientIP(r),
	})
	if err != nil {
		return p.refuse(w, p.codeForm(flow, secret, form), err)
	}
	return p.note(w, notePage{Title: "Done", Text: passwordSet, Link: link{p.wayOn(r, asked), "Sign in"}})
}

// wayOn is where somebody signs in whose password was set: at the application they
// came from, in the browser that came from there, and at their account elsewhere.
func (p *Pages) wayOn(r *http.Request, asked account.Asked) string {
	return cmp.Or(asked.RestartIn(p.BrowserSecret(r, asked.Flow)), p.base+PathAccount)
}

const passwordSet = "Your password is set. Sign in with it."

// arrival is one of the two pages where somebody who follows a link chooses a
// password.
type arrival struct {
	path, title, lead, button, done string
	check                           func(context.Context, string) (pool.User, error)
	set                             func(ctx context.Context, token, pass string) (account.Asked, error)
}

func (p *Pages) resetArrival() arrival {
	return arrival{
		path: PathReset, title: "Choose a new password", button: "Set password",
		lead:  "You are signed out everywhere once it is set.",
		done:  passwordSet,
		check: p.deps.Accounts.CheckReset, set: p.deps.Accounts.Reset,
	}
}

func (p *Pages) inviteArrival() arrival {
	return arrival{
		path: PathInvite, title: "Set up your account", button: "Set up",
		lead:  "Somebody has made an account for you. Choose a password for it.",
		done:  "Your account is ready. Sign in to it.",
		check: p.deps.Accounts.CheckInvite,
		set: func(ctx context.Context, token, pass string) (account.Asked, error) {
			return account.Asked{}, p.deps.Accounts.AcceptInvite(ctx, token, pass)
		},
	}
}

// Reset shows the form for a new password to who follows a link: GET
// /reset?token=TOKEN. It changes nothing.
func (p *Pages) Reset(w http.ResponseWriter, r *http.Request) error {
	return p.arrive(w, r, p.resetArrival())
}

// ResetPassword sets the new password: POST /reset. It signs nobody in.
func (p *Pages) ResetPassword(w http.ResponseWriter, r *http.Request) error {
	return p.arrived(w, r, p.resetArrival())
}

// Invite shows the form for a first password to who was invited: GET
// /invite?token=TOKEN. It changes nothing.
func (p *Pages) Invite(w http.ResponseWriter, r *http.Request) error {
	return p.arrive(w, r, p.inviteArrival())
}

// AcceptInvite sets the first password: POST /invite.
func (p *Pages) AcceptInvite(w http.ResponseWriter, r *http.Request) error {
	return p.arrived(w, r, p.inviteArrival())
}

func (p *Pages) arrive(w http.ResponseWriter, r *http.Request, a arrival) error {
	if err := httpx.CheckNavigation(r); err != nil {
		return err
	}
	query, err := httpx.ParseForm(r.URL.RawQuery)
	if err != nil {
		return err
	}
	token := query.Get("token")
	user, err := a.check(r.Context(), token)
	if err != nil {
		return accountError(err)
	}
	return p.form(w, p.arrivalForm(a, user, token, p.linkSecret(w, r, token)))
}

func (p *Pages) arrivalForm(a arrival, user pool.User, token, secret string) formPage {
	return formPage{
		Title: a.title, Lead: a.lead, Action: p.base + a.path, Token: p.token(secret, a.path+" "+token), Button: a.button,
		Hidden: []Field{{"token", token}},
		Inputs: []input{
			{Name: "username", Label: "Account", Type: "text", Auto: "username", Value: called(user), ReadOnly: true},
			newPassword("New password"),
		},
	}
}

func (p *Pages) arrived(w http.ResponseWriter, r *http.Request, a arrival) error {
	form, err := p.readForm(w, r)
	if err != nil {
		return err
	}
	token := form.Get("token")
	secret := p.BrowserSecret(r, linkID(token))
	if err := p.checkToken(form, secret, a.path+" "+token); err != nil {
		return err
	}
	user, err := a.check(r.Context(), token)
	if err != nil {
		return accountError(err)
	}
	asked, err := a.set(p.actor(r, user.Username), token, form.Get("password"))
	if err != nil {
		return p.refuse(w, p.arrivalForm(a, user, token, secret), err)
	}
	return p.note(w, notePage{Title: "Done", Text: a.done, Link: link{p.wayOn(r, asked), "Sign in"}})
}

// called is how a person knows their account: the username, or the address where
// the username is only its id.
func called(u pool.User) string {
	if u.Username == u.ID && u.Email != "" {
		return u.Email
	}
	return u.Username
}
