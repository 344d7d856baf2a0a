package ui

import (
	"errors"
	"net/http"
	"unicode"
	"unicode/utf8"

	"gatehouse/idp/account"
	"gatehouse/internal/httpx"
)

// input is one field of a form.
type input struct {
	// Name is the name and id of the field, Label what the person reads.
	Name, Label string
	// Type is text, email, tel or password; Auto is its autocomplete token and
	// Mode its inputmode.
	Type, Auto, Mode string
	Value, Hint      string
	Required         bool
	// ReadOnly shows what the form is about: password managers look for a name.
	ReadOnly bool
	// Wrong says that the problem of the page is this field's.
	Wrong bool
}

// link is a way on from a page.
type link struct{ Path, Text string }

// formPage is a page with one form.
type formPage struct {
	common
	Title, Lead, Problem, Note string
	Action, Token, Button      string
	Inputs                     []input
	Hidden                     []Field
	SecondAction, SecondButton string
	Links                      []link
}

// notePage is a page that says something.
type notePage struct {
	common
	Title, Text string
	Link        link
}

// form shows f: 200, or 422 when it is to be filled in again.
func (p *Pages) form(w http.ResponseWriter, f formPage) error {
	status, title := http.StatusOK, f.Title
	if f.Problem != "" {
		status, title = http.StatusUnprocessableEntity, "Error: "+f.Title
	}
	f.common = p.common(title)
	return p.show(w, view{status: status, name: "form_page", data: f})
}

// note shows n.
func (p *Pages) note(w http.ResponseWriter, n notePage) error {
	n.common = p.common(n.Title)
	return p.show(w, view{status: http.StatusOK, name: "note_page", data: n})
}

// refuse shows f again with what err says of it, if it is for the person; any
// other error comes back.
func (p *Pages) refuse(w http.ResponseWriter, f formPage, err error) error {
	var field *account.FieldError
	if errors.As(err, &field) {
		// A field that is not on the page was made up by somebody.
		label := "The field " + field.Field
		for i := range f.Inputs {
			if f.Inputs[i].Name == field.Field {
				f.Inputs[i].Wrong = true
				label = f.Inputs[i].Label
			}
		}
		f.Problem = sentence(label + ": " + field.Reason)
		if first, _ := utf8.DecodeRuneInString(field.Reason); unicode.IsUpper(first) {
			f.Problem = sentence(field.Reason) // says what it is about
		}
		return p.form(w, f)
	}
	for _, c := range []struct {
		err         error
		field, text string
	}{
		{account.ErrWrongCode, "code", "This code is not right, or it has expired. Look at the newest message and try again."},
		{account.ErrTooManyTries, "code", "There were too many tries with this code. Use the link in the message, or begin again."},
		{account.ErrWrongPassword, "password", wrongPassword},
		{account.ErrAddressTaken, "", "This address belongs to another account by now. Sign in with it, or ask for a new password."},
	} {
		if errors.Is(err, c.err) {
			f.Problem = c.text
			for i := range f.Inputs {
				f.Inputs[i].Wrong = f.Inputs[i].Name == c.field
			}
			return p.form(w, f)
		}
	}
	return accountError(err)
}

const wrongPassword = "This password is not right, or there were too many tries. Check it, or try again later."

func isWrongPassword(err error) bool { return errors.Is(err, account.ErrWrongPassword) }

// accountError turns what the domain says into an *httpx.Error where there is no
// form to be filled in again; nil stays nil.
func accountError(err error) error {
	var limited *account.LimitedError
	switch {
	case errors.As(err, &limited):
		return &httpx.Error{
			Status: http.StatusTooManyRequests, Code: "too_many_tries", Err: err, RetryAfter: limited.RetryAfter,
			Public: "this was asked for too often",
		}
	case errors.Is(err, account.ErrBusy):
		return &httpx.Error{
			Status: http.StatusServiceUnavailable, Err: err, RetryAfter: account.BusyRetry, Public: "too many people are here at once",
		}
	case errors.Is(err, account.ErrLink):
		return &httpx.Error{
			Status: http.StatusBadRequest, Code: "stale_link", Err: err,
			Public: "this link or page has been used, has expired, or was opened in another browser",
		}
	case errors.Is(err, account.ErrClosed):
		return &httpx.Error{Status: http.StatusNotFound, Err: err, Public: "this is not offered here"}
	}
	return err
}

func code(value, hint string) input {
	return input{Name: "code", Label: "Code", Type: "text", Auto: "one-time-code", Mode: "numeric", Required: true, Value: value, Hint: hint}
}

func newPassword(label string) input {
	return input{Name: "password", Label: label, Type: "password", Auto: "new-password", Required: true}
}

func oldPassword(label string) input {
	return input{Name: "password", Label: label, Type: "password", Auto: "current-password", Required: true}
}
