package client_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/idp/client"
	"gatehouse/idp/store"
	"gatehouse/idp/store/storetest"
	"gatehouse/internal/audit"
)

type world struct {
	t       *testing.T
	db      *store.DB
	clients *client.Clients
}

func newWorld(t *testing.T) *world {
	db := storetest.Open(t, nil)
	return &world{t: t, db: db, clients: client.New(client.Parts{Rows: db.Clients(), Scopes: db.Scopes(), Ender: db, Journal: db})}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) last() audit.Event {
	w.t.Helper()
	all, err := w.db.EventsSince(w.t.Context(), 0, 1000)
	w.must(err)
	if len(all) == 0 {
		return audit.Event{}
	}
	return all[len(all)-1]
}

// web returns a client that passes every check.
func web() client.Client {
	return client.Client{
		ID: "web", RedirectURIs: []string{"https://app.example.com/cb"}, Scopes: []string{"openid", "orders.read"},
		Grants: []string{client.AuthorizationCode, client.RefreshToken},
	}
}

func TestSecretIsShownOnceAndProvesTheClient(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := web()
	c.ID = ""
	made, secret, err := w.clients.Create(ctx, c)
	w.must(err)
	if !regexp.MustCompile(`^[a-z2-7]{26}$`).MatchString(made.ID) || !regexp.MustCompile(`^[a-z2-7]{52}$`).MatchString(secret) {
		t.Errorf("id %q, secret of %d characters", made.ID, len(secret))
	}
	if made.AccessTTL != time.Hour || made.IDTTL != time.Hour || made.RefreshTTL != 720*time.Hour || made.Grace() != 30*time.Second {
		t.Errorf("defaults = %v %v %v %v", made.AccessTTL, made.IDTTL, made.RefreshTTL, made.Grace())
	}
	for _, s := range made.Secrets {
		if strings.Contains(string(s.Hash), secret) || strings.Contains(s.ID, secret[:8]) {
			t.Error("the secret is stored")
		}
	}
	if _, err := w.clients.Authenticate(ctx, made.ID, secret); err != nil {
		t.Errorf("the right secret: %v", err)
	}
	for _, wrong := range [][2]string{{made.ID, ""}, {made.ID, secret[1:]}, {made.ID, secret + "a"}, {"stranger", secret}, {"", ""}, {"' OR 1=1", "x"}, {strings.ToUpper(made.ID), secret}} {
		if _, err := w.clients.Authenticate(ctx, wrong[0], wrong[1]); !errors.Is(err, client.ErrAuthentication) {
			t.Errorf("Authenticate(%q, …) = %v, want ErrAuthentication", wrong[0], err)
		}
	}
}

func TestSecretIsReplacedWithoutAGap(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	made, old, err := w.clients.Create(ctx, web())
	w.must(err)
	_, fresh, err := w.clients.AddSecret(ctx, made.ID)
	w.must(err)
	for _, s := range []string{old, fresh} {
		if _, err := w.clients.Authenticate(ctx, made.ID, s); err != nil {
			t.Errorf("with two secrets: %v", err)
		}
	}
	if _, _, err := w.clients.AddSecret(ctx, made.ID); !errors.Is(err, client.ErrTooManySecrets) {
		t.Errorf("a third secret: %v", err)
	}
	w.must(w.clients.RemoveSecret(ctx, made.ID, made.Secrets[0].ID))
	if _, err := w.clients.Authenticate(ctx, made.ID, old); !errors.Is(err, client.ErrAuthentication) {
		t.Errorf("the removed secret: %v", err)
	}
	c, err := w.clients.Authenticate(ctx, made.ID, fresh)
	w.must(err)
	if err := w.clients.RemoveSecret(ctx, made.ID, c.Secrets[0].ID); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("the last secret: %v, want ErrInvalid", err)
	}
}

func TestPublicClientHasNoSecret(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := web()
	c.Public = true
	made, secret, err := w.clients.Create(ctx, c)
	w.must(err)
	if secret != "" || made.Grace() != 0 {
		t.Errorf("secret %q, grace %v", secret, made.Grace())
	}
	if _, err := w.clients.Authenticate(ctx, "web", ""); err != nil {
		t.Error(err)
	}
	if _, err := w.clients.Authenticate(ctx, "web", "anything"); !errors.Is(err, client.ErrAuthentication) {
		t.Errorf("with a secret: %v", err)
	}
	c.ID, c.Grants = "job", []string{client.ClientCredentials}
	if _, _, err := w.clients.Create(ctx, c); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("client_credentials without a secret: %v", err)
	}
}

func TestURIsAreCheckedAndComparedExactly(t *testing.T) {
	w := newWorld(t)
	for _, uri := range []string{"https://a.example/cb?x=1", "http://localhost:3000/cb", "http://127.0.0.1/cb", "http://[::1]:1/cb", "myapp://cb", "com.example.app:/cb"} {
		c := web()
		c.ID, c.RedirectURIs = "", []string{uri}
		if _, _, err := w.clients.Create(t.Context(), c); err != nil {
			t.Errorf("%s: %v", uri, err)
		}
	}
	for _, uri := range []string{
		"", "/cb", "//a.example/cb", "https:///cb", "http://a.example/cb", "http://localhost.evil.example/", "https://a.example/#x", "https://a.example/cb#",
		"https://u@a.example/", "https://*.example/", "javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "https://a.example/ x",
		"https://a.example/\\x", "https://a.example/\n", "https://ä.example/", "https://a.example/" + strings.Repeat("a", 1024),
	} {
		c := web()
		c.ID, c.RedirectURIs = "", []string{uri}
		if _, _, err := w.clients.Create(t.Context(), c); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("%q: %v, want ErrInvalid", uri, err)
		}
	}
	c := web()
	for _, uri := range []string{"", "https://app.example.com/cb/", "https://app.example.com/cb?", "https://APP.example.com/cb", "https://app.example.com/c", "https://app.example.com/cb?x"} {
		if c.AllowsRedirect(uri) || c.AllowsSignOut(uri) {
			t.Errorf("%q passes for %q", uri, c.RedirectURIs[0])
		}
	}
}

func TestLifetimesAreBounded(t *testing.T) {
	w := newWorld(t)
	minute := 61 * time.Second
	for what, edit := range map[string]func(*client.Client){
		"access 4m": func(c *client.Client) { c.AccessTTL = 4 * time.Minute }, "access 25h": func(c *client.Client) { c.AccessTTL = 25 * time.Hour },
		"ID 1s": func(c *client.Client) { c.IDTTL = time.Second }, "refresh 59m": func(c *client.Client) { c.RefreshTTL = 59 * time.Minute },
		"grace 61s": func(c *client.Client) { c.RefreshGrace = &minute }, "unknown grant": func(c *client.Client) { c.Grants = []string{"implicit"} },
		"no redirect": func(c *client.Client) { c.RedirectURIs = nil }, "id": func(c *client.Client) { c.ID = "a b" },
		"scope": func(c *client.Client) { c.Scopes = []string{"a b"} },
	} {
		c := web()
		edit(&c)
		if _, _, err := w.clients.Create(t.Context(), c); !errors.Is(err, client.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", what, err)
		}
	}
}

func TestPutFollowsTheConfigurationAndIsQuietWhenNothingChanged(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	secret, other := strings.Repeat("s", 32), strings.Repeat("o", 32)
	c := web()
	c.Managed = true
	c.RedirectURIs = []string{"http://app.lan/cb"} // its own rule: allow_plain_http
	w.must(w.clients.Put(ctx, c, secret))
	seq := w.last().Seq
	w.must(w.clients.Put(ctx, c, secret))
	if w.last().Seq != seq {
		t.Error("Put of the same wrote an event")
	}
	c.RedirectURIs = append(c.RedirectURIs, "https://b.example/cb")
	w.must(w.clients.Put(ctx, c, other))
	if e := w.last(); e.Type != "client.updated" || len(e.Revoke) != 0 {
		t.Errorf("one more URI: %+v, want an event that revokes nothing", e)
	}
	if _, err := w.clients.Authenticate(ctx, "web", secret); !errors.Is(err, client.ErrAuthentication) {
		t.Errorf("the replaced secret: %v", err)
	}
	if _, err := w.clients.Authenticate(ctx, "web", other); err != nil {
		t.Error(err)
	}
	c.Scopes = []string{"openid"}
	w.must(w.clients.Put(ctx, c, other))
	if e := w.last(); len(e.Revoke) != 1 || e.Revoke[0].Kind != audit.KindClient || e.Revoke[0].Value != "web" {
		t.Errorf("one scope less: %+v, want the client's tokens revoked", e)
	}
	for what, do := range map[string]func() error{
		"Update": func() error { return w.clients.Update(ctx, c) }, "Delete": func() error { return w.clients.Delete(ctx, "web") },
		"AddSecret":    func() error { _, _, err := w.clients.AddSecret(ctx, "web"); return err },
		"RemoveSecret": func() error { return w.clients.RemoveSecret(ctx, "web", "x") },
	} {
		if err := do(); !errors.Is(err, client.ErrManaged) {
			t.Errorf("%s of a managed client: %v, want ErrManaged", what, err)
		}
	}
	c.Scopes = []string{client.UserAdmin}
	if err := w.clients.Put(ctx, c, other); !errors.Is(err, client.ErrInvalid) {
		t.Errorf("the gateway's client with %s: %v", client.UserAdmin, err)
	}
	for _, short := range []string{"", "hunter2"} {
		if err := w.clients.Put(ctx, web(), short); !errors.Is(err, client.ErrInvalid) || short != "" && strings.Contains(err.Error(), short) {
			t.Errorf("secret %q: %v, want ErrInvalid without it", short, err)
		}
	}
}

func TestDeletedClientIsRevoked(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	made, secret, err := w.clients.Create(ctx, web())
	w.must(err)
	w.must(w.clients.Delete(ctx, made.ID))
	if e := w.last(); e.Type != "client.deleted" || len(e.Revoke) != 1 || e.Revoke[0].Kind != audit.KindClient {
		t.Errorf("event = %+v", e)
	}
	if _, err := w.clients.Authenticate(ctx, made.ID, secret); !errors.Is(err, client.ErrAuthentication) {
		t.Error(err)
	}
}

func TestScopesAllowed(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.must(w.clients.PutServer(ctx, client.ResourceServer{ID: "orders"}))
	for _, s := range []client.Scope{{Name: "orders.read", Server: "orders"}, {Name: "orders.write", Server: "orders", Groups: []string{"staff", "admins"}}, {Name: "orders.all", Server: "orders"}} {
		w.must(w.clients.PutScope(ctx, s))
	}
	seq := w.last().Seq
	w.must(w.clients.PutScope(ctx, client.Scope{Name: "orders.read", Server: "orders"}))
	if w.last().Seq != seq {
		t.Error("PutScope of the same wrote an event")
	}
	c := client.Client{Scopes: []string{"openid", "email", "orders.read", "orders.write", "gone"}}
	allowed := func(wanted []string, groups ...string) []string {
		t.Helper()
		got, err := w.clients.Allowed(ctx, c, wanted, groups)
		w.must(err)
		return got
	}
	everything := []string{"orders.write", "orders.read", "orders.read", "openid", "profile", "orders.all", "gone", "admin"}
	if got := allowed(everything); !slices.Equal(got, []string{"orders.read", "openid"}) {
		t.Errorf("without groups: %v", got)
	}
	if got := allowed(everything, "admins"); !slices.Equal(got, []string{"orders.write", "orders.read", "openid"}) {
		t.Errorf("for admins: %v", got)
	}
	machine, err := w.clients.AllowedMachine(ctx, c, everything)
	w.must(err)
	if !slices.Equal(machine, []string{"orders.read"}) {
		t.Errorf("for a machine: %v", machine)
	}
	for what, c := range map[string]struct {
		s    client.Scope
		want error
	}{
		"standard name": {client.Scope{Name: "openid", Server: "orders"}, client.ErrInvalid}, "space": {client.Scope{Name: "a b", Server: "orders"}, client.ErrInvalid},
		"no server": {client.Scope{Name: "x", Server: "none"}, client.ErrNotFound},
	} {
		if err := w.clients.PutScope(ctx, c.s); !errors.Is(err, c.want) {
			t.Errorf("PutScope with %s: %v, want %v", what, err, c.want)
		}
	}
	w.must(w.clients.PutServer(ctx, client.ResourceServer{ID: "other"}))
	if err := w.clients.PutScope(ctx, client.Scope{Name: "orders.read", Server: "other"}); !errors.Is(err, client.ErrExists) {
		t.Errorf("one name at two servers: %v, want ErrExists", err)
	}
}
