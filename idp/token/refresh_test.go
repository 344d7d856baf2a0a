package token_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"gatehouse/idp/client"
	"gatehouse/idp/pool"
	"gatehouse/idp/store/storetest"
	"gatehouse/idp/token"
	"gatehouse/internal/keyring"
)

func TestRefreshRotatesAndKeepsTheFamily(t *testing.T) {
	w := newWorld(t)
	first := w.tokens("web")
	w.clock.Forward(10 * time.Minute)
	second, err := w.refresh("web", first.Refresh)
	w.must(err)
	if second.Refresh == first.Refresh || len(second.Refresh) != 43 {
		t.Errorf("the refresh token was not rotated")
	}
	a, b := w.claims(first.Access), w.claims(second.Access)
	if a["origin_jti"] != b["origin_jti"] || a["auth_time"] != b["auth_time"] || a["jti"] == b["jti"] {
		t.Error("origin_jti and auth_time stay, jti changes")
	}
	if id := w.claims(second.ID); id["nonce"] != nil || id["sid"] != "sid-1" {
		t.Errorf("refreshed ID token has nonce %v and sid %v", id["nonce"], id["sid"])
	}
}

func TestRotatedTokenGivesTheSameSuccessorWithinItsGrace(t *testing.T) {
	w := newWorld(t)
	first := w.tokens("web")
	second, err := w.refresh("web", first.Refresh)
	w.must(err)
	w.clock.Forward(30*time.Second - time.Millisecond)
	again, err := w.refresh("web", first.Refresh)
	w.must(err)
	if again.Refresh != second.Refresh {
		t.Error("two successors of one token")
	}
	w.clock.Forward(time.Millisecond)
	_, err = w.refresh("web", first.Refresh)
	w.wantErr("after the grace", err, token.ErrInvalidGrant)
	_, err = w.refresh("web", second.Refresh)
	w.wantErr("the successor after the reuse", err, token.ErrInvalidGrant)
	if w.alive(second.Access) {
		t.Error("the family's access token lives on")
	}
	if n := w.events("token.reused"); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

func TestReuseOfAnOlderTokenEndsTheFamily(t *testing.T) {
	w := newWorld(t)
	first := w.tokens("web")
	newest := first
	for range 3 {
		w.clock.Forward(time.Minute)
		var err error
		newest, err = w.refresh("web", newest.Refresh)
		w.must(err)
	}
	_, err := w.refresh("web", first.Refresh)
	w.wantErr("a token three generations old", err, token.ErrInvalidGrant)
	_, err = w.refresh("web", newest.Refresh)
	w.wantErr("the newest after that", err, token.ErrInvalidGrant)
}

func TestPublicClientHasNoGrace(t *testing.T) {
	w := newWorld(t)
	first := w.tokens("spa")
	second, err := w.refresh("spa", first.Refresh)
	w.must(err)
	_, err = w.refresh("spa", first.Refresh)
	w.wantErr("the same moment", err, token.ErrInvalidGrant)
	_, err = w.refresh("spa", second.Refresh)
	w.wantErr("the successor", err, token.ErrInvalidGrant)
}

func TestFiftyRefreshesAtOnceHaveOneSuccessor(t *testing.T) {
	w := newWorld(t)
	first := w.tokens("web")
	request := token.RefreshRequest{Client: w.client("web"), Token: first.Refresh}
	var mu sync.Mutex
	successors := map[string]int{}
	atOnce(func() {
		tk, err := w.mint.Refresh(t.Context(), request)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			t.Errorf("within the grace: %v", err)
		}
		successors[tk.Refresh]++
	})
	if len(successors) != 1 {
		t.Fatalf("%d successors, want 1", len(successors))
	}
	for next := range successors {
		if _, err := w.refresh("web", next); err != nil {
			t.Errorf("the successor: %v", err)
		}
	}
}

func TestFiftyRefreshesOfAPublicClientLetOneThrough(t *testing.T) {
	w := newWorld(t)
	first := w.tokens("spa")
	request := token.RefreshRequest{Client: w.client("spa"), Token: first.Refresh}
	var mu sync.Mutex
	won := 0
	atOnce(func() {
		_, err := w.mint.Refresh(t.Context(), request)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			won++
		} else if !errors.Is(err, token.ErrInvalidGrant) {
			t.Errorf("error = %v, want ErrInvalidGrant", err)
		}
	})
	if won != 1 || w.events("token.reused") != 1 {
		t.Errorf("%d let through and %d events, want 1 and 1", won, w.events("token.reused"))
	}
}

func TestRefreshTokenIsBound(t *testing.T) {
	w := newWorld(t)
	tk := w.tokens("web")
	_, err := w.refresh("other", tk.Refresh)
	w.wantErr("another client", err, token.ErrInvalidGrant)
	_, err = w.refresh("job", tk.Refresh)
	w.wantErr("a client without the grant", err, token.ErrUnauthorizedClient)
	for _, bad := range []string{"", "x", tk.Refresh + "A", tk.Refresh[:42], tk.Access} {
		_, err = w.refresh("web", bad)
		w.wantErr("a malformed token", err, token.ErrInvalidGrant)
	}
	code := w.code("web")
	_, err = w.refresh("web", code)
	w.wantErr("a code as refresh token", err, token.ErrInvalidGrant)
	_, err = w.redeem("web", tk.Refresh)
	w.wantErr("a refresh token as code", err, token.ErrInvalidGrant)
	if _, err := w.refresh("web", tk.Refresh); err != nil {
		t.Errorf("what others tried ended it: %v", err)
	}
}

func TestFamilyEndsHoweverOftenItIsRefreshed(t *testing.T) {
	w := newWorld(t)
	c := w.client("web")
	c.RefreshTTL = 12 * time.Hour
	w.must(w.clients.Update(t.Context(), c))
	tk := w.tokens("web")
	for range 11 {
		w.clock.Forward(time.Hour)
		var err error
		tk, err = w.refresh("web", tk.Refresh)
		w.must(err)
	}
	w.clock.Forward(time.Hour - time.Millisecond)
	tk, err := w.refresh("web", tk.Refresh)
	w.must(err)
	w.clock.Forward(time.Millisecond)
	_, err = w.refresh("web", tk.Refresh)
	w.wantErr("twelve hours after the sign-in", err, token.ErrInvalidGrant)
}

func TestScopesNeverGrow(t *testing.T) {
	w := newWorld(t)
	tk := w.tokens("web", "openid", "orders.read")
	_, err := w.refresh("web", tk.Refresh, "openid", "orders.write")
	w.wantErr("a scope that was not granted", err, token.ErrInvalidScope)
	_, err = w.refresh("web", tk.Refresh, "admin")
	w.wantErr("a scope that does not exist", err, token.ErrInvalidScope)
	less, err := w.refresh("web", tk.Refresh, "orders.read")
	w.must(err)
	if !slices.Equal(less.Scopes, []string{"orders.read"}) || less.ID != "" {
		t.Errorf("narrowed to %v, ID token %q", less.Scopes, less.ID)
	}
	all, err := w.refresh("web", less.Refresh)
	w.must(err)
	if !slices.Equal(all.Scopes, []string{"openid", "orders.read"}) {
		t.Errorf("the next one without scope = %v, want what was granted", all.Scopes)
	}
}

func TestEveryRefreshLooksAtClientAndUserAgain(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	tk := w.tokens("web", "openid", "orders.read", "orders.write")
	// The client loses a scope, another one is deleted.
	c := w.client("web")
	c.Scopes = []string{"openid", "orders.write", "profile"}
	w.must(w.clients.Update(ctx, c))
	tk, err := w.refresh("web", tk.Refresh)
	w.must(err)
	if !slices.Equal(tk.Scopes, []string{"openid", "orders.write"}) {
		t.Errorf("after the client lost a scope: %v", tk.Scopes)
	}
	w.must(w.clients.DeleteScope(ctx, "orders.write"))
	tk, err = w.refresh("web", tk.Refresh)
	w.must(err)
	if !slices.Equal(tk.Scopes, []string{"openid"}) {
		t.Errorf("after a scope was deleted: %v", tk.Scopes)
	}
	// A scope is tied to a group that she is not in.
	w.must(w.clients.PutScope(ctx, client.Scope{Name: "orders.read", Server: "orders", Groups: []string{"auditors"}}))
	c.Scopes = []string{"openid", "orders.read"}
	w.must(w.clients.Update(ctx, c))
	tk, err = w.refresh("web", tk.Refresh)
	w.must(err)
	if !slices.Equal(tk.Scopes, []string{"openid"}) {
		t.Errorf("after a scope was tied to another group: %v", tk.Scopes)
	}
	c.Scopes = []string{"profile"}
	w.must(w.clients.Update(ctx, c))
	_, err = w.refresh("web", tk.Refresh)
	w.wantErr("nothing left", err, token.ErrInvalidScope)
	c.Scopes = []string{"openid"}
	w.must(w.clients.Update(ctx, c))
	if _, err := w.refresh("web", tk.Refresh); err != nil {
		t.Errorf("invalid_scope consumed the token: %v", err)
	}
}

func TestWhatHappensToTheUserEndsTheFamily(t *testing.T) {
	for what, do := range map[string]func(w *world) error{
		"disabled": func(w *world) error { return w.pool.Disable(w.t.Context(), w.alice.ID) },
		"deleted":  func(w *world) error { return w.pool.Delete(w.t.Context(), w.alice.ID) },
		"password": func(w *world) error {
			return w.pool.SetPassword(w.t.Context(), w.alice.ID, "new password", pool.Confirmed)
		},
		"group left": func(w *world) error { return w.pool.RemoveFromGroup(w.t.Context(), w.alice.ID, "staff") },
		"signed out": func(w *world) error { return w.mint.EndSession(w.t.Context(), "sid-1", w.alice.ID) },
		"revoked client": func(w *world) error {
			return w.clients.Delete(w.t.Context(), "web")
		},
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorld(t)
			tk, code, web := w.tokens("web"), w.code("web"), w.client("web")
			w.must(do(w))
			if w.alive(tk.Access) {
				t.Error("the access token lives on")
			}
			_, err := w.mint.Refresh(t.Context(), token.RefreshRequest{Client: web, Token: tk.Refresh})
			w.wantErr("refresh", err, token.ErrInvalidGrant)
			_, err = w.mint.RedeemCode(t.Context(), token.Redemption{Client: web, Code: code, RedirectURI: redirect, Verifier: verifier})
			w.wantErr("a code of before", err, token.ErrInvalidGrant)
		})
	}
}

func TestGraceSurvivesARotationOfTheSealingKey(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "sealing.key")
	sealer, err := keyring.OpenSealing(path, true, "")
	w.must(err)
	mint := token.New(token.Parts{
		Issuer: issuer, Users: w.pool, Clients: w.clients, Keys: w.keys, Codes: w.db.Codes(), Families: w.db.Families(),
		Revocations: w.db, Journal: w.db, Sealer: sealer, Now: w.clock.Now,
	})
	web := w.client("web")
	first := w.tokens("web")
	second, err := mint.Refresh(t.Context(), token.RefreshRequest{Client: web, Token: first.Refresh})
	w.must(err)
	ring, err := keyring.OpenRing(path, keyring.Sealing, false)
	w.must(err)
	w.must(ring.Rotate())
	reopened, err := keyring.OpenSealing(path, false, "")
	w.must(err)
	if bytes.Equal(reopened.Derive("x", 8), sealer.Derive("x", 8)) {
		t.Fatal("the key was not rotated")
	}
	mint = token.New(token.Parts{
		Issuer: issuer, Users: w.pool, Clients: w.clients, Keys: w.keys, Codes: w.db.Codes(), Families: w.db.Families(),
		Revocations: w.db, Journal: w.db, Sealer: reopened, Now: w.clock.Now,
	})
	again, err := mint.Refresh(t.Context(), token.RefreshRequest{Client: web, Token: first.Refresh})
	w.must(err)
	if again.Refresh != second.Refresh {
		t.Error("another successor after the rotation")
	}
}

func TestOnlyHashesAreStored(t *testing.T) {
	w := newWorld(t)
	code := w.code("web")
	tk := w.tokens("web")
	next, err := w.refresh("web", tk.Refresh)
	w.must(err)
	for what, secret := range map[string]string{"code": code, "refresh token": tk.Refresh, "successor": next.Refresh} {
		if storetest.Holds(t, w.db, secret) {
			t.Errorf("the %s stands in the database", what)
		}
	}
	if !storetest.Holds(t, w.db, w.alice.ID) {
		t.Error("the search finds nothing at all")
	}
}
