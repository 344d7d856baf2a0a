package token_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/idp/client"
	"gatehouse/idp/keys"
	"gatehouse/idp/password"
	"gatehouse/idp/pool"
	"gatehouse/idp/store"
	"gatehouse/idp/store/storetest"
	"gatehouse/idp/token"
	"gatehouse/internal/audit"
	"gatehouse/internal/jose"
)

const (
	issuer   = "https://login.example.com"
	redirect = "https://app.example.com/cb"
	verifier = "a-verifier-of-at-least-forty-three-characters-0"
)

// world is a provider without HTTP: alice in staff, a confidential client web, a
// public client spa and a machine job.
type world struct {
	t       *testing.T
	clock   *storetest.Clock
	db      *store.DB
	pool    *pool.Pool
	clients *client.Clients
	keys    *keys.Ring
	mint    *token.Mint
	alice   pool.User
}

func newWorld(t *testing.T) *world {
	clock := storetest.NewClock()
	db := storetest.Open(t, clock.Now)
	w := &world{t: t, clock: clock, db: db}
	w.pool = pool.New(pool.Parts{
		Users: db.Users(), Groups: db.Groups(), Members: db.Members(), Tombstones: db.Tombstones(), Hashes: db.Hashes(), Ender: db, Journal: db,
		Hasher: password.New(password.Options{}), Now: clock.Now,
	})
	w.clients = client.New(client.Parts{Rows: db.Clients(), Scopes: db.Scopes(), Ender: db, Journal: db, Now: clock.Now})
	w.keys = keys.New(keys.Parts{Rows: db.Keys(), Sealer: storetest.Sealer(t), Journal: db, Now: clock.Now})
	w.mint = token.New(token.Parts{
		Issuer: issuer, Users: w.pool, Clients: w.clients, Keys: w.keys, Codes: db.Codes(), Families: db.Families(),
		Revocations: db, Journal: db, Sealer: storetest.Sealer(t), Now: clock.Now,
	})
	w.fill()
	return w
}

func (w *world) fill() {
	ctx := w.t.Context()
	one := 1
	w.must(w.pool.AddGroup(ctx, pool.Group{Name: "everyone"}))
	w.must(w.pool.AddGroup(ctx, pool.Group{Name: "staff", Precedence: &one, RoleARN: "arn:aws:iam::1:role/staff"}))
	var err error
	w.alice, err = w.pool.Add(ctx, pool.NewUser{
		Username: "alice", Email: "alice@example.com", EmailVerified: true, Name: "Alice",
		Groups: []string{"everyone", "staff"},
	})
	w.must(err)
	w.must(w.clients.PutServer(ctx, client.ResourceServer{ID: "orders"}))
	w.must(w.clients.PutScope(ctx, client.Scope{Name: "orders.read", Server: "orders"}))
	w.must(w.clients.PutScope(ctx, client.Scope{Name: "orders.write", Server: "orders", Groups: []string{"staff"}}))
	scopes := []string{"openid", "email", "profile", "orders.read", "orders.write"}
	grants := []string{client.AuthorizationCode, client.RefreshToken}
	secret := strings.Repeat("s", 32)
	w.must(w.clients.Put(ctx, client.Client{ID: "web", RedirectURIs: []string{redirect}, Scopes: scopes, Grants: grants}, secret))
	w.must(w.clients.Put(ctx, client.Client{ID: "other", RedirectURIs: []string{redirect}, Scopes: scopes, Grants: grants}, secret))
	w.must(w.clients.Put(ctx, client.Client{ID: "spa", Public: true, RedirectURIs: []string{redirect}, Scopes: scopes, Grants: grants}, ""))
	w.must(w.clients.Put(ctx, client.Client{ID: "job", Scopes: scopes, Grants: []string{client.ClientCredentials}}, secret))
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) client(id string) client.Client {
	w.t.Helper()
	c, err := w.clients.Find(w.t.Context(), id)
	w.must(err)
	return c
}

// request is alice's finished authorize request at a client.
func (w *world) request(clientID string, scopes ...string) token.CodeRequest {
	sum := sha256.Sum256([]byte(verifier))
	return token.CodeRequest{
		Client: w.client(clientID),
		Authorization: token.Authorization{
			UserID: w.alice.ID, SessionID: "sid-1", Scopes: scopes, Nonce: "n-1",
			AuthTime: w.clock.Now().Add(-time.Minute), AMR: []string{"pwd"},
		},
		RedirectURI: redirect, Challenge: base64.RawURLEncoding.EncodeToString(sum[:]),
	}
}

func (w *world) code(clientID string, scopes ...string) string {
	w.t.Helper()
	code, err := w.mint.IssueCode(w.t.Context(), w.request(clientID, scopes...))
	w.must(err)
	return code
}

func (w *world) redeem(clientID, code string) (token.Tokens, error) {
	return w.mint.RedeemCode(w.t.Context(), token.Redemption{Client: w.client(clientID), Code: code, RedirectURI: redirect, Verifier: verifier})
}

// tokens signs alice in at a client.
func (w *world) tokens(clientID string, scopes ...string) token.Tokens {
	w.t.Helper()
	tk, err := w.redeem(clientID, w.code(clientID, scopes...))
	w.must(err)
	return tk
}

func (w *world) refresh(clientID, refresh string, scopes ...string) (token.Tokens, error) {
	return w.mint.Refresh(w.t.Context(), token.RefreshRequest{Client: w.client(clientID), Token: refresh, Scopes: scopes})
}

// claims verifies a token's signature and returns what it says.
func (w *world) claims(jwt string) map[string]any {
	w.t.Helper()
	set, err := w.keys.Public(w.t.Context())
	w.must(err)
	tk, err := jose.Verify(jwt, set, jose.RS256)
	w.must(err)
	return tk.Claims
}

func (w *world) wantErr(what string, got, want error) {
	w.t.Helper()
	if !errors.Is(got, want) {
		w.t.Errorf("%s: error = %v, want %v", what, got, want)
	}
}

// alive reports whether an access token still holds.
func (w *world) alive(access string) bool {
	w.t.Helper()
	_, err := w.mint.Introspect(w.t.Context(), access)
	if err != nil && !errors.Is(err, token.ErrInvalidToken) {
		w.t.Fatal(err)
	}
	return err == nil
}

// events counts the events of a type.
func (w *world) events(kind string) int {
	w.t.Helper()
	all, err := w.db.EventsSince(w.t.Context(), 0, 10_000)
	w.must(err)
	n := 0
	for _, e := range all {
		if e.Type == kind {
			n++
			if len(e.Revoke) == 0 {
				w.t.Errorf("event %s revokes nothing: %+v", kind, e)
			}
		}
	}
	return n
}

// atOnce runs do in fifty goroutines that start together.
func atOnce(do func()) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range storetest.Callers {
		wg.Go(func() {
			<-start
			do()
		})
	}
	close(start)
	wg.Wait()
}

var _ audit.Journal = (*store.DB)(nil)
