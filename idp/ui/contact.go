package ui

import (
	"context"
	"net/http"

	"gatehouse/idp/account"
	"gatehouse/idp/pool"
	"gatehouse/idp/sso"
	"gatehouse/internal/httpx"
)

// contact is one of the two pages where people change how they are reached.
type contact struct {
	path, title, field, done string
	channel                  account.Channel
	ask                      input
	of                       func(pool.User) string
	request                  func(context.Context, pool.User, string) error
	confirm                  func(context.Context, pool.User, string) error
}

func (p *Pages) email() contact {
	a := p.deps.Accounts
	return contact{
		path: PathEmail, title: "Your e-mail address", field: "email", channel: account.Email, request: a.AskEmail, confirm: a.ConfirmEmail,
		ask:  input{Name: "email", Label: "New e-mail address", Type: "email", Auto: "email", Required: true},
		of:   func(u pool.User) string { return shown(u.Email, u.EmailVerified) },
		done: "Your e-mail address is changed",
	}
}

func (p *Pages) phone() contact {
	a := p.deps.Accounts
	return contact{
		path: PathPhone, title: "Your phone number", field: "phone_number", channel: account.Phone, request: a.AskPhone, confirm: a.ConfirmPhone,
		ask: input{
			Name: "phone_number", Label: "New phone number", Type: "tel", Auto: "tel", Required: true, Hint: "With + and the country, such as +41791234567",
		},
		of:   func(u pool.User) string { return shown(u.Phone, u.PhoneVerified) },
		done: "Your phone number is changed",
	}
}

// Email shows the form that changes the e-mail address: GET /account/email; with
// ?step=code the one for the code that was sent.
func (p *Pages) Email(w http.ResponseWriter, r *http.Request) error {
	return p.contact(w, r, p.email())
}

// ChangeEmail sends a code to a new address, or takes that code: POST
// /account/email. Until then nothing changes.
func (p *Pages) ChangeEmail(w http.ResponseWriter, r *http.Request) error {
	return p.changeContact(w, r, p.email())
}

// Phone is Email for the phone number: GET /account/phone.
func (p *Pages) Phone(w http.ResponseWriter, r *http.Request) error {
	return p.contact(w, r, p.phone())
}

// ChangePhone is ChangeEmail for the phone number: POST /account/phone.
func (p *Pages) ChangePhone(w http.ResponseWriter, r *http.Request) error {
	return p.changeContact(w, r, p.phone())
}

func (p *Pages) contact(w http.ResponseWriter, r *http.Request, c contact) error {
	if !p.deps.Accounts.Can(c.channel) {
		return accountError(account.ErrClosed)
	}
	query, err := httpx.ParseForm(r.URL.RawQuery)
	if err != nil {
		return err
	}
	return p.guarded(func(w http.ResponseWriter, r *http.Request, u pool.User, _ sso.Session) error {
		if query.Get("step") == "code" {
			return p.form(w, p.contactCode(r, c))
		}
		return p.form(w, p.contactForm(r, c, u))
	})(w, r)
}

func (p *Pages) contactForm(r *http.Request, c contact, u pool.User) formPage {
	f := p.ownForm(r, c.path)
	f.Title, f.Lead, f.Button = c.title, "Today: "+c.of(u)+". A new one counts once you have typed in the code that we send to it.", "Send a code"
	f.Inputs = []input{c.ask}
	f.Links = append(f.Links, link{p.base + c.path + "?step=code", "I have a code"})
	return f
}

func (p *Pages) contactCode(r *http.Request, c contact) formPage {
	f := p.ownForm(r, c.path)
	f.Title, f.Button = "Type in the code", "Confirm"
	f.Lead = "We have sent you a message. When this is done you are signed out everywhere, and sign in again."
	f.Inputs = []input{code("", "Eight digits")}
	f.Links = append(f.Links, link{p.base + c.path, "Ask for another code"})
	return f
}

func (p *Pages) changeContact(w http.ResponseWriter, r *http.Request, c contact) error {
	if !p.deps.Accounts.Can(c.channel) {
		return accountError(account.ErrClosed)
	}
	u, session, form, err := p.own(w, r, c.path, recent)
	if err != nil {
		return err
	}
	if err := p.proved(w, r, u, session); err != nil {
		return err
	}
	ctx := p.actor(r, u.Username)
	if form.Has("code") {
		if err := c.confirm(ctx, u, form.Get("code")); err != nil {
			return p.refuse(w, p.contactCode(r, c), err)
		}
		return p.note(w, notePage{Title: c.done, Text: "Sign in again to go on.", Link: link{p.base + PathAccount, "Sign in"}})
	}
	if err := c.request(ctx, u, form.Get(c.field)); err != nil {
		f := p.contactForm(r, c, u)
		f.Inputs[0].Value = form.Get(c.field)
		return p.refuse(w, f, err)
	}
	p.goTo(w, r, p.base+c.path+"?step=code")
	return nil
}
