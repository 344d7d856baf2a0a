package oidc

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"gatehouse/idp/client"
	"gatehouse/idp/keys"
	"gatehouse/idp/pool"
	"gatehouse/idp/signin"
	"gatehouse/idp/sso"
	"gatehouse/idp/token"
	"gatehouse/internal/audit"
	"gatehouse/internal/httpx"
)

// Pages is what the protocol asks of the hosted pages; ui has them.
type Pages interface {
	// SignInPath returns the path, with query, of the sign-in page of a flow.
	SignInPath(flow string) string
	// RememberFlow gives the browser the secret of a flow it has begun.
	RememberFlow(w http.ResponseWriter, r *http.Request, flow, secret string)
	// ConfirmSignOut asks the person whether to sign out. ticket is what the
	// browser holds as session; fields come back with the answer, which may
	// lead to destination.
	ConfirmSignOut(w http.ResponseWriter, ticket, user, destination string, fields map[string]string) error
	// ConfirmedSignOut reads the answer, or fails when it is not the person's.
	ConfirmedSignOut(w http.ResponseWriter, r *http.Request, ticket string) (httpx.Form, error)
	// SignedOut shows that the browser is signed out.
	SignedOut(w http.ResponseWriter) error
}

// Deps are what the endpoints are made of. Now and Log may be nil.
type Deps struct {
	// Issuer is the issuer URL, without a slash at the end.
	Issuer  *url.URL
	Clients *client.Clients
	Pool    *pool.Pool
	Mint    *token.Mint
	Keys    *keys.Ring
	Machine *signin.Machine
	SSO     *sso.Keeper
	Journal audit.Journal
	// SignedIn is told of every sign-in, in its transaction; nil tells nobody.
	SignedIn func(ctx context.Context, userID string) error
	Pages    Pages
	// NewSecret returns a browser's secret for a new flow.
	NewSecret func() string
	// ClientIP returns the address of the browser; the zero Addr if unknown.
	ClientIP func(*http.Request) netip.Addr
	// Shared tells that applications live on the issuer's origin.
	Shared bool
	Now    func() time.Time
	Log    *slog.Logger
}

// Handler answers the protocol endpoints. Its methods are safe for concurrent
// use; where each one is mounted is idp's business, besides what discovery says.
type Handler struct {
	Deps
	issuer string
	base   string
}

// New returns the endpoints of an issuer.
func New(d Deps) *Handler {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Handler{Deps: d, issuer: d.Issuer.String(), base: d.Issuer.Path}
}

// The paths of the endpoints, below the issuer's (Cognito's where it has them).
const (
	PathDiscovery  = "/.well-known/openid-configuration"
	PathJWKS       = "/.well-known/jwks.json"
	PathAuthorize  = "/oauth2/authorize"
	PathToken      = "/oauth2/token"
	PathUserInfo   = "/oauth2/userInfo"
	PathRevoke     = "/oauth2/revoke"
	PathIntrospect = "/oauth2/introspect"
	PathLogout     = "/logout"
)

// noStore marks an answer that holds or depends on a credential.
func noStore(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
}
