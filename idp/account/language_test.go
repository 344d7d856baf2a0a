package account_test

import (
	"testing"

	"gatehouse/idp/account"
	"gatehouse/idp/pool"
)

// Whatever somebody is sent names the language of the account that it is about.
func TestMessagesNameTheLanguageOfTheirReader(t *testing.T) {
	w := newWorld(t, func(c *account.Config, _ *pool.Config) { c.Attributes = []string{"locale"} })
	ctx := t.Context()
	seen := map[string]bool{}
	all := func(locale string) (last map[string]string) {
		t.Helper()
		for _, m := range w.mail() {
			if seen[m["kind"]] = true; m["locale"] != locale {
				t.Errorf("%s to %s is in %q, want %q", m["kind"], m["to"], m["locale"], locale)
			}
			last = m
		}
		return last
	}
	wish := account.Wish{Username: "dana", Email: "dana@example.com", Password: "violet lamp 42 river", Browser: browser, From: here}
	wish.Attributes = map[string]string{"locale": "fr"}
	id, err := w.acc.SignUp(ctx, wish)
	w.must(err)
	dana, _, err := w.acc.Confirm(ctx, account.Confirmation{ID: id, Browser: browser, Code: all("fr")["code"]})
	w.must(err)
	// The owner of an address reads it, whatever the one wants who typed it.
	wish.Username, wish.Attributes = "eve", map[string]string{"locale": "it"}
	_, err = w.acc.SignUp(ctx, wish)
	w.must(err)
	w.must(w.acc.Forgot(ctx, asks("dana")))
	w.must(w.acc.AskPhone(ctx, dana, "+41791234567"))
	w.must(w.acc.ConfirmPhone(ctx, dana, all("fr")["code"]))
	dana = w.user(dana.ID)
	w.must(w.acc.AskEmail(ctx, dana, "new@example.com"))
	code := ""
	for _, m := range w.mail() {
		if seen[m["kind"]] = true; m["locale"] != "fr" {
			t.Errorf("%s is in %q", m["kind"], m["locale"])
		}
		code += m["code"]
	}
	w.must(w.acc.ConfirmEmail(ctx, dana, code))
	dana = w.user(dana.ID)
	w.must(w.acc.ChangePassword(ctx, dana, account.Old{Password: wish.Password, From: here}, "another lamp 43 river"))
	w.must(w.acc.Delete(ctx, w.user(dana.ID), account.Old{Password: "another lamp 43 river", From: here}))
	all("fr")
	_, err = w.acc.Invite(ctx, pool.NewUser{Username: "gina", Email: "gina@example.com", Attributes: map[string]string{"locale": "de"}})
	w.must(err)
	all("de")
	for _, kind := range []account.Kind{
		account.ConfirmSignUp, account.AlreadyRegistered, account.ResetPassword, account.PasswordChanged, account.ConfirmEmail,
		account.EmailChangeRequested, account.EmailChanged, account.VerifyPhone, account.Invitation, account.AccountDeleted,
	} {
		if !seen[string(kind)] {
			t.Errorf("no message of kind %s", kind)
		}
	}
}
