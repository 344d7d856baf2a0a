package login

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"gatehouse/session"
)

// world is a gateway with one issuer.
type world struct {
	t      *testing.T
	issuer *issuer
	login  *Login
	cookie *session.Cookies
	feed   *session.Feed
	site   session.Site
	logs   *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func siteOf(t testing.TB, address string) session.Site {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	s, err := session.NewSite(u)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// own and foreign are the issuer as the embedded provider and as another one.
func own(i *issuer) *Provider { return Own(i.url, clientID, clientSecret) }

func foreign(i *issuer) *Provider {
	return &Provider{Issuer: i.url, ClientID: clientID, ClientSecret: clientSecret}
}

func newWorld(t *testing.T, kind func(*issuer) *Provider) *world {
	t.Helper()
	i := newIssuer(t)
	return newWorldOf(t, i, Config{Providers: map[string]*Provider{"main": kind(i)}})
}

func newWorldOf(t *testing.T, i *issuer, cfg Config) *world {
	t.Helper()
	feed, err := session.NewFeed(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var limits session.Config
	limits.Defaults()
	key := session.CookieKey{Hash: bytes.Repeat([]byte{1}, 64), Block: bytes.Repeat([]byte{2}, 32)}
	cookies, err := session.NewCookies(limits, []session.CookieKey{key}, session.Options{Boot: feed.Boot()})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, issuer: i, cookie: cookies, feed: feed, site: siteOf(t, "https://app.example.com"), logs: &syncBuffer{}}
	w.login, err = New(cfg, Parts{
		Cookies: cookies, Feed: feed, Log: slog.New(slog.NewTextHandler(w.logs, nil)),
		ClientFor: i.client,
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// browser keeps cookies as browsers do.
type browser struct {
	w    *world
	site session.Site
	mu   sync.Mutex
	jar  map[string]string
}

func (w *world) browser() *browser { return &browser{w: w, site: w.site, jar: map[string]string{}} }

func (b *browser) take(cookies []*http.Cookie) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range cookies {
		if c.MaxAge < 0 {
			delete(b.jar, c.Name)
		} else {
			b.jar[c.Name] = c.Value
		}
	}
}

func (b *browser) request(target string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, value := range b.jar {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return r
}

func (b *browser) begin(returnTo string) string {
	b.w.t.Helper()
	to, err := b.w.login.Begin(b.w.t.Context(), b.site, b.request("/"), Attempt{ReturnTo: returnTo})
	if err != nil {
		b.w.t.Fatal(err)
	}
	b.take(to.Cookies)
	return to.URL
}

func (b *browser) callback(q url.Values) (Result, error) {
	result, err := b.w.login.Callback(b.w.t.Context(), b.site, b.request(CallbackPath+"?"+q.Encode()))
	b.take(result.Cookies)
	return result, err
}

func (b *browser) signIn(user, returnTo string) Result {
	b.w.t.Helper()
	result, err := b.callback(b.w.issuer.approve(b.begin(returnTo), user))
	if err != nil {
		b.w.t.Fatalf("sign in %s: %v", user, err)
	}
	return result
}

// session returns what the browser's cookie says, nil when that is nothing or
// was revoked.
func (b *browser) session() *session.Session {
	s, state := b.w.cookie.Open(b.site, b.request("/"))
	if state != session.Valid || b.w.feed.Revoked(s.Identity()) {
		return nil
	}
	return s
}

func (b *browser) attempts() (n int) {
	for name := range b.jar {
		if strings.HasPrefix(name, b.site.AttemptPrefix()) {
			n++
		}
	}
	return n
}

func wantCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("%s: %v, want %s", what, err, code)
		return
	}
	if e.Status < 400 || e.Text == "" {
		t.Errorf("%s: status %d, text %q", what, e.Status, e.Text)
	}
}

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
