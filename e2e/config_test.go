package e2e

import (
	"cmp"
	"fmt"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	demoapp "gatehouse/cmd/gatehouse/demo"
)

// Every configuration file of these tests is made here.

// Clients of the standalone provider.
const (
	webClient    = "web"
	webSecret    = "web-secret-0123456789-0123456789"
	publicClient = "spa"
	jobClient    = "orders-job"
	jobSecret    = "job-secret-0123456789-0123456789"
	cliClient    = "cli"
	cliSecret    = "cli-secret-0123456789-0123456789"
	remoteClient = "remote-gateway"
	remoteSecret = "remote-secret-0123456789-0123456789"
	callbackURI  = "http://127.0.0.1:9/callback"
	goodbyeURI   = "http://127.0.0.1:9/goodbye"
	albARN       = "arn:aws:elasticloadbalancing:xx-gatehouse-1:000000000000:loadbalancer/app/gatehouse/0123456789abcdef"
)

// usualTTL is how long the gateway's access tokens live unless told otherwise.
const usualTTL = 10 * time.Minute

// application serves the demo application to gateways of this test.
func application(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(demoapp.App())
	t.Cleanup(s.Close)
	return s.URL
}

// file is one configuration file in the making.
type file struct {
	public   string // public_url
	dir      string // of data and secrets
	upstream string
	tls      *authority
	routes   string   // the block of routes; "" for the usual ones
	parts    []string // top-level blocks
}

func (f file) String() string {
	u, err := url.Parse(f.public)
	if err != nil {
		panic(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "public_url: %s\nlisten: 127.0.0.1:%s\n", f.public, u.Port())
	fmt.Fprintf(&b, "data_dir: %s\nsecrets_dir: %s\n", filepath.Join(f.dir, "data"), filepath.Join(f.dir, "secrets"))
	if f.tls != nil {
		fmt.Fprintf(&b, "tls: { cert: %s, key: %s }\n", f.tls.cert, f.tls.key)
	}
	fmt.Fprintf(&b, "upstreams:\n  app: %s\n", f.upstream)
	b.WriteString(cmp.Or(f.routes, routes))
	for _, part := range f.parts {
		b.WriteString(part)
	}
	return b.String()
}

const routes = `routes:
  - name: open
    match: { path: [/healthz, /public/**] }
    allow: anyone
  - name: admin
    match: { path: /admin/** }
    allow: { groups: [admins] }
  - name: orders-api
    match: { path: /api/orders/**, methods: [GET] }
    allow: { scopes: [orders.read] }
    on_unauthenticated: deny
  - name: alb
    match: { path: /alb/** }
    allow: signed-in
    identity_headers: alb
  - name: the-rest
    match: { path: /** }
    allow: signed-in
`

// provider is the block of an embedded provider with people and clients. The
// redirects, one to sign in and one to sign out, are those of a gateway in
// another process.
func provider(issuer string, gatewayTTL time.Duration, redirects ...string) string {
	remote, ttl := "", ""
	if gatewayTTL != usualTTL {
		ttl = fmt.Sprintf("\n  gateway_token_ttl: %s", gatewayTTL)
	}
	if len(redirects) > 0 {
		remote = fmt.Sprintf(`
      - id: %s
        secret: %s
        grants: [authorization_code, refresh_token]
        redirect_uris: [%q]
        sign_out_uris: [%q]
        scopes: [openid, email, profile]
`, remoteClient, remoteSecret, redirects[0], redirects[1])
	}
	return fmt.Sprintf(`idp:
  issuer: %s%s
  mfa: { groups: [] }
  bootstrap:
    groups:
      - { name: admins, precedence: 1 }
      - { name: staff, precedence: 2 }
    users:
      - { username: alice, email: alice@example.com, email_verified: true, password: %[3]s, groups: [admins] }
      - { username: bob, email: bob@example.com, email_verified: true, password: %[3]s, groups: [staff] }
    resource_servers:
      - id: orders
        name: Orders
        scopes:
          - { name: orders.read, description: Read orders }
          - { name: orders.write, description: Change orders }
    clients:
      - id: %[4]s
        secret: %[5]s
        grants: [authorization_code, refresh_token]
        redirect_uris: [%[6]q]
        sign_out_uris: [%[7]q]
        scopes: [openid, email, profile]
      - id: %[8]s
        public: true
        grants: [authorization_code, refresh_token]
        redirect_uris: [%[6]q]
        sign_out_uris: [%[7]q]
        scopes: [openid, email, profile]
      - id: %[9]s
        secret: %[10]s
        grants: [client_credentials]
        scopes: [orders.read, orders.write]
%[11]s`, issuer, ttl, demoPassword, webClient, webSecret, callbackURI, goodbyeURI,
		publicClient, jobClient, jobSecret, remote)
}

// relyOn is the block of a gateway that sends people to another issuer.
func relyOn(issuer, id, secret, groups, username string, scopes ...string) string {
	return fmt.Sprintf(`login:
  providers:
    other:
      issuer: %s
      client_id: %s
      client_secret: %s
      scopes: [%s]
      groups_claim: "%s"
      username_claim: "%s"
`, issuer, id, secret, strings.Join(scopes, ", "), groups, username)
}

// standalone is a gateway with its provider, both at url; it is only read.
func standalone(url, dir string) string {
	return file{
		public: url, dir: dir, upstream: "http://127.0.0.1:9",
		parts: []string{provider(strings.Replace(url, "127.0.0.1", "localhost", 1), usualTTL)},
	}.String()
}

// Two resources that take one scope each, and the rest.
const storyRoutes = `routes:
  - name: resource-1
    match: { path: /resource-1/** }
    allow: { scopes: [resource1.read] }
  - name: resource-2
    match: { path: /resource-2/** }
    allow: { scopes: [resource2.read] }
  - name: the-rest
    match: { path: /** }
    allow: signed-in
`

// storyProvider is the block of a provider with two groups and their scopes.
func storyProvider(issuer string) string {
	return fmt.Sprintf(`login:
  scopes: [resource1.read, resource2.read]
idp:
  issuer: %s
  bootstrap:
    groups: [{ name: group-1 }, { name: group-2 }]
    users:
      - { username: alice, password: %[2]s, groups: [group-1] }
      - { username: bob, password: %[2]s, groups: [group-2] }
      - { username: carol, password: %[2]s, groups: [group-1, group-2] }
      - { username: dave, password: %[2]s }
    resource_servers:
      - { id: resource-1, scopes: [{ name: resource1.read, groups: [group-1] }] }
      - { id: resource-2, scopes: [{ name: resource2.read, groups: [group-2] }] }
      - { id: status, scopes: [{ name: status.read }] }
    clients:
      - id: %[3]s
        secret: %[4]s
        grants: [authorization_code, refresh_token]
        redirect_uris: [%[5]q]
        scopes: [openid, resource1.read, resource2.read]
      - id: %[6]s
        secret: %[7]s
        grants: [client_credentials]
        scopes: [status.read, resource1.read, resource2.read]
`, issuer, demoPassword, webClient, webSecret, callbackURI, jobClient, jobSecret)
}

// stepUpRoutes ask how long ago, or how strongly, a person has signed in.
const stepUpRoutes = `routes:
  - name: fresh
    match: { path: /fresh/** }
    allow: signed-in
    require: { signed_in_within: 4s }
  - name: strong
    match: { path: /strong/** }
    allow: signed-in
    require: { mfa: true }
  - name: classed
    match: { path: /classed/** }
    allow: signed-in
    require: { acr: ["urn:gold", "urn:silver"] }
  - name: admin
    match: { path: /admin/** }
    allow: { groups: [admins] }
    require: { mfa: true }
  - name: the-rest
    match: { path: /** }
    allow: signed-in
`
