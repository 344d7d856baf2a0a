package ui

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/idp/account"
	"gatehouse/idp/pool"
	"gatehouse/idp/signin"
	"gatehouse/internal/httpx"
)

// Paths of the ways into an account, below the issuer's.
const (
	PathSignUp  = "/signup"
	PathConfirm = "/signup/confirm"
	PathResend  = "/signup/resend"
)

// SignUp shows the form of a sign-up: GET /signup?flow=ID. Without a flow it
// begins one that leads to the person's account.
func (p *Pages) SignUp(w http.ResponseWriter, r *http.Request) error {
	if !p.deps.Accounts.SignUpOpen() {
		return accountError(account.ErrClosed)
	}
	pending, secret, err := p.inFlow(w, r, PathSignUp)
	if errors.Is(err, errAnswered) {
		return nil
	}
	if err != nil {
		return err
	}
	attributes, err := p.signUpAttributes(r.Context(), pending)
	if err != nil {
		return err
	}
	return p.form(w, p.signUpForm(pending, secret, attributes, httpx.Form{}))
}

// inFlow returns the flow of a page that comes before a sign-in. Without a flow
// in its query the browser gets one and comes back; errAnswered says that.
func (p *Pages) inFlow(w http.ResponseWriter, r *http.Request, path string) (signin.Pending, string, error) {
	if err := httpx.CheckNavigation(r); err != nil {
		return signin.Pending{}, "", err
	}
	query, err := httpx.ParseForm(r.URL.RawQuery)
	if err != nil {
		return signin.Pending{}, "", err
	}
	if !query.Has("flow") {
		return signin.Pending{}, "", p.beginAt(w, r, path)
	}
	f, err := p.find(w, r)
	if errors.Is(err, signin.ErrUsed) {
		if err := p.used(w, f.Pending); err != nil {
			return signin.Pending{}, "", err
		}
		return signin.Pending{}, "", errAnswered
	}
	return f.Pending, f.secret, err
}

// posted reads a form of a page that comes before a sign-in, and returns the flow
// it was made for, step being the step of its token. signin.ErrUsed comes with
// both; errAnswered says that the browser has been sent elsewhere.
func (p *Pages) posted(w http.ResponseWriter, r *http.Request, step func(flow string) string) (flow, httpx.Form, error) {
	form, err := p.readForm(w, r)
	if err != nil {
		return flow{}, httpx.Form{}, err
	}
	f, used := p.find(w, r)
	if used != nil && !errors.Is(used, signin.ErrUsed) {
		return flow{}, httpx.Form{}, used
	}
	if err := p.checkToken(form, f.secret, step(f.ID)); err != nil {
		return flow{}, httpx.Form{}, err
	}
	return f, form, used
}

// beginAt begins a flow that leads to the person's account, and sends the
// browser to a page that comes before its sign-in.
func (p *Pages) beginAt(w http.ResponseWriter, r *http.Request, path string) error {
	return p.beginOn(w, r, signin.Ask{For: signin.ForAccount, App: accountApp, Restart: p.base + PathAccount}, path)
}

// fixed are the fields of the sign-up form that are no attributes.
var fixed = []string{tokenField, "username", "email", "phone_number", "password"}

func (p *Pages) signUpForm(pending signin.Pending, secret string, attributes []string, typed httpx.Form) formPage {
	f := formPage{
		Title: "Sign up", Lead: "to continue to " + pending.App, Action: p.link(true, PathSignUp, pending.ID),
		Token: p.token(secret, signUpStep(pending.ID)), Button: "Sign up",
		Links: []link{{p.SignInPath(pending.ID), "Sign in with an account that you have"}},
	}
	mail := input{Name: "email", Label: "E-mail address", Type: "email", Auto: "email", Required: true}
	name := input{Name: "username", Label: "Username", Type: "text", Auto: "username", Required: true}
	if p.deps.Pool.SignsInWith(pool.ByEmail) {
		name.Required, name.Hint = false, "If you like: you can sign in with your address as well"
	}
	f.Inputs = append(f.Inputs, mail)
	if p.deps.Pool.SignsInWith(pool.ByUsername) {
		f.Inputs = append(f.Inputs, name)
	}
	f.Inputs = append(f.Inputs, p.attributeInputs(attributes)...)
	for i := range f.Inputs {
		f.Inputs[i].Value = typed.Get(f.Inputs[i].Name)
	}
	f.Inputs = append(f.Inputs, newPassword("Password"))
	return f
}

// signUpAttributes are the attributes that the sign-up form asks for and takes:
// those that the client may write that the person comes from, and the required ones.
func (p *Pages) signUpAttributes(ctx context.Context, pending signin.Pending) ([]string, error) {
	writes, err := p.deps.Writes(ctx, pending.Client)
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, name := range p.deps.Accounts.Attributes() {
		if writes(name) {
			names = append(names, name)
		}
	}
	for _, name := range p.deps.Pool.Schema().Required() {
		if name != "email" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// labels are what people read for an attribute.
var labels = map[string]string{
	"address": "Address", "birthdate": "Date of birth", "family_name": "Family name", "gender": "Gender", "given_name": "Given name",
	"locale": "Language", "middle_name": "Middle name", "name": "Name", "nickname": "Nickname", "phone_number": "Phone number",
	"picture": "Picture", "preferred_username": "Preferred username", "profile": "Profile page", "website": "Website", "zoneinfo": "Time zone",
}

// fills are the autocomplete tokens of attributes (HTML §4.10.18.7).
var fills = map[string]string{
	"birthdate": "bday", "family_name": "family-name", "given_name": "given-name", "middle_name": "additional-name", "name": "name",
	"nickname": "nickname", "phone_number": "tel", "website": "url", "gender": "sex", "address": "street-address",
}

func (p *Pages) attributeInputs(names []string) []input {
	required := p.deps.Pool.Schema().Required()
	var all []input
	for _, name := range names {
		label := labels[name]
		if label == "" {
			label = strings.TrimPrefix(name, pool.CustomPrefix)
		}
		in := input{Name: name, Label: label, Type: "text", Auto: fills[name], Required: slices.Contains(required, name)}
		if name == "phone_number" {
			in.Type, in.Hint = "tel", "With + and the country, such as +41791234567"
		}
		all = append(all, in)
	}
	return all
}

// SignedUp takes the form of a sign-up: POST /signup?flow=ID. Whatever was typed,
// the answer is the page that asks for what was sent.
func (p *Pages) SignedUp(w http.ResponseWriter, r *http.Request) error {
	f, form, err := p.posted(w, r, signUpStep)
	switch {
	case errors.Is(err, errAnswered):
		return nil
	case errors.Is(err, signin.ErrUsed):
		return again(w, r, f.Pending)
	case err != nil:
		return err
	}
	attributes, err := p.signUpAttributes(r.Context(), f.Pending)
	if err != nil {
		return err
	}
	wish := account.Wish{
		Username: form.Get("username"), Email: form.Get("email"), Phone: form.Get("phone_number"), Password: form.Get("password"),
		Attributes: attributesOf(form), Write: attributes, Browser: f.secret, Restart: f.Restart, From: p.deps.ClientIP(r),
	}
	id, err := p.deps.Accounts.SignUp(p.actor(r, ""), wish)
	if err != nil {
		return p.refuse(w, p.signUpForm(f.Pending, f.secret, attributes, form), err)
	}
	p.remember(w, r, id, wish.Browser, p.deps.Accounts.ConfirmWithin())
	p.goTo(w, r, p.confirmPath(id))
	return nil
}

// attributesOf returns every field that is not one of fixed: what may not be
// written is refused by name, and not passed over.
func attributesOf(form httpx.Form) map[string]string {
	all := map[string]string{}
	for _, name := range form.Names() {
		if !slices.Contains(fixed, name) {
			all[name] = form.Get(name)
		}
	}
	return all
}

func (p *Pages) confirmPath(id string) string {
	return p.base + PathConfirm + "?id=" + url.QueryEscape(id)
}

func signUpStep(flow string) string { return "sign-up " + flow }
