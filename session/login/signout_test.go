package login

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/session"
)

func TestSignOut(t *testing.T) {
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
	// An access token that an upstream was handed dies as well.
	handed := &session.Identity{Credential: session.Bearer, Issuer: s.Issuer, Subject: s.Subject, OriginJTI: s.OriginJTI, IssuedAt: time.Now()}
	if s.OriginJTI == "" || !w.feed.Revoked(handed) {
		t.Errorf("an access token of family %q lives on", s.OriginJTI)
	}
	if w.feed.Revoked(&session.Identity{Issuer: s.Issuer, Subject: s.Subject, OriginJTI: "another", IssuedAt: time.Now()}) {
		t.Error("tokens of another family are dead")
	}
	if len(w.issuer.revoked) != 1 || w.issuer.revoked[0] != s.RefreshToken {
		t.Errorf("revoked at the issuer: %v", w.issuer.revoked)
	}
	if _, err := w.login.Refresh(t.Context(), s); err != nil {
		t.Errorf("not due: %v", err) // the gate asks the feed first
	}
}

func TestBrowserWithoutASessionMaySignOutElsewhere(t *testing.T) {
	for name, provider := range map[string]func(*issuer) *Provider{"own": own, "foreign": foreign} {
		w := newWorld(t, provider)
		u, err := url.Parse(w.login.Elsewhere(t.Context(), w.site))
		q := u.Query()
		if err != nil || u.Path != "/logout" || q.Get("client_id") != clientID || q.Get("state") != session.SignedOutState ||
			q.Get("post_logout_redirect_uri") != w.site.Origin+SignedOutPath || q.Has("logout_hint") {
			t.Errorf("%s: %v, %v", name, u, err)
		}
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

func TestSignOutThatCannotBeRecordedIsNone(t *testing.T) {
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

// written is a journal that keeps what each Append was given.
type written struct{ steps [][]session.Revocation }

func (j *written) Append(_ context.Context, rs ...session.Revocation) error {
	j.steps = append(j.steps, rs)
	return nil
}

func (*written) Since(context.Context, int64) ([]session.Revocation, int64, error) {
	return nil, 0, nil
}

func TestSignOutIsRecordedInOneStep(t *testing.T) {
	w := newWorld(t, own)
	b := w.browser()
	b.signIn("alice", "/")
	s := b.session()
	journal := &written{}
	feed, err := session.NewFeed(t.Context(), journal, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.login.has.Feed = feed
	if _, err := w.login.SignOut(t.Context(), w.site, s); err != nil {
		t.Fatal(err)
	}
	if len(journal.steps) != 1 {
		t.Fatalf("recorded in %d steps, want 1", len(journal.steps))
	}
	got := map[session.RevocationKind]string{}
	for _, r := range journal.steps[0] {
		got[r.Kind] = r.Issuer + " " + r.Value
	}
	want := map[session.RevocationKind]string{
		session.RevokeSID: " " + s.ID, session.RevokeIssuerSID: s.Issuer + " sid-alice", session.RevokeOriginJTI: s.Issuer + " " + s.OriginJTI,
	}
	if !maps.Equal(got, want) {
		t.Errorf("recorded %v, want %v", got, want)
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
