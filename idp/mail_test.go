package idp_test

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/idp"
	"gatehouse/idp/mfa"
	"gatehouse/idp/notify"
	"gatehouse/internal/testenv/mailsink"
)

var sixDigits = regexp.MustCompile(`\b\d{6}\b`)

// withMail gives the provider a mail server, and e-mail as a second factor.
func withMail(t *testing.T) (*mailsink.Sink, func(*idp.Config)) {
	t.Helper()
	sink, err := mailsink.New(mailsink.Options{Plain: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sink.Close() })
	return sink, func(c *idp.Config) {
		mail := &notify.MailConfig{}
		mail.Defaults()
		mail.Host, mail.Port, mail.TLS, mail.From = "127.0.0.1", sink.Port(), "none", "Login <login@example.com>"
		c.Mail = mail
		c.MFA.Factors = []mfa.Kind{mfa.TOTP, mfa.Email, mfa.Recovery}
	}
}

// runOutbox delivers messages until the test ends.
func (f *fixture) runOutbox() {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan bool)
	go func() {
		defer close(ended)
		f.p.Outbox.Run(ctx)
	}()
	f.t.Cleanup(func() {
		cancel()
		<-ended
	})
}

// A code by mail is set up and signs in; the person is told of the factor.
func TestCodesAndNoticesByMail(t *testing.T) {
	sink, mail := withMail(t)
	f := start(t, "", mail)
	f.runOutbox()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	code := func(n int) string {
		t.Helper()
		if err := sink.Count(ctx, n); err != nil {
			t.Fatal(err)
		}
		text := sink.Messages()[n-1]
		found := sixDigits.FindString(text.Body)
		if found == "" || !slices.Contains(text.To, "Alice@example.com") {
			t.Fatalf("mail %d to %v has no code: %s", n, text.To, text.Body)
		}
		return found
	}
	b := f.browser()
	page := b.next(b.fill(b.enter("alice"), "do", "add", "kind", "email"))
	if len(sink.Messages()) != 0 || !strings.Contains(page.body, "Send a code") {
		t.Fatalf("a page that was only looked at sends mail, or offers none: %s", page.body)
	}
	page = b.next(b.fill(page, "resend", "yes", "code", "", "email", "eve@example.com"))
	if !strings.Contains(page.body, "A•••@example.com") {
		t.Errorf("the page does not say where the code went: %s", page.body)
	}
	page = b.next(b.fill(page, "code", code(1)))
	b.fill(page)
	if err := sink.Count(ctx, 2); err != nil {
		t.Fatalf("nobody was told of the new factor: %v", err)
	}
	if notice := sink.Messages()[1].Body; !strings.Contains(notice, "code by e-mail") {
		t.Errorf("the notice says: %s", notice)
	}
	f.later(90 * time.Second) // past the gap between codes, not past the lease of a delivery
	b, r := f.browser(), newRequest()
	page = b.half(r)
	id := claims(t, f.redeem(b.fill(page, "code", code(3), "trust", "").location(t), r).text("id_token"))
	if !slices.Equal(amrOf(id), []string{"pwd", "otp", "mfa"}) {
		t.Errorf("amr = %v", id["amr"])
	}
}
