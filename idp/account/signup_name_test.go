package account_test

import (
	"errors"
	"testing"

	"gatehouse/idp/account"
	"gatehouse/idp/pool"
)

// The form has no such field there, and a rule may name whoever has the username.
func TestNobodyChoosesAUsernameThatNobodySignsInWith(t *testing.T) {
	mails := newWorld(t, func(_ *account.Config, p *pool.Config) { p.SignInWith = []string{pool.ByEmail} })
	var field *account.FieldError
	if _, err := mails.acc.SignUp(t.Context(), wish("bob")); !errors.As(err, &field) || field.Field != "username" {
		t.Errorf("sign-up as bob = %v, want a FieldError of username", err)
	}
	v := wish("bob")
	v.Username = ""
	id, m := mails.signUp(v)
	err := mails.confirm(account.Confirmation{ID: id, Browser: browser, Code: m["code"], Username: "bob"})
	if !errors.As(err, &field) || field.Field != "username" {
		t.Errorf("confirmation as bob = %v, want a FieldError of username", err)
	}
	u, _, err := mails.acc.Confirm(t.Context(), account.Confirmation{ID: id, Browser: browser, Code: m["code"]})
	if err != nil || u.Username != u.ID {
		t.Errorf("confirmation = %+v, %v; want the id as username", u, err)
	}
}

func TestAUsernameThatWaitsIsNotTakenOnceNobodySignsInWithIt(t *testing.T) {
	var people pool.Config
	w := newWorld(t, func(_ *account.Config, p *pool.Config) { people = *p })
	id, m := w.signUp(wish("bob"))
	people.SignInWith = []string{pool.ByEmail}
	w.openPool(people)
	w.open()
	u, _, err := w.acc.Confirm(t.Context(), account.Confirmation{ID: id, Browser: browser, Code: m["code"]})
	if err != nil || u.Username != u.ID {
		t.Errorf("confirmation = %q of %q, %v; want the id as username", u.Username, u.ID, err)
	}
}
