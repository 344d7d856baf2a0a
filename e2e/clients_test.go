package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// issuerHouse is a gateway with its provider, over TLS, with the clients of
// config_test.go.
func issuerHouse(t *testing.T) (h house, a authority) {
	t.Helper()
	a = newAuthority(t)
	port, dir := freePort(t), t.TempDir()
	public, issuer := fmt.Sprintf("https://localhost:%d", port), fmt.Sprintf("https://127.0.0.1:%d", port)
	g := startServe(t, dir, public, file{
		public: public, dir: dir, upstream: application(t), tls: &a,
		parts: []string{provider(issuer, usualTTL), "alb: { signer: \"" + albARN + "\" }\n"},
	}.String())
	return house{gateway: g, issuer: issuer, ours: true}, a
}

// tokens gets alice's tokens for the web client.
func (h house) tokens(t *testing.T) (access, id string) {
	t.Helper()
	v := newVisitor(t, h.issuer)
	const verifier = "a-code-verifier-of-at-least-43-characters-00000"
	authorize := h.endpoint(t, "authorization_endpoint") + "?" + url.Values{
		"response_type": {"code"}, "client_id": {webClient}, "redirect_uri": {callbackURI}, "scope": {"openid email profile"},
		"state": {"s-0123456789"}, "nonce": {"n-0123456789"},
		"code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"},
	}.Encode()
	a := v.post(v.fill(v.open(authorize), "alice", demoPassword))
	for range 5 {
		next, err := a.url.Parse(a.header.Get("Location"))
		if err != nil || a.header.Get("Location") == "" {
			t.Fatalf("authorize ends with %d at %s\n%s", a.status, a.url, a.body)
		}
		if strings.HasPrefix(next.String(), callbackURI) {
			return h.exchange(t, next.Query().Get("code"), verifier)
		}
		a = v.step(next.String())
	}
	t.Fatal("authorize never returns to the client")
	return "", ""
}

func (h house) endpoint(t *testing.T, name string) string {
	t.Helper()
	var found map[string]any
	a := ask(t, http.MethodGet, h.issuer+"/.well-known/openid-configuration")
	if err := json.Unmarshal([]byte(a.body), &found); err != nil {
		t.Fatalf("discovery is %d %q: %v", a.status, a.body, err)
	}
	value, _ := found[name].(string)
	if value == "" {
		t.Fatalf("discovery has no %s: %s", name, a.body)
	}
	return value
}

func (h house) exchange(t *testing.T, code, verifier string) (access, id string) {
	t.Helper()
	v := &visitor{t: t, client: plain}
	a := v.do(http.MethodPost, h.endpoint(t, "token_endpoint"), strings.NewReader(url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callbackURI}, "code_verifier": {verifier},
		"client_id": {webClient}, "client_secret": {webSecret},
	}.Encode()), "Content-Type", "application/x-www-form-urlencoded")
	var found struct {
		AccessToken string `json:"access_token"`
		IDToken     string `json:"id_token"`
	}
	if err := json.Unmarshal([]byte(a.body), &found); err != nil || found.AccessToken == "" || found.IDToken == "" {
		t.Fatalf("token endpoint answers %d %s", a.status, a.body)
	}
	return found.AccessToken, found.IDToken
}

func TestCookiesOverTLSAreBoundToTheHost(t *testing.T) {
	h, _ := issuerHouse(t)
	v := newVisitor(t, h.url)
	page := v.open("/")
	for a := v.post(v.fill(page, "bob", demoPassword)); a.header.Get("Location") != ""; {
		for _, c := range (&http.Response{Header: a.header}).Cookies() {
			if !strings.HasPrefix(c.Name, "__Host-gatehouse") || !c.Secure || c.Path != "/" || c.Domain != "" {
				t.Errorf("Set-Cookie %s: Secure %v, Path %q, Domain %q", c.Name, c.Secure, c.Path, c.Domain)
			}
		}
		next, err := a.url.Parse(a.header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		a = v.step(next.String())
	}
	if !strings.HasPrefix(v.session(), "__Host-gatehouse=") {
		t.Errorf("bob's cookies are %q", v.cookies())
	}
}

func TestClientsOfOtherPeople(t *testing.T) {
	node(t) // before anything is started for nothing
	h, a := issuerHouse(t)
	access, id := h.tokens(t)
	common := []string{
		"NODE_EXTRA_CA_CERTS", a.ca, "ISSUER", h.issuer, "PASSWORD", demoPassword,
		"ACCESS_TOKEN", access, "ID_TOKEN", id,
	}
	t.Run("jose", func(t *testing.T) {
		runScript(t, "jose.mjs", append(common, "AUDIENCE", webClient)...)
	})
	t.Run("openid-client", func(t *testing.T) {
		runScript(t, "openid-client.mjs", append(common,
			"REDIRECT_URI", callbackURI, "SIGN_OUT_URI", goodbyeURI, "CLIENT_ID", webClient, "CLIENT_SECRET", webSecret,
			"PUBLIC_CLIENT_ID", publicClient, "JOB_ID", jobClient, "JOB_SECRET", jobSecret)...)
	})
	t.Run("aws-jwt-verify", func(t *testing.T) {
		v := newVisitor(t, h.url)
		v.signIn("alice", demoPassword, "/")
		s := v.fetch("/alb/headers").page(t)
		data, identity := s["X-Amzn-Oidc-Data"], s["X-Amzn-Oidc-Identity"]
		if data == "" || identity == "" || s["X-Amzn-Oidc-Accesstoken"] == "" {
			t.Fatalf("the application is not told the three headers: %v", s)
		}
		runScript(t, "aws-jwt-verify.mjs", append(common, "CLIENT_ID", webClient, "GATEWAY_CLIENT_ID", "gatehouse",
			"ALB_ARN", albARN, "ALB_KEYS", h.url+"/_gatehouse/keys", "OIDC_DATA", data, "OIDC_IDENTITY", identity)...)
	})
	t.Run("demo token and jose", func(t *testing.T) {
		d := sharedDemo(t)
		runScript(t, "jose.mjs", "ISSUER", d.url+"/_gatehouse/idp", "ACCESS_TOKEN", d.token(t, "orders.read"))
	})
}
