package ui

import (
	"context"
	"net/http"
	"slices"
	"time"

	"gatehouse/idp/account"
	"gatehouse/idp/pool"
	"gatehouse/idp/sso"
	"gatehouse/internal/audit"
	"gatehouse/internal/httpx"
)

// Paths of a person's own account, below the issuer's.
const (
	PathAccount  = "/account"
	PathEmail    = "/account/email"
	PathPhone    = "/account/phone"
	PathPassword = "/account/password"
	PathSessions = "/account/sessions"
	PathDelete   = "/account/delete"
	// PathChangePassword is where password managers look (W3C, A Well-Known URL
	// for Changing Passwords).
	PathChangePassword = "/.well-known/change-password"
)

// recent is how old a sign-in may be that changes how a person is reached, or
// ends the account.
const recent = 10 * time.Minute

// actor returns the context of r with who acts, for the record.
func (p *Pages) actor(r *http.Request, username string) context.Context {
	a := audit.Actor{Name: username}
	if ip := p.deps.ClientIP(r); ip.IsValid() {
		a.IP = ip.String()
	}
	return audit.WithActor(r.Context(), a)
}

// ownStep is the step of the form tokens of a page of the account: it is bound to
// the session by its ticket.
func ownStep(path string) string { return "own " + path }

// ownForm begins the form of a page of the account.
func (p *Pages) ownForm(r *http.Request, path string) formPage {
	return formPage{
		Action: p.base + path, Token: p.token(p.deps.SSO.Ticket(r), ownStep(path)),
		Links: []link{{p.base + PathAccount, "Your account"}},
	}
}

// own reads the form of a page of the account, sent by who has signed in within
// fresh.
func (p *Pages) own(w http.ResponseWriter, r *http.Request, path string, fresh time.Duration) (pool.User, sso.Session, httpx.Form, error) {
	form, err := p.readForm(w, r)
	if err != nil {
		return pool.User{}, sso.Session{}, form, err
	}
	user, session, err := p.visitor(w, r, fresh)
	if err != nil {
		return pool.User{}, sso.Session{}, form, err
	}
	return user, session, form, p.checkToken(form, p.deps.SSO.Ticket(r), ownStep(path))
}

// Account shows what is known of the person who has signed in: GET /account.
func (p *Pages) Account(w http.ResponseWriter, r *http.Request) error {
	return p.member(0, func(w http.ResponseWriter, r *http.Request, u pool.User, _ sso.Session) error {
		f := p.profileForm(r, u)
		if r.URL.Query().Has("saved") {
			f.Note = "Saved."
		}
		return p.form(w, f)
	})(w, r)
}

func (p *Pages) profileForm(r *http.Request, u pool.User) formPage {
	f := p.ownForm(r, PathAccount)
	f.Title, f.Lead, f.Button = "Your account", "You are signed in as "+called(u)+".", "Save"
	f.Inputs = p.attributeInputs(p.deps.Accounts.Attributes())
	for i := range f.Inputs {
		in := &f.Inputs[i]
		in.Value = u.Attribute(in.Name)
		if a, ok := p.deps.Pool.Schema().Custom(in.Name); ok && !a.Mutable && in.Value != "" {
			in.ReadOnly = true
		}
	}
	f.Links = []link{
		{p.base + PathPassword, "Change your password"}, {p.base + PathSecurity, "Second factors"}, {p.base + PathSessions, "Where you are signed in"},
	}
	if p.deps.Accounts.Can(account.Email) {
		f.Links = append(f.Links, link{p.base + PathEmail, "E-mail address: " + shown(u.Email, u.EmailVerified)})
	}
	if p.deps.Accounts.Can(account.Phone) {
		f.Links = append(f.Links, link{p.base + PathPhone, "Phone number: " + shown(u.Phone, u.PhoneVerified)})
	}
	if p.deps.Accounts.DeleteOpen() {
		f.Links = append(f.Links, link{p.base + PathDelete, "Delete your account"})
	}
	return f
}

// shown is how a person reads an address of theirs.
func shown(value string, verified bool) string {
	switch {
	case value == "":
		return "none"
	case !verified:
		return value + " (not verified)"
	}
	return value
}

// ChangeProfile saves it: POST /account. A field that the person may not write is
// refused by name.
func (p *Pages) ChangeProfile(w http.ResponseWriter, r *http.Request) error {
	u, _, form, err := p.own(w, r, PathAccount, 0)
	if err != nil {
		return err
	}
	fields := map[string]string{}
	for _, name := range form.Names() {
		if name != tokenField {
			fields[name] = form.Get(name)
		}
	}
	if err := p.deps.Accounts.ChangeProfile(p.actor(r, u.Username), u, fields, nil); err != nil {
		f := p.profileForm(r, u)
		for i := range f.Inputs {
			f.Inputs[i].Value = form.Get(f.Inputs[i].Name)
		}
		return p.refuse(w, f, err)
	}
	p.goTo(w, r, p.base+PathAccount+"?saved=1")
	return nil
}

// ToPassword leads to the page where a password is changed.
func (p *Pages) ToPassword(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, p.base+PathPassword, http.StatusFound)
	return nil
}

// Password shows the form that changes the password: GET /account/password.
func (p *Pages) Password(w http.ResponseWriter, r *http.Request) error {
	return p.member(0, func(w http.ResponseWriter, r *http.Request, u pool.User, _ sso.Session) error {
		return p.form(w, p.passwordForm(r, u))
	})(w, r)
}

func (p *Pages) passwordForm(r *http.Request, u pool.User) formPage {
	f := p.ownForm(r, PathPassword)
	f.Title, f.Lead, f.Button = "Change your password", "You are signed out everywhere once it is changed.", "Change password"
	f.Inputs = []input{{Name: "username", Label: "Account", Type: "text", Auto: "username", Value: called(u), ReadOnly: true}}
	if u.PasswordHash != "" {
		old := oldPassword("Password of today")
		old.Name = "old_password"
		f.Inputs = append(f.Inputs, old)
	}
	f.Inputs = append(f.Inputs, newPassword("New password"))
	return f
}

// ChangePassword changes it: POST /account/password. Who has none yet must have
// signed in recently.
func (p *Pages) ChangePassword(w http.ResponseWriter, r *http.Request) error {
	u, session, form, err := p.own(w, r, PathPassword, 0)
	if err != nil {
		return err
	}
	if u.PasswordHash == "" && p.deps.Now().Sub(session.AuthTime) > recent {
		return signInAgain()
	}
	err = p.deps.Accounts.ChangePassword(p.actor(r, u.Username), u, p.old(r, form.Get("old_password")), form.Get("password"))
	if err != nil {
		return p.refuseOld(w, p.passwordForm(r, u), err)
	}
	return p.note(w, notePage{Title: "Your password is changed", Text: "Sign in with the new one.", Link: link{p.base + PathAccount, "Sign in"}})
}

// old is the password of today, as somebody who is signed in types it.
func (p *Pages) old(r *http.Request, pass string) account.Old {
	return account.Old{Password: pass, From: p.deps.ClientIP(r)}
}

// refuseOld is refuse where the password of today has a field of its own.
func (p *Pages) refuseOld(w http.ResponseWriter, f formPage, err error) error {
	i := slices.IndexFunc(f.Inputs, func(in input) bool { return in.Name == "old_password" })
	if i < 0 || !isWrongPassword(err) {
		return p.refuse(w, f, err)
	}
	f.Inputs[i].Wrong = true
	f.Problem = wrongPassword
	return p.form(w, f)
}

// Leave asks whether the person wants to delete the account: GET /account/delete.
func (p *Pages) Leave(w http.ResponseWriter, r *http.Request) error {
	if !p.deps.Accounts.DeleteOpen() {
		return accountError(account.ErrClosed)
	}
	return p.guarded(func(w http.ResponseWriter, r *http.Request, u pool.User, _ sso.Session) error {
		return p.form(w, p.leaveForm(r, u))
	})(w, r)
}

func (p *Pages) leaveForm(r *http.Request, u pool.User) formPage {
	f := p.ownForm(r, PathDelete)
	f.Title, f.Button = "Delete your account?", "Delete "+called(u)
	f.Lead = "You are signed out everywhere, and what is known of you here is gone for good."
	if u.PasswordHash != "" {
		f.Inputs = []input{
			{Name: "username", Label: "Account", Type: "text", Auto: "username", Value: called(u), ReadOnly: true}, oldPassword("Password"),
		}
	}
	return f
}

// Left deletes the account: POST /account/delete.
func (p *Pages) Left(w http.ResponseWriter, r *http.Request) error {
	u, session, form, err := p.own(w, r, PathDelete, recent)
	if err != nil {
		return err
	}
	if err := p.proved(w, r, u, session); err != nil {
		return err
	}
	if err := p.deps.Accounts.Delete(p.actor(r, u.Username), u, p.old(r, form.Get("password"))); err != nil {
		return p.refuse(w, p.leaveForm(r, u), err)
	}
	p.deps.SSO.ClearCookie(w)
	return p.note(w, notePage{Title: "Your account is deleted", Text: "You can close this page."})
}

func signInAgain() error {
	return &httpx.Error{
		Status: http.StatusForbidden, Code: "login_required", Public: "you have to sign in again before you can do this",
	}
}
