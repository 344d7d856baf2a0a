package login

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/session"
)

// TestFiftyRequestsRefreshOnce has an issuer that takes its time, tokens
// that work once, and half of the browser's requests given up.
func TestFiftyRequestsRefreshOnce(t *testing.T) {
	w := newWorld(t, own)
	w.issuer.lifetime = time.Second // renewed at once
	b := w.browser()
	b.signIn("alice", "/")
	w.issuer.with(func() { w.issuer.delay, w.issuer.lifetime = 300*time.Millisecond, time.Hour })
	before := b.session()
	stale := b.request("/")
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i%2 == 0 {
				time.AfterFunc(time.Duration(i)*2*time.Millisecond, cancel)
			}
			s, state := w.cookie.Open(w.site, stale)
			if state != session.Valid {
				t.Error("cookie does not open")
				return
			}
			next, err := w.login.Refresh(ctx, s)
			if err != nil {
				if i%2 == 1 || !errors.Is(err, context.Canceled) {
					t.Errorf("request %d: %v", i, err)
				}
				return
			}
			if next.RefreshToken == before.RefreshToken || next.ID != before.ID {
				t.Errorf("request %d got the old session", i)
			}
		})
	}
	group.Wait()
	if n := w.issuer.calls(); n != 2 {
		t.Errorf("%d token calls, want one sign-in and one refresh", n)
	}
	// Nobody is signed out, with the old cookie nor with the new one.
	s := b.mustVisit()
	if s.RefreshToken == before.RefreshToken || b.session().RefreshToken != s.RefreshToken {
		t.Error("the browser did not get the new session")
	}
	if again := b.mustVisit(); again.RefreshToken != s.RefreshToken || w.issuer.calls() != 2 {
		t.Error("refreshed again")
	}
	// Once the browser carries the new cookie, nothing is written any more.
	s, _ = w.cookie.Open(w.site, b.request("/"))
	if next, err := w.login.Refresh(t.Context(), s); err != nil || next != s {
		t.Errorf("the newest session is replaced: %v", err)
	}
}

func TestSessionStaysAliveAndFollowsTheIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := away(t, own)
		b := w.browser()
		b.signIn("alice", "/")
		first := b.session()
		w.issuer.with(func() {
			w.issuer.mutate = func(c map[string]any) { c["cognito:groups"], c["sid"], c["auth_time"] = nil, nil, nil }
		})
		tokens := map[string]bool{}
		for range 24 {
			time.Sleep(5 * time.Minute)
			s := b.mustVisit()
			tokens[s.RefreshToken] = true
		}
		s := b.session()
		if s.Groups == nil || len(s.Groups) != 0 || s.IssuerSID != "sid-alice" || !s.AuthTime.Equal(first.AuthTime) || !s.Created.Equal(first.Created) || !s.Expires.Equal(first.Expires) {
			t.Errorf("after two hours: %+v", s)
		}
		if n := len(tokens); n < 11 || n > 13 {
			t.Errorf("%d refresh tokens in two hours of ten minutes each", n)
		}
		// An issuer that sends no ID token on refresh changes nobody.
		w.issuer.with(func() { w.issuer.noID = true })
		time.Sleep(11 * time.Minute)
		if s := b.mustVisit(); s.Username != "alice" || s.Subject != "id-of-alice" {
			t.Errorf("%+v", s)
		}
	})
}

func TestOldCookieGetsTheNewestSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := away(t, own)
		b, slow := w.browser(), w.browser()
		b.signIn("alice", "/")
		for name, value := range b.jar {
			slow.jar[name] = value
		}
		time.Sleep(10 * time.Minute)
		newest := b.mustVisit()
		time.Sleep(4*time.Minute + 50*time.Second)
		if s := slow.mustVisit(); s.RefreshToken != newest.RefreshToken {
			t.Error("an old cookie was refreshed with a used token")
		}
		if slow.session().RefreshToken != newest.RefreshToken || w.issuer.calls() != 2 {
			t.Errorf("%d token calls", w.issuer.calls())
		}
	})
}

func TestRefusedRefreshEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := away(t, own)
		b := w.browser()
		b.signIn("alice", "/")
		kept := b.session()
		w.issuer.with(func() { clear(w.issuer.refresh) })
		time.Sleep(10 * time.Minute)
		if _, err := b.visit(t.Context()); !errors.Is(err, ErrEnded) {
			t.Fatalf("%v, want ErrEnded", err)
		}
		if !w.feed.Revoked(kept.Identity()) {
			t.Error("a copy of the cookie lives on")
		}
		if s, err := b.visit(t.Context()); s != nil || err != nil || w.issuer.calls() != 2 {
			t.Errorf("%v, %v after %d calls", s, err, w.issuer.calls())
		}
	})
}

func TestOtherPersonInARefreshEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := away(t, own)
		b := w.browser()
		b.signIn("alice", "/")
		w.issuer.with(func() { w.issuer.mutate = func(c map[string]any) { c["sub"] = "id-of-bob" } })
		time.Sleep(10 * time.Minute)
		if _, err := b.visit(t.Context()); !errors.Is(err, ErrEnded) {
			t.Errorf("%v, want ErrEnded", err)
		}
	})
}

func TestSessionOutlivesAnIssuerThatIsDown(t *testing.T) {
	for what, break_ := range map[string]func(*issuer){
		"down":    func(i *issuer) { i.down = true },
		"silent":  func(i *issuer) { i.delay = time.Hour },
		"503":     func(i *issuer) { i.answer = status(http.StatusServiceUnavailable, "") },
		"html":    func(i *issuer) { i.answer = status(http.StatusOK, "<html>") },
		"limited": func(i *issuer) { i.answer = status(http.StatusTooManyRequests, `{"error":"invalid_grant"}`) },
		"client":  func(i *issuer) { i.answer = status(http.StatusUnauthorized, `{"error":"invalid_client"}`) },
		"500":     func(i *issuer) { i.answer = status(http.StatusInternalServerError, `{"error":"invalid_grant"}`) },
		"bad ID":  func(i *issuer) { i.mutate = func(c map[string]any) { c["aud"] = "other" } },
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := away(t, own)
				b := w.browser()
				b.signIn("alice", "/")
				w.issuer.with(func() { break_(w.issuer) })
				time.Sleep(10 * time.Minute)
				for end := time.Now().Add(4*time.Minute + 15*time.Second); time.Now().Before(end); {
					b.mustVisit()
					time.Sleep(30 * time.Second)
				}
				calls := w.issuer.calls()
				for range 20 {
					b.mustVisit()
				}
				if n := w.issuer.calls() - calls; n > 1 {
					t.Errorf("%d calls for 20 requests at once", n)
				}
				time.Sleep(time.Minute)
				if _, err := b.visit(t.Context()); !errors.Is(err, ErrIssuerDown) {
					t.Errorf("past five minutes: %v, want ErrIssuerDown", err)
				}
				w.issuer.with(func() { w.issuer.down, w.issuer.answer, w.issuer.delay, w.issuer.mutate = false, nil, 0, nil })
				time.Sleep(time.Minute)
				b.mustVisit() // it heals by itself
			})
		})
	}
}

// status answers a fixed text.
func status(code int, text string) func(http.ResponseWriter) bool {
	return func(w http.ResponseWriter) bool {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = w.Write([]byte(text))
		return true
	}
}

func TestSessionWithoutRefreshTokenLivesToItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := away(t, own)
		b := w.browser()
		b.signIn("alice", "/")
		s := *b.session()
		s.RefreshToken = ""
		time.Sleep(20 * time.Minute)
		if next, err := w.login.Refresh(t.Context(), &s); err != nil || next != &s {
			t.Errorf("%v, %v", next, err)
		}
	})
}

// TestSessionEndsWithItsProvider: what the configuration no longer names issues
// nothing that counts, though nothing is due for a refresh.
func TestSessionEndsWithItsProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := away(t, own)
		b := w.browser()
		b.signIn("alice", "/")
		if !w.login.Knows(b.session().Identity()) {
			t.Error("the session of a provider is not known")
		}
		for what, c := range map[string]struct {
			change func(*session.Session)
			known  bool // by issuer and client, which an identity has
		}{
			"another name":   {func(s *session.Session) { s.Provider = "gone" }, true},
			"another issuer": {func(s *session.Session) { s.Issuer = "https://gone.test" }, false},
			"another client": {func(s *session.Session) { s.ClientID = "gone" }, false},
		} {
			for _, refresh := range []string{b.session().RefreshToken, ""} {
				s := *b.session()
				s.RefreshToken = refresh
				c.change(&s)
				if _, err := w.login.Refresh(t.Context(), &s); !errors.Is(err, ErrEnded) {
					t.Errorf("%s, refresh token %q: %v, want ErrEnded", what, refresh, err)
				}
				if known := w.login.Knows(s.Identity()); known != c.known {
					t.Errorf("%s: known %t, want %t", what, known, c.known)
				}
			}
		}
		if n := w.issuer.calls(); n != 1 {
			t.Errorf("%d calls of the issuer, want that of the sign-in alone", n)
		}
	})
}

// TestOnePersonsTroubleDelaysNobody: an ID token that cannot be believed is one
// person's, and no reason to renew nobody else.
func TestOnePersonsTroubleDelaysNobody(t *testing.T) {
	for what, change := range map[string]func(c map[string]any){
		"other audience": func(c map[string]any) { c["aud"] = "other" },
		"no sub":         func(c map[string]any) { c["sub"] = nil },
		"expired":        func(c map[string]any) { c["exp"] = 1 },
	} {
		synctest.Test(t, func(t *testing.T) {
			w := away(t, own)
			alice, bob := w.browser(), w.browser()
			alice.signIn("alice", "/")
			bob.signIn("bob", "/")
			before := bob.session().RefreshToken
			w.issuer.with(func() {
				w.issuer.mutate = func(c map[string]any) {
					if c["sub"] == any("id-of-alice") {
						change(c)
					}
				}
			})
			time.Sleep(10 * time.Minute)
			alice.mustVisit()
			if s := bob.mustVisit(); s.RefreshToken == before {
				t.Errorf("%s: another person's session was not renewed", what)
			}
			calls := w.issuer.calls()
			for range 20 {
				alice.mustVisit()
			}
			if n := w.issuer.calls() - calls; n > 0 {
				t.Errorf("%s: %d calls for 20 requests at once", what, n)
			}
			time.Sleep(pause)
			alice.mustVisit()
			if n := w.issuer.calls() - calls; n != 1 {
				t.Errorf("%s: %d calls after the pause, want 1", what, n)
			}
		})
	}
}
