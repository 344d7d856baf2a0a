package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// The story: two groups, two scopes that belong to them, two resources that
// take one scope each. Who is in a group is granted its scope, in the browser
// and by bearer; nobody else is, and no program for itself.

// eachStory tells a part of the story on each database.
func eachStory(t *testing.T, part func(t *testing.T, h house)) {
	t.Helper()
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) { part(t, startStory(t, e.store(t))) })
	}
}

func startStory(t *testing.T, store string) house {
	t.Helper()
	port, dir := freePort(t), t.TempDir()
	public, issuer := fmt.Sprintf("http://localhost:%d", port), fmt.Sprintf("http://127.0.0.1:%d", port)
	g := startServe(t, dir, public, file{
		public: public, dir: dir, upstream: application(t), routes: storyRoutes, parts: []string{storyProvider(issuer), store},
	}.String())
	return house{gateway: g, issuer: issuer, ours: true}
}

// storyOpens says who opens which resource.
var storyOpens = map[string][2]bool{"alice": {true, false}, "bob": {false, true}, "carol": {true, true}, "dave": {false, false}}

func TestStoryInTheBrowser(t *testing.T) {
	executable := chromium(t) // before anything is started for nothing
	node(t)
	eachStory(t, func(t *testing.T, h house) {
		runScript(t, "browser-story.mjs", "CHROMIUM", executable, "PASSWORD", demoPassword, "GATEHOUSE_URL", h.url,
			"GATEHOUSE", binary, "CONFIG", h.config)
	})
}

// grant is the answer of a token endpoint.
type grant struct {
	Error        string `json:"error"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	Scope        string `json:"scope"`
}

// claims reads the payload of the access token.
func (g grant) claims(t *testing.T) map[string]any {
	t.Helper()
	parts := strings.Split(g.AccessToken, ".")
	if len(parts) != 3 {
		t.Fatalf("access token has %d parts", len(parts))
	}
	found := map[string]any{}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(raw, &found)
	}
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (h house) askTokens(t *testing.T, form url.Values) grant {
	t.Helper()
	v := &visitor{t: t, client: plain}
	a := v.do(http.MethodPost, h.endpoint(t, "token_endpoint"), strings.NewReader(form.Encode()), "Content-Type", "application/x-www-form-urlencoded")
	var g grant
	if err := json.Unmarshal([]byte(a.body), &g); err != nil {
		t.Fatalf("token endpoint answers %d %s", a.status, a.body)
	}
	return g
}

// codeFlow gets a person's tokens for the web client, asking for scope.
func (h house) codeFlow(t *testing.T, user, scope string) grant {
	t.Helper()
	const verifier = "a-code-verifier-of-at-least-43-characters-00000"
	v := newVisitor(t, h.issuer)
	a := v.post(v.fill(v.open(h.endpoint(t, "authorization_endpoint")+"?"+url.Values{
		"response_type": {"code"}, "client_id": {webClient}, "redirect_uri": {callbackURI}, "scope": {scope},
		"state": {"s-0123456789"}, "code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"},
	}.Encode()), user, demoPassword))
	back, err := url.Parse(a.header.Get("Location"))
	if err != nil || !strings.HasPrefix(back.String(), callbackURI) || back.Query().Get("code") == "" {
		t.Fatalf("%s signs in for %q and is sent to %q (%d)\n%s", user, scope, a.header.Get("Location"), a.status, a.body)
	}
	return h.askTokens(t, url.Values{
		"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {callbackURI},
		"code_verifier": {verifier}, "client_id": {webClient}, "client_secret": {webSecret},
	})
}

// wantResource asks for a resource by bearer.
func (h house) wantResource(t *testing.T, who string, n int, token string, opens bool) {
	t.Helper()
	a := ask(t, http.MethodGet, fmt.Sprintf("%s/resource-%d/x?q=1", h.url, n), "Authorization", "Bearer "+token)
	challenge := a.header.Get("WWW-Authenticate")
	switch {
	case opens && a.status != http.StatusOK:
		t.Errorf("%s at resource %d = %d, want 200\n%s", who, n, a.status, a.body)
	case !opens && a.status != http.StatusForbidden:
		t.Errorf("%s at resource %d = %d, want 403", who, n, a.status)
	case !opens && (!strings.Contains(challenge, `error="insufficient_scope"`) || !strings.Contains(challenge, fmt.Sprintf("resource%d.read", n))):
		t.Errorf("%s at resource %d: WWW-Authenticate %q, want insufficient_scope and the scope", who, n, challenge)
	}
}

func TestStoryByBearer(t *testing.T) { eachStory(t, storyByBearer) }

func storyByBearer(t *testing.T, h house) {
	for user, opens := range storyOpens {
		// Asking for both is no mistake: who lacks a group is given less.
		g := h.codeFlow(t, user, "openid resource1.read resource2.read")
		want := "openid"
		for i, yes := range opens {
			if yes {
				want += fmt.Sprintf(" resource%d.read", i+1)
			}
		}
		if g.Scope != want || g.claims(t)["scope"] != want {
			t.Errorf("%s is granted %q, the token says %v, want %q", user, g.Scope, g.claims(t)["scope"], want)
		}
		for i, yes := range opens {
			h.wantResource(t, user, i+1, g.AccessToken, yes)
		}
	}
	// Carol may have both, but this client asked for one.
	one := h.codeFlow(t, "carol", "openid resource1.read")
	h.wantResource(t, "carol for resource 1", 1, one.AccessToken, true)
	h.wantResource(t, "carol for resource 1", 2, one.AccessToken, false)
}

func TestStoryGivesNoMachineAPersonsScope(t *testing.T) {
	eachStory(t, storyGivesNoMachineAPersonsScope)
}

func storyGivesNoMachineAPersonsScope(t *testing.T, h house) {
	for _, scope := range []string{"resource1.read", "status.read resource2.read", "openid"} {
		g := h.askTokens(t, url.Values{"grant_type": {"client_credentials"}, "scope": {scope}, "client_id": {jobClient}, "client_secret": {jobSecret}})
		if g.Error != "invalid_scope" || g.AccessToken != "" {
			t.Errorf("a machine that asks for %q is answered %q, scope %q; want invalid_scope", scope, g.Error, g.Scope)
		}
	}
	g := h.askTokens(t, url.Values{"grant_type": {"client_credentials"}, "client_id": {jobClient}, "client_secret": {jobSecret}})
	if g.Scope != "status.read" {
		t.Errorf("a machine that asks for nothing is granted %q, want status.read", g.Scope)
	}
	h.wantResource(t, "a machine", 1, g.AccessToken, false)
	h.wantResource(t, "a machine", 2, g.AccessToken, false)
}

// TestStoryEndsWithTheGroup: within a second of leaving the group nothing of
// before opens the resource, and what comes after lacks the scope.
func TestStoryEndsWithTheGroup(t *testing.T) { eachStory(t, storyEndsWithTheGroup) }

func storyEndsWithTheGroup(t *testing.T, h house) {
	alice, bob := newVisitor(t, h.url), newVisitor(t, h.url)
	if a := alice.signIn("alice", demoPassword, "/resource-1/x"); a.status != http.StatusOK {
		t.Fatalf("alice at resource 1 = %d", a.status)
	}
	bob.signIn("bob", demoPassword, "/resource-2/x")
	cookie := alice.session()
	g := h.codeFlow(t, "alice", "openid resource1.read")
	h.wantResource(t, "alice", 1, g.AccessToken, true)

	stdout, stderr, code := command(t, nil, "group", "remove-member", "group-1", "alice", "--config", h.config)
	if code != 0 {
		t.Fatalf("group remove-member exits %d: %s%s", code, stdout, stderr)
	}
	time.Sleep(time.Second)
	if a := ask(t, http.MethodGet, h.url+"/resource-1/x", append([]string{"Cookie", cookie}, fetching...)...); a.status != http.StatusUnauthorized {
		t.Errorf("alice's cookie of before = %d, want 401", a.status)
	}
	if a := ask(t, http.MethodGet, h.url+"/resource-1/x", "Authorization", "Bearer "+g.AccessToken); a.status != http.StatusUnauthorized {
		t.Errorf("alice's token of before = %d, want 401", a.status)
	}
	again := h.askTokens(t, url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {g.RefreshToken}, "client_id": {webClient}, "client_secret": {webSecret},
	})
	if again.Error != "invalid_grant" {
		t.Errorf("alice's refresh token of before is answered %q, scope %q; want invalid_grant", again.Error, again.Scope)
	}
	if a := alice.signIn("alice", demoPassword, "/resource-1/x"); a.status != http.StatusForbidden {
		t.Errorf("alice, signed in anew, at resource 1 = %d, want 403", a.status)
	}
	h.wantResource(t, "alice, with a new token", 1, h.codeFlow(t, "alice", "openid resource1.read").AccessToken, false)
	if a := bob.fetch("/resource-2/x"); a.status != http.StatusOK {
		t.Errorf("bob, whom nothing happened to, at resource 2 = %d, want 200", a.status)
	}
}

// TestStoryExplained: what explain says is what happens.
func TestStoryExplained(t *testing.T) { eachStory(t, storyExplained) }

func storyExplained(t *testing.T, h house) {
	for user, opens := range storyOpens {
		for i, yes := range opens {
			out, stderr, code := command(t, nil, "explain", "--config", h.config, "--as", user, "GET", fmt.Sprintf("/resource-%d/x", i+1))
			if code != 0 || strings.Contains(out, "scope_missing") == yes {
				t.Errorf("explain --as %s GET /resource-%d/x exits %d, want allowed = %t:\n%s%s", user, i+1, code, yes, out, stderr)
			}
		}
	}
}
