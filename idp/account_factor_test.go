package idp_test

import (
	"testing"
	"time"

	"gatehouse/idp"
	"gatehouse/idp/mfa"
	"gatehouse/internal/testenv/authenticator"
)

// appCode is what an authenticator app shows that was set up with a secret.
func appCode(t *testing.T, secret string, at time.Time) string {
	t.Helper()
	key, err := authenticator.Key(secret)
	if err != nil {
		t.Fatal(err)
	}
	return authenticator.Code(key, at, 0)
}

// A mailbox is no second factor: whoever holds it sets the password, and no more.
func TestResetLeavesSecondFactors(t *testing.T) {
	m := startMailed(t, "")
	who := mfa.Person{ID: m.userID("alice"), Name: "alice"}
	setup, err := m.p.Factors.BeginTOTP(who)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.p.Factors.ConfirmTOTP(t.Context(), who, setup.Artefact, appCode(t, setup.Secret, m.now()), "phone"); err != nil {
		t.Fatal(err)
	}
	b := m.browser()
	b.fill(b.get(b.open(newRequest()).linkOf(t, "Forgotten")), "username", "alice")
	b.want(b.fill(b.get(m.mail("Alice@example.com").link()), "password", "a new long password"), 200, "Your password is set")
	set, err := m.p.Factors.Of(t.Context(), who.ID)
	if err != nil || !set.Has(mfa.TOTP) {
		t.Errorf("after the reset the factors are %v, %v", set.Factors, err)
	}
}

// T238, S24: where codes of a second factor and new passwords go is not changed,
// nor an account deleted, by who has a second factor and was not asked for it
// because the browser is remembered.
func TestRememberedBrowserChangesNoAddress(t *testing.T) {
	m := startMailed(t, "", func(c *idp.Config) { c.MFA.Devices.Remember = "optional" })
	phone, _ := m.setUpApp(m.browser())
	b := m.browser()
	b.fill(b.half(newRequest()), "code", phone.code(), "trust", "yes").location(t)
	b.want(b.get(m.issuer+"/account/email"), 200, `name="email"`)
	b.signIn(newRequest("prompt", "login"))
	for _, path := range []string{"/account/email", "/account/email?step=code", "/account/delete"} {
		to := b.next(b.get(m.issuer + path))
		b.want(to, 200, `name="code"`)
		b.want(to, 200, "Enter your code")
	}
	to := b.next(b.get(m.issuer + "/account/email"))
	if at := b.fill(to, "code", phone.code(), "trust", "").location(t); at.Path != "/account/email" {
		t.Fatalf("after the factor: %s", at)
	}
	b.want(b.get(m.issuer+"/account/email"), 200, `name="email"`)
}
