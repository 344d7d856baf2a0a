package ui

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"net/url"

	"gatehouse/idp/account"
	"gatehouse/internal/httpx"
	"gatehouse/internal/opaque"
)

// waiting is a sign-up that somebody has come to confirm.
type waiting struct {
	signUp account.SignUp
	// token is what the link carried, "" for a code.
	token string
	// secret is what the form token is bound to, mine that of the browser that
	// signed up, "" for another browser.
	secret, mine string
	// name asks for another username.
	name bool
}

// ConfirmSignUp shows what a sign-up is confirmed with: a form for the code in
// the browser that signed up (GET /signup/confirm?id=ID), or a button for who
// comes by the link (?token=TOKEN). It changes nothing: programs that look at
// links in mail come here too.
func (p *Pages) ConfirmSignUp(w http.ResponseWriter, r *http.Request) error {
	if err := httpx.CheckNavigation(r); err != nil {
		return err
	}
	query, err := httpx.ParseForm(r.URL.RawQuery)
	if err != nil {
		return err
	}
	c, err := p.waiting(r, query.Get("id"), query.Get("token"))
	if err != nil {
		return accountError(err)
	}
	if c.token != "" {
		c.secret = p.linkSecret(w, r, c.token)
	}
	f := p.confirmForm(c, httpx.Form{})
	if query.Has("sent") {
		f.Note = "If more can be sent, it is on its way. Look for the newest message."
	}
	return p.form(w, f)
}

// waiting finds a sign-up by its id in this browser, or by the token of a link.
func (p *Pages) waiting(r *http.Request, id, token string) (waiting, error) {
	c := waiting{token: token}
	if token == "" {
		c.mine = p.BrowserSecret(r, id)
		c.secret = c.mine
		var err error
		c.signUp, err = p.deps.Accounts.Pending(r.Context(), id, c.mine)
		return c, err
	}
	var err error
	if c.signUp, err = p.deps.Accounts.PendingLink(r.Context(), token); err != nil {
		return c, err
	}
	if secret := p.BrowserSecret(r, c.signUp.ID); c.signUp.From(secret) {
		c.mine = secret
	}
	c.secret = p.BrowserSecret(r, linkID(token))
	return c, nil
}

func (p *Pages) confirmForm(c waiting, typed httpx.Form) formPage {
	f := formPage{Title: "Confirm your sign-up", Action: p.base + PathConfirm, Token: p.token(c.secret, confirmStep(c)), Button: "Confirm"}
	switch {
	case c.token == "":
		f.Title, f.Lead = "Check your messages", "We have sent a code to "+reached(c.signUp)+". Type it in here, or follow the link that came with it."
		f.Action = p.confirmPath(c.signUp.ID)
		f.Inputs = []input{code(typed.Get("code"), "Six digits")}
		f.SecondAction, f.SecondButton = p.base+PathResend+"?id="+url.QueryEscape(c.signUp.ID), "Send it again"
	case c.mine == "":
		f.Lead = "You signed up in another browser. Type the password you have chosen there. If it was not you, close this page: nothing happens then."
		f.Hidden = []Field{{"token", c.token}}
		f.Inputs = []input{
			{Name: "email", Label: "E-mail address", Type: "email", Auto: "username", Value: c.signUp.Email, ReadOnly: true},
			oldPassword("Password"),
		}
	default:
		f.Lead = "This makes your account."
		f.Hidden = []Field{{"token", c.token}}
	}
	if c.mine != "" {
		f.Hidden = append(f.Hidden, Field{"signup", c.signUp.ID}, Field{"next", c.signUp.Restart})
	}
	if c.name {
		f.Lead = "Your address is confirmed. Choose another username."
		f.Inputs = append(f.Inputs, input{Name: "username", Label: "Username", Type: "text", Auto: "username", Required: true, Value: typed.Get("username")})
	}
	return f
}

// reached is where the code of a sign-up went, as it was typed.
func reached(s account.SignUp) string {
	if s.Email != "" {
		return s.Email
	}
	return s.Phone
}

// ConfirmedSignUp takes the answer: POST /signup/confirm. The browser that signed
// up goes on to sign in.
func (p *Pages) ConfirmedSignUp(w http.ResponseWriter, r *http.Request) error {
	form, err := p.readForm(w, r)
	if err != nil {
		return err
	}
	query, err := httpx.ParseForm(r.URL.RawQuery)
	if err != nil {
		return err
	}
	c, err := p.waiting(r, query.Get("id"), form.Get("token"))
	if errors.Is(err, account.ErrLink) && p.wasOurs(r, form) {
		return p.note(w, notePage{
			Title: "This page has been used", Text: "Your sign-up is confirmed, or it has expired. If it is confirmed you can sign in.",
			Link: link{form.Get("next"), "Continue"},
		})
	}
	if err != nil {
		return accountError(err)
	}
	if err := p.checkToken(form, c.secret, confirmStep(c)); err != nil {
		return err
	}
	_, done, err := p.deps.Accounts.Confirm(p.actor(r, ""), account.Confirmation{
		ID: c.signUp.ID, Browser: c.mine, Code: form.Get("code"), Token: c.token, Password: form.Get("password"), Username: form.Get("username"),
	})
	var taken *account.NameTakenError
	if errors.As(err, &taken) {
		c.token, c.name = taken.Token, true
		c.secret = p.linkSecret(w, r, c.token)
		err = &account.FieldError{Field: "username", Reason: "somebody has this username already"}
	}
	if err != nil {
		c.name = c.name || form.Has("username")
		return p.refuse(w, p.confirmForm(c, form), err)
	}
	if c.mine != "" && done.Restart != "" {
		p.goTo(w, r, done.Restart)
		return nil
	}
	return p.note(w, notePage{
		Title: "Your account is ready", Text: "You can sign in now, here or where you signed up.",
		Link: link{p.base + PathAccount, "Sign in"},
	})
}

// Resend sends a code once more: POST /signup/resend?id=ID. The answer is the
// same whether it was sent or not.
func (p *Pages) Resend(w http.ResponseWriter, r *http.Request) error {
	form, err := p.readForm(w, r)
	if err != nil {
		return err
	}
	query, err := httpx.ParseForm(r.URL.RawQuery)
	if err != nil {
		return err
	}
	c, err := p.waiting(r, query.Get("id"), "")
	if err != nil {
		return accountError(err)
	}
	if err := p.checkToken(form, c.secret, confirmStep(c)); err != nil {
		return err
	}
	if err := p.deps.Accounts.Resend(p.actor(r, ""), c.signUp.ID, c.mine); err != nil {
		return accountError(err)
	}
	p.goTo(w, r, p.confirmPath(c.signUp.ID)+"&sent=1")
	return nil
}

// wasOurs tells whether a form was made by us for a sign-up of this browser that
// is over: the second click of a double click gets the way on, and not an error.
func (p *Pages) wasOurs(r *http.Request, form httpx.Form) bool {
	c := waiting{signUp: account.SignUp{ID: form.Get("signup"), Restart: form.Get("next")}, token: form.Get("token"), mine: "its"}
	c.secret = p.BrowserSecret(r, c.signUp.ID)
	if c.token != "" {
		c.secret = p.BrowserSecret(r, linkID(c.token))
	}
	return c.signUp.ID != "" && c.signUp.Restart != "" && p.checkToken(form, c.secret, confirmStep(c)) == nil
}

// confirmStep is the step of the form tokens of a confirmation; where the way on
// stands in the form, it is part of it, so that nobody else can write it.
func confirmStep(c waiting) string {
	step := "confirm " + c.signUp.ID + " " + c.token
	if c.mine != "" {
		step += " " + c.signUp.Restart
	}
	return step
}

// linkID is the id under which a browser that follows a link gets a secret.
func linkID(token string) string {
	sum := sha256.Sum256([]byte(token))
	return opaque.Encode(sum[:])
}

// linkSecret returns the secret of a browser that follows a link, and gives it
// one if it has none. It says nothing of who sits before it; forms are bound to
// it.
func (p *Pages) linkSecret(w http.ResponseWriter, r *http.Request, token string) string {
	if secret := p.BrowserSecret(r, linkID(token)); secret != "" {
		return secret
	}
	secret := NewBrowserSecret()
	p.RememberFlow(w, r, linkID(token), secret)
	return secret
}
