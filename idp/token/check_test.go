package token_test

import (
	"strings"
	"testing"
	"time"

	"gatehouse/idp/token"
	"gatehouse/internal/jose"
)

func TestIntrospectBelievesOnlyLiveAccessTokens(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	tk := w.tokens("web")
	a, err := w.mint.Introspect(ctx, tk.Access)
	w.must(err)
	if a.User == nil || a.User.ID != w.alice.ID || a.ClientID != "web" || len(a.Scopes) != 5 || a.OriginJTI == "" {
		t.Errorf("Introspect = %+v", a)
	}
	foreign, err := jose.GenerateKey(jose.RS256, "x")
	w.must(err)
	forged, err := jose.Sign(foreign, nil, w.claims(tk.Access))
	w.must(err)
	ours, err := w.keys.Signer(ctx)
	w.must(err)
	claims := w.claims(tk.Access)
	claims["iss"] = issuer + "/"
	otherIssuer, err := jose.Sign(ours, nil, claims)
	w.must(err)
	for what, bad := range map[string]string{
		"an ID token": tk.ID, "a refresh token": tk.Refresh, "nothing": "", "another key": forged, "another issuer": otherIssuer,
		"a changed token": strings.Replace(tk.Access, ".", ".A", 1), "a padded token": tk.Access + "=",
	} {
		_, err := w.mint.Introspect(ctx, bad)
		w.wantErr(what, err, token.ErrInvalidToken)
	}
	w.clock.Forward(time.Hour)
	_, err = w.mint.Introspect(ctx, tk.Access)
	w.wantErr("an expired token", err, token.ErrInvalidToken)
}

func TestRevokeEndsTheFamily(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	tk := w.tokens("web")
	w.must(w.mint.Revoke(ctx, w.client("other"), tk.Refresh))
	w.must(w.mint.Revoke(ctx, w.client("other"), tk.Access))
	if !w.alive(tk.Access) {
		t.Fatal("a foreign client revoked the token")
	}
	for _, unknown := range []string{"", "x", strings.Repeat("A", 43), "a.b.c"} {
		w.must(w.mint.Revoke(ctx, w.client("web"), unknown))
	}
	next, err := w.refresh("web", tk.Refresh)
	w.must(err)
	w.must(w.mint.Revoke(ctx, w.client("web"), next.Refresh))
	w.must(w.mint.Revoke(ctx, w.client("web"), next.Refresh))
	if w.alive(tk.Access) || w.alive(next.Access) {
		t.Error("access tokens of a revoked family live on")
	}
	for _, r := range []string{tk.Refresh, next.Refresh} {
		_, err = w.refresh("web", r)
		w.wantErr("refresh after revocation", err, token.ErrInvalidGrant)
	}
	if n := w.events("token.revoked"); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

func TestRevokedAccessTokenLeavesItsFamily(t *testing.T) {
	w := newWorld(t)
	tk := w.tokens("web")
	w.must(w.mint.Revoke(t.Context(), w.client("web"), tk.Access))
	if w.alive(tk.Access) {
		t.Error("it lives on")
	}
	next, err := w.refresh("web", tk.Refresh)
	w.must(err)
	if !w.alive(next.Access) {
		t.Error("its successor is dead")
	}
}

func TestEndSessionLeavesOtherSessions(t *testing.T) {
	w := newWorld(t)
	ended := w.tokens("web")
	r := w.request("web")
	r.SessionID = "sid-2"
	code, err := w.mint.IssueCode(t.Context(), r)
	w.must(err)
	other, err := w.redeem("web", code)
	w.must(err)
	w.must(w.mint.EndSession(t.Context(), "sid-1", w.alice.ID))
	if w.alive(ended.Access) || !w.alive(other.Access) {
		t.Errorf("alive: ended session %v, other session %v", w.alive(ended.Access), w.alive(other.Access))
	}
	if _, err := w.refresh("web", other.Refresh); err != nil {
		t.Error(err)
	}
}

func TestIDTokenHintIsBelievedAfterItsTime(t *testing.T) {
	w := newWorld(t)
	tk := w.tokens("web")
	w.clock.Forward(3 * time.Hour)
	h, err := w.mint.IDTokenHint(t.Context(), tk.ID)
	w.must(err)
	if h.UserID != w.alice.ID || h.ClientID != "web" || h.SessionID != "sid-1" || h.Expires.IsZero() {
		t.Errorf("IDTokenHint = %+v", h)
	}
	_, err = w.mint.IDTokenHint(t.Context(), tk.Access)
	w.wantErr("an access token as hint", err, token.ErrInvalidToken)
}

// A token signed by the key before stays good while it lives.
func TestTokensSurviveKeyRotation(t *testing.T) {
	w := newWorld(t)
	tk := w.tokens("web")
	w.must(w.keys.Rotate(t.Context()))
	w.clock.Forward(30 * time.Minute)
	next, err := w.refresh("web", tk.Refresh)
	w.must(err)
	if !w.alive(tk.Access) || !w.alive(next.Access) {
		t.Errorf("alive: before %v, after %v", w.alive(tk.Access), w.alive(next.Access))
	}
	kid := func(jwt string) string { head, _, _ := strings.Cut(jwt, "."); return head }
	if kid(tk.Access) == kid(next.Access) {
		t.Error("the new key does not sign")
	}
}
