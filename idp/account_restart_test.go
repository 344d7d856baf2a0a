package idp_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// comesBack follows "Sign in" of the page that says that a password is set, and
// signs in to the application that r is of.
func (b *browser) comesBack(done answer, r request, who string) {
	b.f.t.Helper()
	b.want(done, http.StatusOK, "Your password is set")
	next := done.linkOf(b.f.t, "Sign in")
	if !strings.Contains(next, "/oauth2/authorize?") {
		b.f.t.Fatalf("Sign in leads to %s, want the request again", next)
	}
	b.f.redeem(b.submit(b.follow(b.get(next)), who, "copper moss 17 kite").location(b.f.t), r)
}

func TestAResetLeadsBackToTheApplication(t *testing.T) {
	for name, prefix := range map[string]string{"host": "", "prefix": "/_gatehouse/idp"} {
		t.Run(name, func(t *testing.T) {
			m := startMailed(t, prefix)
			b, r := m.browser(), newRequest()
			b.fill(b.get(b.open(r).linkOf(t, "Forgotten")), "username", "alice")
			form := b.get(m.mail("Alice@example.com").link())
			// The sign-in page is over by then, and the link is not.
			m.later(12 * time.Minute)
			b.comesBack(b.fill(form, "password", "copper moss 17 kite"), r, "alice")
		})
	}
}

// A link may be asked for by somebody else, whose sign-in is not the person's.
func TestAResetElsewhereLeadsToTheAccount(t *testing.T) {
	m := startMailed(t, "")
	eve, elsewhere := m.browser(), m.browser()
	eve.fill(eve.get(eve.open(newRequest()).linkOf(t, "Forgotten")), "username", "alice")
	form := elsewhere.get(m.mail("Alice@example.com").link())
	done := elsewhere.fill(form, "password", "copper moss 17 kite", "next", "/oauth2/authorize?x", "restart", "//evil.test/", "flow", "x")
	elsewhere.want(done, http.StatusOK, "Your password is set")
	if next, want := done.linkOf(t, "Sign in"), m.issuer+"/account"; next != want {
		t.Errorf("Sign in leads to %s, want %s", next, want)
	}
}

func TestAResetOutOfTheAccountLeadsThere(t *testing.T) {
	m := startMailed(t, "")
	b := m.browser()
	b.fill(b.follow(b.get(m.issuer+"/forgot")), "username", "alice")
	done := b.fill(b.get(m.mail("Alice@example.com").link()), "password", "copper moss 17 kite")
	b.want(done, http.StatusOK, "Your password is set")
	if next, want := done.linkOf(t, "Sign in"), m.issuer+"/account"; next != want {
		t.Errorf("Sign in leads to %s, want %s", next, want)
	}
}

func TestAResetByCodeLeadsBackToTheApplication(t *testing.T) {
	x := startTexted(t, "")
	x.dana()
	b, r := x.browser(), newRequest()
	page := b.fill(b.get(b.open(r).linkOf(t, "Forgotten")), "username", "dana")
	code := x.text(number).code()
	x.later(12 * time.Minute)
	b.comesBack(b.fill(page, "code", code, "password", "copper moss 17 kite"), r, "dana")
}
