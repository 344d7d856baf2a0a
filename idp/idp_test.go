package idp_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"gatehouse/idp"
	"gatehouse/internal/conf"
)

// failEvents makes every write of an event fail, as a full disk would.
func (f *fixture) failEvents(t *testing.T) {
	t.Helper()
	f.exec(t, `CREATE TRIGGER broken BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'disk full'); END`)
}

// exec runs a statement on the database behind the provider's back.
func (f *fixture) exec(t *testing.T, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", f.db.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatal(err)
	}
}

func TestDiscovery(t *testing.T) {
	bothMounts(t, func(t *testing.T, f *fixture) {
		r, _ := http.NewRequest("GET", f.issuer+"/.well-known/openid-configuration", nil)
		r.Host = "evil.test" // nothing in the document comes from the request
		r.Header.Set("X-Forwarded-Host", "evil.test")
		got := f.send(r)
		if got.status != 200 || got.text("issuer") != f.issuer || got.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Fatalf("discovery = %d %v", got.status, got.json)
		}
		for name, value := range got.json {
			if text, ok := value.(string); ok && !strings.HasPrefix(text, f.issuer) {
				t.Errorf("%s = %q is not below the issuer", name, text)
			}
		}
		for _, name := range []string{"authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint", "revocation_endpoint", "introspection_endpoint"} {
			if got.text(name) == "" {
				t.Errorf("%s is missing", name)
			}
		}
		methods, _ := json.Marshal(got.json["code_challenge_methods_supported"])
		if string(methods) != `["S256"]` || got.json["authorization_response_iss_parameter_supported"] != true || got.json["backchannel_logout_supported"] != nil {
			t.Errorf("discovery = %v", got.json)
		}
		scopes, _ := json.Marshal(got.json["scopes_supported"])
		if string(scopes) != `["openid","email","phone","profile","orders.admin","orders.read"]` {
			t.Errorf("scopes_supported = %s", scopes)
		}
		jwks, _ := http.NewRequest("GET", got.text("jwks_uri"), nil)
		keys := f.send(jwks)
		list, _ := keys.json["keys"].([]any)
		if keys.status != 200 || len(list) == 0 || !strings.Contains(keys.header.Get("Cache-Control"), "max-age") {
			t.Errorf("keys = %d %v", keys.status, keys.json)
		}
		if text, _ := json.Marshal(keys.json); strings.Contains(string(text), `"d"`) {
			t.Error("the key set holds a private key")
		}
	})
}

func TestOnlyExactPaths(t *testing.T) {
	bothMounts(t, func(t *testing.T, f *fixture) {
		b := f.browser()
		for _, path := range []string{
			"", "/", "/login/", "//login", "/./login", "/%6cogin", "/login%2f", "/oauth2/../login", "/oauth2/authorize/",
			"/oauth2/Token", "/.well-known", "/.well-known/openid-configuration/", "/logout/confirm/",
		} {
			a := b.do("GET", f.issuer+path, nil, nil)
			if a.StatusCode != 404 || a.Header.Get("Location") != "" {
				t.Errorf("%q: %d, want 404 and no redirect", path, a.StatusCode)
			}
		}
		for _, c := range [][2]string{{"GET", "/oauth2/token"}, {"PUT", "/login"}, {"HEAD", "/logout"}, {"HEAD", "/oauth2/authorize"}, {"DELETE", "/oauth2/userInfo"}} {
			if a := b.do(c[0], f.issuer+c[1], nil, nil); a.StatusCode != 405 || a.Header.Get("Allow") == "" {
				t.Errorf("%s %s: %d, want 405 with Allow", c[0], c[1], a.StatusCode)
			}
		}
	})
}

// Scripts of registered origins only, and never with credentials.
func TestCORS(t *testing.T) {
	f := start(t, "")
	ask := func(method, path, origin string) http.Header {
		r, _ := http.NewRequest(method, f.issuer+path, strings.NewReader("grant_type=x"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", origin)
		return f.send(r).header
	}
	for _, path := range []string{"/oauth2/token", "/oauth2/userInfo", "/oauth2/revoke"} {
		for _, method := range []string{"OPTIONS", "POST"} {
			for origin, ok := range map[string]bool{
				"https://app.test": true, "https://other.test": true, "https://evil.test": false, "null": false,
				"https://app.test.evil.test": false, "http://app.test": false, "https://xapp.test": false,
			} {
				h := ask(method, path, origin)
				want := ""
				if ok {
					want = origin
				}
				if h.Get("Access-Control-Allow-Origin") != want || h.Get("Access-Control-Allow-Credentials") != "" || !slices.Contains(h.Values("Vary"), "Origin") {
					t.Errorf("%s %s from %s: %v", method, path, origin, h)
				}
			}
		}
	}
	for _, path := range []string{"/oauth2/introspect", "/login", "/oauth2/authorize", "/logout"} {
		if got := ask("POST", path, "https://app.test").Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s may be read by scripts: %q", path, got)
		}
	}
}

// RFC 6797: over https browsers learn to ask for nothing in clear, from errors
// as well; over plain http the header would mean nothing.
func TestHTTPSIsRemembered(t *testing.T) {
	f := start(t, "")
	cfg := f.cfg
	cfg.Issuer, _ = url.Parse("https://login.example.com")
	secure, err := idp.New(cfg, idp.Deps{DB: f.db, Sealer: f.sealer})
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range map[*idp.Provider][]string{secure: {"max-age=31536000"}, f.p: nil} {
		for _, path := range []string{"/.well-known/openid-configuration", "/.well-known/jwks.json", "/login", "/oauth2/authorize", "/oauth2/token", "/nothing"} {
			w := httptest.NewRecorder()
			p.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			if got := w.Result().Header.Values("Strict-Transport-Security"); !slices.Equal(got, want) {
				t.Errorf("%s%s: %d with Strict-Transport-Security %q, want %q", p.Issuer(), path, w.Code, got, want)
			}
		}
	}
}

func TestErrorPagesTellNothing(t *testing.T) {
	f := start(t, "")
	page := f.browser().open(newRequest())
	_ = f.db.Close()
	for _, address := range []string{f.authorizeURL(newRequest()), page.Request.URL.String(), f.logoutURL("client_id", "web")} {
		a := f.browserOf(page).get(address)
		if a.StatusCode < 500 || a.Header.Get("Location") != "" || strings.Contains(a.body, "sql") || !strings.Contains(a.body, "request <code>") {
			t.Errorf("%s: %d %s", address, a.StatusCode, a.body)
		}
	}
	if strings.Contains(f.log.String(), "code_challenge") {
		t.Error("a query reached the log")
	}
}

func TestBootstrapIsCreateOnlyForPeople(t *testing.T) {
	f := start(t, "")
	ctx := t.Context()
	alice := f.userID("alice")
	_, events, err := f.db.RevocationsSince(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.p.Bootstrap(ctx); err != nil {
		t.Fatal(err)
	}
	if _, again, _ := f.db.RevocationsSince(ctx, 0); again != events || strings.Contains(f.log.String(), "differs") {
		t.Errorf("a second start changed something: %d revocations, log %s", again-events, f.log)
	}
	if err := f.p.Pool.SetPassword(ctx, alice, "violet lamp 42 river", "CONFIRMED"); err != nil {
		t.Fatal(err)
	}
	if err := f.p.Pool.Disable(ctx, alice); err != nil {
		t.Fatal(err)
	}
	if err := f.p.Pool.RemoveFromGroup(ctx, alice, "admins"); err != nil {
		t.Fatal(err)
	}
	if err := f.p.Pool.Delete(ctx, f.userID("bob")); err != nil {
		t.Fatal(err)
	}
	if err := f.p.Bootstrap(ctx); err != nil {
		t.Fatal(err)
	}
	u, err := f.p.Pool.Get(ctx, alice)
	groups, _ := f.p.Pool.GroupsOf(ctx, alice)
	if err != nil || u.Enabled || len(groups) != 1 {
		t.Errorf("a restart changed alice: enabled %t, groups %v", u.Enabled, groups)
	}
	if _, err := f.p.Pool.Find(ctx, "bob"); err == nil {
		t.Error("a restart brought bob back")
	}
	if _, err := f.p.Pool.CheckPassword(ctx, "alice", password); err == nil {
		t.Error("a restart gave alice her old password")
	}
	for _, want := range []string{"differs=\"[enabled groups]\"", "user=bob", "test.yaml:"} {
		if !strings.Contains(f.log.String(), want) {
			t.Errorf("log lacks %q: %s", want, f.log)
		}
	}
}

func TestBootstrapPrunesOnlyWhenTold(t *testing.T) {
	f := start(t, "")
	ctx := t.Context()
	without := func(prune bool) *idp.Provider {
		cfg := f.cfg
		cfg.Bootstrap.Clients = cfg.Bootstrap.Clients[:1]
		cfg.Bootstrap.Groups = cfg.Bootstrap.Groups[:1]
		cfg.Bootstrap.Users, cfg.Bootstrap.ResourceServers, cfg.Bootstrap.Prune = nil, nil, prune
		p, err := idp.New(cfg, idp.Deps{DB: f.db, Sealer: f.sealer})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Bootstrap(ctx); err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := without(false)
	if clients, _ := p.Clients.List(ctx); len(clients) != 4 {
		t.Errorf("%d clients without prune, want 4", len(clients))
	}
	p = without(true)
	clients, _ := p.Clients.List(ctx)
	groups, _ := p.Pool.ListGroups(ctx)
	scopes, _ := p.Clients.Scopes(ctx)
	if len(clients) != 1 || len(groups) != 1 || len(scopes) != 0 {
		t.Errorf("after prune: %d clients, %d groups, %d scopes; want 1, 1, 0", len(clients), len(groups), len(scopes))
	}
	if _, err := p.Pool.Find(ctx, "alice"); err != nil {
		t.Error("prune removed a person")
	}
}

func TestConfigMistakesAreToldAtOnce(t *testing.T) {
	var cfg idp.Config
	_, err := conf.Parse("g.yaml", []byte(`
issuer: https://Login.example.com/
sso: { idle: 2h, lifetime: 1h }
bootstrap:
  groups: [{ name: admins }, { name: admins }]
  users:
    - { username: alice, groups: [admin], password: short }
    - { username: ALICE, email_verified: true, phone_verified: true }
  resource_servers:
    - { id: orders, scopes: [{ name: openid }, { name: orders.read }] }
  clients:
    - { id: gatehouse, secret: short }
    - { id: web, public: true, grants: [authorization_code], scopes: [orders.reed] }
    - { id: spa, public: true, redirect_uris: ["https://spa.test/cb"], read_attributes: [emial], write_attributes: ["custom:team"] }
`), &cfg)
	if err == nil {
		t.Fatal("no mistake was found")
	}
	for _, want := range []string{
		"lower case", "shorter than idp.sso.idle", `group "admins" stands here twice`, `did you mean admins?`, "fewer than 8",
		`user "ALICE" stands here twice`, `"ALICE" has no email`, `"ALICE" has no phone`, `"openid" cannot be`, "gateway's own", "at least 24", "authorization_code needs a redirect URI", "did you mean orders.read?",
		`read_attributes names "emial"`, "did you mean email?", `write_attributes names "custom:team"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the report lacks %q:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "short }") || strings.Contains(err.Error(), ": short") {
		t.Errorf("the report shows a secret:\n%v", err)
	}
}

// Who misspells a group lets its members in without what it demands.
func TestGroupsAndClientsThatNobodyHasAreWarnedOf(t *testing.T) {
	const declared = "issuer: https://login.example.com\nbootstrap: { prune: %t, groups: [{ name: admins }], clients: [{ id: console, public: true, redirect_uris: ['https://c.test/cb'] }] }\n"
	for text, want := range map[string][2]int{ // without prune, with it
		"mfa: { groups: [admnis] }\n":                                        {1, 1},
		"mfa: { groups: [staff] }\n":                                         {0, 1},
		"mfa: { groups: [admins] }\n":                                        {0, 0},
		"mfa: { mode: required }\n":                                          {0, 0},
		"admin: { groups: { admnis: [all] }, clients: [consle] }\n":          {2, 2},
		"admin: { groups: { admins: [all] }, clients: [console] }\n":         {0, 0},
		"admin: { machines: { robot: [all] } }\nmfa: { groups: [admins] }\n": {0, 1},
	} {
		for i, prune := range []bool{false, true} {
			f, err := conf.Parse("g.yaml", fmt.Appendf(nil, declared+text, prune), new(idp.Config))
			if err != nil {
				t.Fatal(err)
			}
			if w := f.Problems().Warnings(); len(w) != want[i] {
				t.Errorf("%s with prune %t: %v, want %d warnings", text, prune, w, want[i])
			}
		}
	}
}

func TestIssuerHasOneSpelling(t *testing.T) {
	for text, ok := range map[string]bool{
		"https://login.example.com": true, "https://login.example.com:8443": true, "http://localhost:8080/_gatehouse/idp": true,
		"https://login.example.com/": false, "https://login.example.com:443": false, "https://login.example.com/a/../b": false,
		"https://login.example.com/a//b": false, "https://login.example.com/%61": false, "https://login.example.com?x": false,
		"https://u@login.example.com": false, "ftp://login.example.com": false, "https://login.example.com./": false,
	} {
		var cfg idp.Config
		_, err := conf.Parse("g.yaml", []byte("issuer: "+text), &cfg)
		if (err == nil) != ok {
			t.Errorf("issuer %s: %v, want accepted = %t", text, err, ok)
		}
	}
}
