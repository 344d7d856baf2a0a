package idp_test

import (
	"strings"
	"testing"

	"gatehouse/idp"
	"gatehouse/idp/notify"
)

// Alice is in the group admins; what the mailbox shows opens every account.
func TestDemoMailIsForAdmins(t *testing.T) {
	box := notify.NewMailbox(nil)
	f := startWith(t, "", idp.Deps{Demo: true, Mailbox: box})
	for _, l := range []notify.Letter{
		{ID: "1", Kind: notify.ConfirmSignUp, Channel: notify.Email, To: "first@example.com", Subject: "111111 is your code", Text: "111111 <b>\n", Link: "https://login.test/x?token=a&b"},
		{ID: "2", Kind: notify.VerifyPhone, Channel: notify.SMS, To: "+41791234567", Text: "222222\n"},
	} {
		if _, err := box.Send(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	page := func(name string) answer {
		b := f.browser()
		to := b.get(f.issuer + "/demo/mail")
		if to.StatusCode != 303 || strings.Contains(to.body, "111111") {
			t.Fatalf("a stranger gets %d %s, want the sign-in page", to.StatusCode, to.body)
		}
		return b.next(b.submit(b.next(to), name, password))
	}
	if a := page("bob"); a.StatusCode != 403 || strings.Contains(a.body, "111111") {
		t.Errorf("bob gets %d %s, want 403", a.StatusCode, a.body)
	}
	a := page("alice")
	newer, older := strings.Index(a.body, "222222"), strings.Index(a.body, "111111 &lt;b&gt;")
	if a.StatusCode != 200 || newer < 0 || older < newer {
		t.Errorf("alice gets %d, the newer letter at %d and the older at %d: %s", a.StatusCode, newer, older, a.body)
	}
	for _, part := range []string{"confirm_sign_up", "first@example.com", "&#43;41791234567", `href="https://login.test/x?token=a&amp;b"`} {
		if !strings.Contains(a.body, part) {
			t.Errorf("alice's page lacks %s: %s", part, a.body)
		}
	}
}

func TestThereIsNoDemoMailOutsideADemo(t *testing.T) {
	f := start(t, "")
	b := f.browser()
	b.enter("alice")
	if a := b.get(f.issuer + "/demo/mail"); a.StatusCode != 404 {
		t.Errorf("GET /demo/mail = %d, want 404", a.StatusCode)
	}
}
