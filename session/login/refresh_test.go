package login

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/session"
)

// away is a world without network, for tests in which time passes.
func away(t *testing.T, kind func(*issuer) *Provider) *world {
	t.Helper()
	i := newIssuerAt(t, "https://login.test")
	return newWorldOf(t, i, Config{Providers: map[string]*Provider{"main": kind(i)}})
}

// visit is one request of a browser as the gate handles it: open, refresh,
// seal when something is new. It returns nil when nobody is signed in.
func (b *browser) visit(ctx context.Context) (*session.Session, error) {
	s, state := b.w.cookie.Open(b.site, b.request("/"))
	if state != session.Valid || b.w.feed.Revoked(s.Identity()) {
		return nil, nil
	}
	next, err := b.w.login.Refresh(ctx, s)
	if err != nil {
		return nil, err
	}
	if next != s || b.w.cookie.Due(next) {
		cookies, err := b.w.cookie.Seal(b.site, next)
		if err != nil {
			return nil, err
		}
		b.take(cookies)
	}
	return next, nil
}

func (b *browser) mustVisit() *session.Session {
	b.w.t.Helper()
	s, err := b.visit(b.w.t.Context())
	if err != nil || s == nil {
		b.w.t.Fatalf("signed out: %v, %v", s, err)
	}
	return s
}

// TestFiftyRequestsRefreshOnce is T152: an issuer that takes its time, tokens
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
		if len(s.Groups) != 0 || s.IssuerSID != "sid-alice" || !s.AuthTime.Equal(first.AuthTime) || !s.Created.Equal(first.Created) || !s.Expires.Equal(first.Expires) {
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
		// An issuer that left the configuration ends its sessions.
		other := *b.session()
		other.Provider = "gone"
		if _, err := w.login.Refresh(t.Context(), &other); !errors.Is(err, ErrEnded) {
			t.Errorf("%v, want ErrEnded", err)
		}
	})
}

func TestLateCallbackStartsOver(t *testing.T) { // T134
	synctest.Test(t, func(t *testing.T) {
		w := away(t, own)
		b := w.browser()
		address := b.begin("/page?x=1")
		time.Sleep(11 * time.Minute)
		result, err := b.callback(w.issuer.approve(address, "alice"))
		if err != nil || !strings.HasPrefix(result.Location, w.issuer.url+"/authorize?") || w.issuer.calls() != 0 {
			t.Fatalf("%+v, %v", result, err)
		}
		if b.attempts() != 1 {
			t.Errorf("%d attempts", b.attempts())
		}
		late := w.issuer.approve(result.Location, "alice")
		if again, err := b.callback(late); err != nil || again.Location != "/page?x=1" || b.session() == nil {
			t.Errorf("%+v, %v", again, err)
		}
		// Only once.
		b = w.browser()
		address = b.begin("/")
		time.Sleep(11 * time.Minute)
		result, _ = b.callback(w.issuer.approve(address, "alice"))
		time.Sleep(11 * time.Minute)
		_, err = b.callback(w.issuer.approve(result.Location, "alice"))
		wantCode(t, "late twice", err, CodeExpired)
		// Far too late.
		address = b.begin("/")
		time.Sleep(61 * time.Minute)
		_, err = b.callback(w.issuer.approve(address, "alice"))
		wantCode(t, "an hour late", err, CodeUnknown)
	})
}

func TestIssuerDownAtStartHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := away(t, own)
		w.issuer.down = true
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.login.Run(ctx); close(done) }()
		synctest.Wait()
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		start := time.Now()
		for range 100 {
			if _, err := w.login.Begin(t.Context(), w.site, r, "/"); !errors.Is(err, ErrIssuerDown) {
				t.Fatalf("%v, want ErrIssuerDown", err)
			}
		}
		if took := time.Since(start); took != 0 || w.login.Healthy() {
			t.Errorf("100 refusals took %v, healthy %v", took, w.login.Healthy())
		}
		time.Sleep(2 * time.Minute)
		w.issuer.with(func() { w.issuer.down = false })
		time.Sleep(probeEvery)
		b := w.browser()
		b.signIn("alice", "/")
		if !w.login.Healthy() {
			t.Error("not healthy")
		}

		// Down between two steps: the answer waits in the address bar.
		answer := w.issuer.approve(b.begin("/late"), "alice")
		w.issuer.with(func() { w.issuer.down = true })
		time.Sleep(probeEvery + time.Second)
		if _, err := b.callback(answer); !errors.Is(err, ErrIssuerDown) {
			t.Errorf("%v, want ErrIssuerDown", err)
		}
		w.issuer.with(func() { w.issuer.down = false })
		time.Sleep(2 * time.Second) // the first retries come quickly
		if result, err := b.callback(answer); err != nil || result.Location != "/late" {
			t.Errorf("%+v, %v", result, err)
		}
		stop()
		<-done
		if n := strings.Count(w.logs.String(), "level=WARN"); n != 2 {
			t.Errorf("%d warnings for two outages:\n%s", n, w.logs)
		}
	})
}

func TestSlowIssuerAtStartBlocksNobodyForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		server := newIssuerAt(t, "https://login.test")
		w := newWorldOf(t, server, Config{Providers: map[string]*Provider{"x": own(server)}})
		w.login.standard.client.Transport = roundTrip(hang)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := w.login.Begin(ctx, w.site, httptest.NewRequest(http.MethodGet, "/", nil), "/")
		if !errors.Is(err, ErrIssuerDown) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		_, err = w.login.Begin(t.Context(), w.site, httptest.NewRequest(http.MethodGet, "/", nil), "/")
		if !errors.Is(err, ErrIssuerDown) || time.Since(start) != callTimeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// roundTrip makes a transport that waits until its caller gives up.
func roundTrip(h http.Handler) http.RoundTripper {
	return waiting(func(r *http.Request) (*http.Response, error) {
		h.ServeHTTP(nil, r)
		return nil, r.Context().Err()
	})
}

type waiting func(*http.Request) (*http.Response, error)

func (f waiting) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestDiscoveryDocumentsThatAreRefused(t *testing.T) {
	for what, change := range map[string]func(doc map[string]any){
		"another issuer":     func(d map[string]any) { d["issuer"] = "https://evil.test" },
		"no token endpoint":  func(d map[string]any) { delete(d, "token_endpoint") },
		"token in clear":     func(d map[string]any) { d["token_endpoint"] = "http://login.test/token" },
		"script":             func(d map[string]any) { d["authorization_endpoint"] = "javascript:alert(1)" },
		"relative":           func(d map[string]any) { d["jwks_uri"] = "/jwks" },
		"logout in clear":    func(d map[string]any) { d["end_session_endpoint"] = "http://login.test/logout" },
		"user in an address": func(d map[string]any) { d["revocation_endpoint"] = "https://a@b/x" },
	} {
		w := away(t, own)
		w.issuer.meta = change
		if _, err := w.login.Begin(t.Context(), w.site, httptest.NewRequest(http.MethodGet, "/", nil), "/"); !errors.Is(err, ErrIssuerDown) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestSignOut(t *testing.T) { // T144
	w := newWorld(t, own)
	b, copied := w.browser(), w.browser()
	b.signIn("alice", "/")
	for name, value := range b.jar {
		copied.jar[name] = value
	}
	s := b.session()
	out, err := w.login.SignOut(t.Context(), w.site, s)
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(out.Location)
	q := u.Query()
	if out.Form != nil || u.Path != "/logout" || q.Get("logout_hint") != "sid-alice" || q.Get("client_id") != clientID ||
		q.Get("post_logout_redirect_uri") != "https://app.example.com/_gatehouse/sign-out" || q.Has("id_token_hint") {
		t.Errorf("%+v", out)
	}
	if copied.session() != nil {
		t.Error("a copied cookie lives on")
	}
	if len(w.issuer.revoked) != 1 || w.issuer.revoked[0] != s.RefreshToken {
		t.Errorf("revoked at the issuer: %v", w.issuer.revoked)
	}
	if _, err := w.login.Refresh(t.Context(), s); err != nil {
		t.Errorf("not due: %v", err) // the gate asks the feed first
	}
}

func TestSignOutAtAForeignIssuer(t *testing.T) {
	w := newWorld(t, foreign)
	b := w.browser()
	b.signIn("alice", "/")
	out, err := w.login.SignOut(t.Context(), w.site, b.session())
	if err != nil || out.Location != w.issuer.url+"/logout" || out.Form["id_token_hint"] == "" || out.Form["client_id"] != clientID {
		t.Errorf("%+v, %v", out, err)
	}
	plain := newIssuer(t)
	plain.meta = func(doc map[string]any) { delete(doc, "end_session_endpoint"); delete(doc, "revocation_endpoint") }
	w = newWorldOf(t, plain, Config{Providers: map[string]*Provider{"x": foreign(plain)}})
	b = w.browser()
	b.signIn("alice", "/")
	if s := b.session(); s.IDToken != "" {
		t.Error("an ID token is kept for nothing")
	}
	if out, err := w.login.SignOut(t.Context(), w.site, b.session()); err != nil || out.Location != "" || b.session() != nil {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestSignOutWhileTheIssuerIsDown(t *testing.T) {
	w := newWorld(t, own)
	b := w.browser()
	b.signIn("alice", "/")
	w.issuer.with(func() { w.issuer.down = true })
	if _, err := w.login.SignOut(t.Context(), w.site, b.session()); err != nil || b.session() != nil {
		t.Errorf("%v, session %v", err, b.session())
	}
}

// deaf is a journal that cannot be written.
type deaf struct{}

func (deaf) Append(context.Context, ...session.Revocation) error { return errors.New("disk full") }
func (deaf) Since(context.Context, int64) ([]session.Revocation, int64, error) {
	return nil, 0, nil
}

func TestSignOutThatCannotBeRecordedIsNone(t *testing.T) { // S2
	w := newWorld(t, own)
	b := w.browser()
	b.signIn("alice", "/")
	feed, err := session.NewFeed(t.Context(), deaf{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.login.has.Feed = feed
	if _, err := w.login.SignOut(t.Context(), w.site, b.session()); err == nil {
		t.Error("signed out without a record")
	}
	if len(w.issuer.revoked) != 0 {
		t.Error("half signed out")
	}
}

func TestSignOutDuringARefresh(t *testing.T) {
	w := newWorld(t, own)
	w.issuer.lifetime = time.Second
	b := w.browser()
	b.signIn("alice", "/")
	s := b.session()
	w.issuer.with(func() { w.issuer.delay = 200 * time.Millisecond })
	refreshed := make(chan error)
	go func() {
		_, err := w.login.Refresh(context.Background(), s)
		refreshed <- err
	}()
	time.Sleep(50 * time.Millisecond)
	if _, err := w.login.SignOut(t.Context(), w.site, s); err != nil {
		t.Fatal(err)
	}
	if err := <-refreshed; !errors.Is(err, ErrEnded) {
		t.Errorf("the refresh under way: %v, want ErrEnded", err)
	}
	w.issuer.mu.Lock()
	defer w.issuer.mu.Unlock()
	if len(w.issuer.refresh) != 0 {
		t.Errorf("%d refresh tokens survive", len(w.issuer.refresh))
	}
}

// TestRevokedAtTheIssuerSignsInAnew: the provider's own cookie outlived a
// revocation of its session; the browser must not go round in circles.
func TestRevokedAtTheIssuerSignsInAnew(t *testing.T) {
	w := newWorld(t, own)
	b := w.browser()
	b.signIn("alice", "/")
	if _, err := w.login.SignOut(t.Context(), w.site, b.session()); err != nil {
		t.Fatal(err)
	}
	// The browser never got to the issuer's sign-out page.
	result, err := b.callback(w.issuer.approve(b.begin("/page"), "alice"))
	if err != nil || !strings.Contains(result.Location, "prompt=login") || b.session() != nil {
		t.Fatalf("%+v, %v", result, err)
	}
	result, err = b.callback(w.issuer.approve(result.Location, "alice"))
	if err != nil || result.Location != "/page" || b.session() == nil {
		t.Errorf("%+v, %v", result, err)
	}
}
