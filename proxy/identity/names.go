package identity

// Names of headers, folded as fold does it. A request may carry none of them
// past the gateway; what the gateway has to say under one of them it sets
// itself. The lists are closed over the dialects of the gateways that
// applications are known to trust, not over what one configuration uses: an
// application keeps trusting a header after its gateway was replaced.

// families are prefixes; each ends at a dash.
var families = []string{
	// Where a request came from and what it was before.
	"x-forwarded-", "x-original-", "x-rewrite-", "x-envoy-", "x-client-", "x-cluster-client-",
	"x-azure-", "x-appengine-", "x-arr-", "x-real-", "x-proxy-", "proxy-", "cf-", "x-middleware-",
	// How the gateway's own headers begin.
	"x-gatehouse-",
	// oauth2-proxy, Authelia, authentik, Gatekeeper and what they have in common.
	"x-auth-", "gap-", "remote-", "x-remote-", "x-authentik-", "x-authelia-", "x-webauth-",
	"x-authenticated-", "x-vouch-", "x-pomerium-", "x-oidc-", "oidc-", "x-jwt-",
	// Clouds: load balancer, identity-aware proxies, app services, tunnels.
	"x-amzn-oidc-", "x-goog-iap-", "x-goog-authenticated-", "x-ms-client-", "x-ms-token-",
	"x-endpoint-api-", "x-apigateway-api-", "tailscale-", "fly-",
	// API gateways, meshes, older single sign-on.
	"x-consumer-", "x-credential-", "kubeflow-", "shib-", "iv-", "oam-", "x-spiffe-",
	// Client certificates that somebody else checked.
	"ssl-client-", "x-ssl-", "client-cert-", "x-tls-",
	// Switches that servers obey without asking who set them.
	"x-accel-", "x-sendfile-",
}

// exact are whole names.
var exact = []string{
	"forwarded", "x-forwarded", "x-real-ip", "true-client-ip", "client-ip", "fastly-client-ip",
	"x-originating-ip", "x-remote-ip", "x-remote-addr", "x-host", "x-scheme", "x-url-scheme",
	"front-end-https", "x-http-method-override", "x-http-method", "x-method-override", "proxy",
	"x-scope-orgid", "x-userinfo", "x-id-token", "sm-user", "sm-userdn", "sm-universalid", "smuser",
	"eppn", "client-cert", "x-ssl", "x-client", "x-auth", "auth-user", "x-user-authenticated",
	"http-x-forwarded-for", "x-anonymous-consumer", "x-forward-auth", "x-grpc-user",
}

// framing are names that are right with dashes and an attack in any other
// spelling: a CGI-like server takes Content_Length for Content-Length.
var framing = []string{
	"content-length", "content-type", "content-encoding", "transfer-encoding", "keep-alive",
	"if-match", "if-none-match", "x-request-id", "sec-websocket-key", "http2-settings",
}

// reserved are names that no map of the configuration may set, because they
// frame the request, carry credentials, or are rebuilt from what is known of
// the connection.
var reserved = []string{
	"host", "authorization", "cookie", "set-cookie", "connection", "te", "trailer", "upgrade", "expect",
	"range", "date", "via", "origin", "referer", "accept", "accept-encoding", "user-agent",
	"content-length", "content-type", "content-encoding", "transfer-encoding", "keep-alive",
	"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port",
	"x-forwarded-prefix", "x-forwarded-uri", "x-forwarded-method", "x-forwarded-server",
	"x-forwarded-scheme", "x-forwarded-ssl", "x-real-ip", "x-http-method-override", "x-http-method",
	"x-method-override", "x-request-id", "proxy", "proxy-authorization", "proxy-connection",
}
