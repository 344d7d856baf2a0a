package ui

import (
	"net/http"

	"gatehouse/internal/httpx"
)

// signOutStep is the step of the form tokens of the sign-out page.
const signOutStep = "sign-out"

// Field is a field that a page passes on unread.
type Field struct{ Name, Value string }

type confirmPage struct {
	common
	User, Action, Token string
	Fields              []Field
}

// ConfirmSignOut asks whether the person wants to sign out. ticket is what the
// browser holds in the provider's session cookie; user is the name to show;
// fields go with the answer, and destination is where the answer may lead.
func (p *Pages) ConfirmSignOut(w http.ResponseWriter, ticket, user, destination string, fields map[string]string) error {
	data := confirmPage{common: p.common("Sign out"), User: user, Action: p.base + "/logout/confirm", Token: p.token(ticket, signOutStep)}
	// In a fixed order, so that the page is the same each time.
	for _, name := range []string{"client_id", "post_logout_redirect_uri", "logout_uri", "state"} {
		if value, ok := fields[name]; ok {
			data.Fields = append(data.Fields, Field{name, value})
		}
	}
	return p.show(w, view{status: http.StatusOK, name: "confirm_sign_out", destination: destination, data: data})
}

// ConfirmedSignOut reads the answer to ConfirmSignOut: the person's own wish,
// as far as a browser can tell. ticket is what the browser holds now.
func (p *Pages) ConfirmedSignOut(w http.ResponseWriter, r *http.Request, ticket string) (httpx.Form, error) {
	form, err := p.readForm(w, r)
	if err != nil {
		return httpx.Form{}, err
	}
	if ticket == "" {
		// Signed out already, perhaps by the same form sent twice.
		return form, nil
	}
	return form, p.checkToken(form, ticket, signOutStep)
}

// SignedOut shows that the browser has no session at the provider any more.
func (p *Pages) SignedOut(w http.ResponseWriter) error {
	return p.show(w, view{status: http.StatusOK, name: "signed_out", data: p.common("Signed out")})
}
