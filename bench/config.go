package main

import (
	"fmt"
	"strings"
)

// values is what a configuration is made of.
type values struct {
	setup
	knows          features
	dir            string
	port, metrics  int
	public, issuer string
	app, tools     string
	login          string // URL of bench's issuer
	cert           string // path of certificate and key, with tls
}

// config is a gateway's configuration.
func (v values) config() string {
	text := commonConfig + v.upstreams() + "routes:\n" + commonRoutes + v.moreRoutes() + lastRoute
	if v.idp {
		text += providerConfig
		if v.users {
			text += usersConfig
		}
		if v.postgres != "" {
			text += fmt.Sprintf("  store: { postgres: %q }\n", v.postgres)
		}
	} else {
		text += foreignConfig
	}
	if v.tls {
		text += "tls: { cert: CERT, key: CERT }\n"
	}
	if v.forget {
		text += "principals: { max: 0 }\n"
	}
	text += v.telemetry()
	return strings.NewReplacer(
		"PUBLIC", v.public, "PORT", fmt.Sprint(v.port), "DIR", v.dir, "APP", v.app, "TOOLS", v.tools, "LOGIN", v.login,
		"ISSUER", v.issuer, "PERSON_PASSWORD", personPassword, "PERSON", person, "MACHINE_SECRET", machineSecret,
		"MACHINE", machine, "CERT", v.cert, "TOKEN_ISS", tokenIssuer, "TOKEN_AUD", tokenAudience,
		"USERS_ID", usersClient, "USERS_SECRET", usersSecret, "USERS_BACK", usersBack, "OUR_ID", loginClient, "OUR_SECRET", loginSecret, "ASSERTED", assertedHeaders,
	).Replace(text)
}

func (v values) upstreams() string {
	more := ""
	if v.h1 {
		more = ", transport: h1"
	}
	return "upstreams:\n  app: { url: \"APP\"" + more + " }\n  tools: { url: \"TOOLS\"" + more + " }\n"
}

// telemetry turns everything on or everything off. What is on by default is
// left to itself.
func (v values) telemetry() string {
	if !v.quiet {
		return fmt.Sprintf("telemetry: { listen: \"127.0.0.1:%d\" }\n", v.metrics)
	}
	if v.knows.accessLog {
		return "telemetry: { access_log: \"off\" }\n"
	}
	return ""
}

// moreRoutes have a path and a rule each.
func (v values) moreRoutes() string {
	var text strings.Builder
	for n := range v.routes {
		fmt.Fprintf(&text, "  - { name: route-%d, match: { path: %s/** }, allow: { scopes: [orders.read] }, upstream: app }\n", n, numbered(n))
	}
	return text.String()
}

// numbered is the path of one of the routes that setup.routes counts.
func numbered(n int) string { return fmt.Sprintf("/route/%d", n) }

const commonConfig = `public_url: PUBLIC
listen: 127.0.0.1:PORT
data_dir: DIR/data
secrets_dir: DIR/secrets
`

const commonRoutes = `  - { name: open, match: { path: /public/** }, allow: anyone, upstream: app }
  - { name: api, match: { path: /api/**, methods: [GET] }, allow: { scopes: [orders.read] }, on_unauthenticated: deny, upstream: app }
  - { name: alb-api, match: { path: /alb/api/** }, allow: { scopes: [orders.read] }, on_unauthenticated: deny, identity_headers: ASSERTED, upstream: app }
  - { name: alb, match: { path: /alb/** }, allow: signed-in, identity_headers: ASSERTED, upstream: app }
  - { name: tools, match: { path: /tools/** }, allow: { scopes: [orders.read] }, on_unauthenticated: deny, upstream: tools }
`

// assertedHeaders are the default headers and a signed assertion on top. The preset
// alb would pass on the access token too, which makes every session's cookie larger.
const assertedHeaders = `{ X-Forwarded-User: username, X-Forwarded-Email: email, X-Forwarded-Groups: groups, X-Amzn-Oidc-Data: assertion }`

const lastRoute = `  - { name: the-rest, match: { path: /** }, allow: signed-in, upstream: app }
`

const providerConfig = `idp:
  issuer: ISSUER
  bootstrap:
    users:
      - { username: PERSON, email: PERSON@example.com, email_verified: true, password: PERSON_PASSWORD }
    resource_servers:
      - { id: orders, name: Orders, scopes: [{ name: orders.read, description: Read orders }] }
    clients:
      - { id: MACHINE, secret: MACHINE_SECRET, grants: [client_credentials], scopes: [orders.read] }
`

// usersConfig goes on in the section clients of providerConfig.
const usersConfig = `      - { id: USERS_ID, secret: USERS_SECRET, grants: [authorization_code, refresh_token], redirect_uris: ["USERS_BACK"], scopes: [openid] }
  signin: { address_tries: 1000000, address_starts: 1000000 }
`

const foreignConfig = `login:
  providers:
    bench: { issuer: "LOGIN", client_id: OUR_ID, client_secret: OUR_SECRET, groups_claim: groups, username_claim: preferred_username }
bearer:
  issuers:
    - { issuer: "TOKEN_ISS", jwks_url: "LOGIN/keys", audiences: [TOKEN_AUD], scope_claim: scope }
`
