package token_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/idp/client"
	"gatehouse/idp/pool"
	"gatehouse/idp/token"
)

func number(n int64) json.Number { b, _ := json.Marshal(n); return json.Number(b) }

func TestTokensHaveCognitosShape(t *testing.T) {
	w := newWorld(t)
	tk := w.tokens("web")
	now := w.clock.Now()
	access := w.claims(tk.Access)
	id := w.claims(tk.ID)
	for _, c := range []map[string]any{access, id} {
		for _, name := range []string{"jti", "origin_jti", "event_id"} {
			if s, _ := c[name].(string); len(s) != 36 {
				t.Errorf("%s = %v, want a UUID", name, c[name])
			}
		}
	}
	if access["jti"] == id["jti"] || access["origin_jti"] != id["origin_jti"] || access["event_id"] != id["event_id"] {
		t.Error("jti, origin_jti or event_id are not what relates the two tokens")
	}
	half := sha256.Sum256([]byte(tk.Access))
	groups, iat, exp := []any{"staff", "everyone"}, number(now.Unix()), number(now.Add(time.Hour).Unix())
	for _, c := range []struct {
		name      string
		got, want map[string]any
	}{
		{"access token", access, map[string]any{
			"iss": issuer, "sub": w.alice.ID, "client_id": "web", "token_use": "access", "version": number(2), "username": "alice",
			"scope": "openid email profile orders.read orders.write", "cognito:groups": groups,
			"auth_time": number(now.Unix() - 60), "iat": iat, "exp": exp,
		}},
		{"ID token", id, map[string]any{
			"iss": issuer, "sub": w.alice.ID, "aud": "web", "token_use": "id", "cognito:username": "alice", "cognito:groups": groups,
			"cognito:roles": []any{"arn:aws:iam::1:role/staff"}, "cognito:preferred_role": "arn:aws:iam::1:role/staff",
			"email": "alice@example.com", "email_verified": true, "name": "Alice",
			"updated_at": number(w.alice.Updated.Unix()), "sid": "sid-1", "nonce": "n-1", "amr": []any{"pwd"},
			"at_hash":   base64.RawURLEncoding.EncodeToString(half[:16]),
			"auth_time": number(now.Unix() - 60), "iat": iat, "exp": exp,
		}},
	} {
		for _, name := range []string{"jti", "origin_jti", "event_id"} {
			delete(c.got, name)
		}
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s differs (-want +got):\n%s", c.name, diff)
		}
	}
	if tk.ExpiresIn != time.Hour || len(tk.Refresh) != 43 {
		t.Errorf("expires in %v, refresh token of %d characters", tk.ExpiresIn, len(tk.Refresh))
	}
}

func TestClaimsComeByScope(t *testing.T) {
	w := newWorld(t)
	r := w.request("web", "openid")
	r.Nonce, r.AMR = "", nil
	code, err := w.mint.IssueCode(t.Context(), r)
	w.must(err)
	tk, err := w.redeem("web", code)
	w.must(err)
	id := w.claims(tk.ID)
	for _, name := range []string{"email", "email_verified", "name", "nonce", "amr", "acr"} {
		if v, there := id[name]; there {
			t.Errorf("%s = %v without being asked for", name, v)
		}
	}
	if tk := w.tokens("web", "orders.read"); tk.ID != "" {
		t.Error("an ID token without openid")
	}
}

func TestCodeIsBoundToItsRequest(t *testing.T) {
	w := newWorld(t)
	good := func(code string) token.Redemption {
		return token.Redemption{Client: w.client("web"), Code: code, RedirectURI: redirect, Verifier: verifier}
	}
	for what, edit := range map[string]func(*token.Redemption){
		"another client": func(r *token.Redemption) { r.Client = w.client("other") }, "another redirect URI": func(r *token.Redemption) { r.RedirectURI += "/" },
		"no redirect URI": func(r *token.Redemption) { r.RedirectURI = "" }, "another verifier": func(r *token.Redemption) { r.Verifier += "x" },
		"no verifier":     func(r *token.Redemption) { r.Verifier = "" },
		"the challenge":   func(r *token.Redemption) { r.Verifier = w.request("web").Challenge },
		"after a minute":  func(*token.Redemption) { w.clock.Forward(token.CodeTTL) },
		"a disabled user": func(*token.Redemption) { w.must(w.pool.Disable(t.Context(), w.alice.ID)) },
	} {
		code := w.code("web")
		r := good(code)
		edit(&r)
		_, err := w.mint.RedeemCode(t.Context(), r)
		w.wantErr(what, err, token.ErrInvalidGrant)
		if what == "a disabled user" {
			w.must(w.pool.Enable(t.Context(), w.alice.ID))
		}
		// Whatever was wrong, the code is burnt.
		_, err = w.mint.RedeemCode(t.Context(), good(code))
		w.wantErr("the right request after "+what, err, token.ErrInvalidGrant)
	}
	code := w.code("web")
	for _, bad := range []string{"", "x", code[:42], code + "A", code[:42] + "!", strings.Repeat("A", 43), code[:42] + "="} {
		_, err := w.redeem("web", bad)
		w.wantErr("code "+bad, err, token.ErrInvalidGrant)
	}
	if _, err := w.redeem("web", code); err != nil {
		t.Errorf("guesses burnt somebody else's code: %v", err)
	}
}

func TestSecondUseOfACodeEndsWhatTheFirstGave(t *testing.T) {
	w := newWorld(t)
	code := w.code("web")
	tk, err := w.redeem("web", code)
	w.must(err)
	bystander := w.tokens("web")
	_, err = w.redeem("web", code)
	w.wantErr("second use", err, token.ErrInvalidGrant)
	if w.alive(tk.Access) {
		t.Error("the access token lives on")
	}
	_, err = w.refresh("web", tk.Refresh)
	w.wantErr("refresh", err, token.ErrInvalidGrant)
	if !w.alive(bystander.Access) {
		t.Error("another family was ended")
	}
	if n := w.events("code.reused"); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

func TestCodeWorksOnceForFiftyAtOnce(t *testing.T) {
	w := newWorld(t)
	code := w.code("web")
	redemption := token.Redemption{Client: w.client("web"), Code: code, RedirectURI: redirect, Verifier: verifier}
	var mu sync.Mutex
	var won []token.Tokens
	atOnce(func() {
		tk, err := w.mint.RedeemCode(t.Context(), redemption)
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			won = append(won, tk)
		} else if !errors.Is(err, token.ErrInvalidGrant) {
			t.Errorf("error = %v, want ErrInvalidGrant", err)
		}
	})
	if len(won) != 1 {
		t.Fatalf("%d callers redeemed one code, want 1", len(won))
	}
	if w.alive(won[0].Access) {
		t.Error("the tokens of a code that was used twice live on")
	}
	_, err := w.refresh("web", won[0].Refresh)
	w.wantErr("refresh", err, token.ErrInvalidGrant)
}

func TestCodeIsIssuedForWhatMayBeHad(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	issue := func(edit func(*token.CodeRequest)) error {
		r := w.request("web", "openid")
		edit(&r)
		_, err := w.mint.IssueCode(ctx, r)
		return err
	}
	w.wantErr("a foreign scope", issue(func(r *token.CodeRequest) { r.Scopes = []string{"openid", "admin"} }), token.ErrInvalidScope)
	w.wantErr("a foreign redirect URI", issue(func(r *token.CodeRequest) { r.RedirectURI = "https://evil.example/" }), token.ErrUnauthorizedClient)
	w.wantErr("a machine", issue(func(r *token.CodeRequest) { r.Client = w.client("job") }), token.ErrUnauthorizedClient)
	w.wantErr("no challenge", issue(func(r *token.CodeRequest) { r.Challenge = "" }), token.ErrInvalidGrant)
	w.wantErr("a plain challenge", issue(func(r *token.CodeRequest) { r.Challenge = verifier }), token.ErrInvalidGrant)
	w.wantErr("a stranger", issue(func(r *token.CodeRequest) { r.UserID = "none" }), token.ErrInvalidGrant)
	w.must(issue(func(r *token.CodeRequest) { r.Scopes = []string{"openid", "offline_access"} }))

	bob, err := w.pool.Add(ctx, pool.NewUser{Username: "bob"})
	w.must(err)
	only := func(r *token.CodeRequest) { r.UserID, r.Scopes = bob.ID, []string{"orders.write"} }
	w.wantErr("only a scope of another group", issue(only), token.ErrInvalidScope)
	r := w.request("web", "openid", "orders.write")
	r.UserID = bob.ID
	code, err := w.mint.IssueCode(ctx, r)
	w.must(err)
	tk, err := w.redeem("web", code)
	w.must(err)
	if !slices.Equal(tk.Scopes, []string{"openid"}) {
		t.Errorf("scopes = %v, want openid alone", tk.Scopes)
	}
	if _, there := w.claims(tk.Access)["cognito:groups"]; there {
		t.Error("a user without groups has the claim")
	}
}

func TestMachineTokenHasNoPerson(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	job := w.client("job")
	tk, err := w.mint.ClientCredentials(ctx, job, nil)
	w.must(err)
	got := w.claims(tk.Access)
	delete(got, "jti")
	now := number(w.clock.Now().Unix())
	if diff := cmp.Diff(map[string]any{
		"iss": issuer, "sub": "job", "client_id": "job", "token_use": "access", "scope": "orders.read", "version": number(2),
		"auth_time": now, "iat": now, "exp": number(w.clock.Now().Add(time.Hour).Unix()),
	}, got); diff != "" {
		t.Errorf("claims differ (-want +got):\n%s", diff)
	}
	if tk.ID != "" || tk.Refresh != "" {
		t.Error("a machine got an ID token or a refresh token")
	}
	for _, scopes := range [][]string{{"orders.write"}, {"openid"}, {"admin"}, {"orders.read", "admin"}, {""}} {
		_, err := w.mint.ClientCredentials(ctx, job, scopes)
		w.wantErr(strings.Join(scopes, " "), err, token.ErrInvalidScope)
	}
	_, err = w.mint.ClientCredentials(ctx, w.client("web"), nil)
	w.wantErr("a client without the grant", err, token.ErrUnauthorizedClient)
	none := job
	none.Scopes = []string{"openid"}
	_, err = w.mint.ClientCredentials(ctx, none, nil)
	w.wantErr("a client with nothing for a machine", err, token.ErrInvalidScope)
	if a, err := w.mint.Introspect(ctx, tk.Access); err != nil || a.User != nil || a.ClientID != "job" {
		t.Errorf("Introspect = %+v, %v", a, err)
	}
}

func TestClientWithoutRefreshGrantGetsNoRefreshToken(t *testing.T) {
	w := newWorld(t)
	c := w.client("spa")
	c.Grants = []string{client.AuthorizationCode}
	w.must(w.clients.Update(t.Context(), c))
	w.clock.Forward(time.Second) // past the revocation of what it had
	tk := w.tokens("spa")
	if tk.Refresh != "" {
		t.Fatal("it got one")
	}
	w.must(w.mint.EndSession(t.Context(), "sid-1", w.alice.ID))
	if w.alive(tk.Access) {
		t.Error("its access token outlives the session")
	}
}

func TestSignerOutageLosesTheCodeAndNothingElse(t *testing.T) {
	w := newWorld(t)
	code := w.code("web")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := w.mint.RedeemCode(ctx, token.Redemption{Client: w.client("web"), Code: code, RedirectURI: redirect, Verifier: verifier})
	if err == nil || errors.Is(err, token.ErrInvalidGrant) {
		t.Fatalf("without a store: %v, want an error that is not the client's fault", err)
	}
	if _, err := w.redeem("web", code); err != nil {
		t.Errorf("a transaction that never began used the code: %v", err)
	}
}
