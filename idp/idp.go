package idp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/idp/admin"
	"gatehouse/idp/client"
	"gatehouse/idp/notify"
	"gatehouse/idp/oidc"
	"gatehouse/idp/password/breach"
	"gatehouse/idp/signin"
	"gatehouse/idp/sso"
	"gatehouse/idp/store"
	"gatehouse/idp/ui"
	"gatehouse/internal/httpx"
	"gatehouse/internal/keyring"
)

// formKeyPurpose derives the key of form tokens; no other key comes from it.
const formKeyPurpose = "form token"

// Deps are what a provider is made of besides its configuration.
type Deps struct {
	// DB is the open store; the provider does not close it. Mandatory.
	DB *store.DB
	// Sealer seals what stands in the store. Mandatory.
	Sealer *keyring.Sealer
	// ClientIP returns the address of the browser, as far as it is known; the
	// zero Addr for a request that does not come from one. Nil reads
	// RemoteAddr, which is right only without a proxy in front.
	ClientIP func(*http.Request) netip.Addr
	// Demo shows on every page that it is a demo.
	Demo bool
	// Listed looks up passwords in lists of stolen ones; nil looks up none.
	Listed *breach.Checker
	// Mailbox keeps messages instead of sending them, with Demo only; nil sends
	// them as configured.
	Mailbox *notify.Mailbox
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Log gets what the operator must know; nil discards it.
	Log *slog.Logger
}

// Provider is the embedded OpenID Connect provider. It is safe for concurrent
// use.
type Provider struct {
	Domain
	cfg    Config
	deps   Deps
	base   string
	pages  *ui.Pages
	routes map[string]route
	// admin is nil where nobody administers by HTTP.
	admin   *admin.Handler
	machine *signin.Machine
}

// writes tells which attributes people may write of themselves through a client.
// The gateway's own client is the provider's: what its pages take, it may write.
func (p *Provider) writes(ctx context.Context, id string) (func(attribute string) bool, error) {
	all := func(string) bool { return true }
	if id == "" {
		return all, nil
	}
	c, err := p.Clients.Find(ctx, id)
	switch {
	case errors.Is(err, client.ErrNotFound):
		return func(string) bool { return false }, nil
	case err != nil:
		return nil, err
	case c.Managed:
		return all, nil
	}
	return c.Writes, nil
}

// route is what one path answers, by method.
type route map[string]http.Handler

// New puts a provider together; it starts nothing and writes nothing. cfg has
// passed its Check.
func New(cfg Config, d Deps) (*Provider, error) {
	if cfg.Issuer == nil || d.DB == nil || d.Sealer == nil {
		return nil, errors.New("new provider: issuer, store and sealer are mandatory")
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.ClientIP == nil {
		d.ClientIP = remoteAddr
	}
	domain, err := NewDomain(&cfg, d)
	if err != nil {
		return nil, fmt.Errorf("new provider: %w", err)
	}
	p := &Provider{Domain: domain, cfg: cfg, deps: d, base: cfg.Issuer.Path}
	machine := signin.New(cfg.SignIn, signin.Parts{
		Flows: d.DB.Flows(), Guard: p.guard, Pool: p.Pool, Factors: p.Factors, Journal: d.DB,
		Notices: notices(p.Outbox, d.Now), Stolen: stolen(d), TemporaryTTL: cfg.Password.TemporaryTTL, Sealer: d.Sealer, Now: d.Now, Log: d.Log,
	})
	p.machine = machine
	keeper := sso.New(cfg.SSO, cfg.Issuer, d.DB.Sessions(), d.Now)
	var endpoints *oidc.Handler
	p.pages = ui.New(ui.Deps{
		Issuer: cfg.Issuer, Machine: machine, SSO: keeper, Pool: p.Pool, Factors: p.Factors, DeviceLifetime: cfg.MFA.Devices.Lifetime,
		BeginSession: func(w http.ResponseWriter, r *http.Request, done signin.Done) error {
			return endpoints.BeginSession(w, r, done)
		},
		Writes: p.writes, Accounts: p.Accounts, EndSession: p.Mint.EndSession, SignUp: p.Accounts.SignUpOpen(), Recovery: p.Accounts.RecoveryOpen(),
		FormKey: d.Sealer.Derive(formKeyPurpose, 32), HeldKeys: func() [][]byte { return d.Sealer.DeriveAll(formKeyPurpose, 32) },
		FlowLifetime: cfg.SignIn.Lifetime, ClientIP: d.ClientIP, Demo: d.Demo, Letters: letters(d.Mailbox), Shared: cfg.Shared(), Now: d.Now,
	})
	endpoints = oidc.New(oidc.Deps{
		Issuer: cfg.Issuer, Clients: p.Clients, Pool: p.Pool, Mint: p.Mint, Keys: p.Keys,
		Machine: machine, SSO: keeper, Journal: d.DB, Pages: p.pages, SignedIn: p.Accounts.SignedIn,
		NewSecret: ui.NewBrowserSecret, ClientIP: d.ClientIP, Shared: cfg.Shared(), Now: d.Now, Log: d.Log,
	})
	p.routes = p.table(endpoints)
	if cfg.Admin != nil {
		p.admin = admin.New(admin.Parts{
			Config: *cfg.Admin, Mint: p.Mint, Pool: p.Pool, Clients: p.Clients, Factors: p.Factors, Accounts: p.Accounts,
			Sessions: p.Sessions, Events: d.DB, ClientIP: d.ClientIP, Log: d.Log,
		})
	}
	return p, nil
}

// Issuer returns the issuer URL; the caller must not change it.
func (p *Provider) Issuer() *url.URL { return p.cfg.Issuer }

// SignIns returns how often each outcome of sign-ins came: "signed_in", and the
// reasons of refused answers.
func (p *Provider) SignIns() map[string]uint64 { return p.machine.Figures() }

// table is the map of the provider's paths, below the issuer's.
func (p *Provider) table(e *oidc.Handler) map[string]route {
	page := func(h func(http.ResponseWriter, *http.Request) error) http.Handler {
		return httpx.HandleWith(p.deps.Log, p.pages.Error, h)
	}
	api := func(h func(http.ResponseWriter, *http.Request) error) http.Handler {
		return e.CORS(httpx.Handle(p.deps.Log, h))
	}
	open := func(h func(http.ResponseWriter, *http.Request) error) route {
		handler := e.OpenCORS(httpx.Handle(p.deps.Log, h))
		return route{"GET": handler, "HEAD": handler, "OPTIONS": handler}
	}
	posted := func(h func(http.ResponseWriter, *http.Request) error) route {
		return route{"POST": api(h), "OPTIONS": api(h)}
	}
	routes := map[string]route{
		oidc.PathDiscovery:  open(e.Discovery),
		oidc.PathJWKS:       open(e.JWKS),
		oidc.PathAuthorize:  {"GET": page(e.Authorize), "POST": page(e.Authorize)},
		oidc.PathToken:      posted(e.Token),
		oidc.PathUserInfo:   {"GET": api(e.UserInfo), "POST": api(e.UserInfo), "OPTIONS": api(e.UserInfo)},
		oidc.PathRevoke:     posted(e.Revoke),
		oidc.PathIntrospect: {"POST": httpx.Handle(p.deps.Log, e.Introspect)},
		oidc.PathLogout:     {"GET": page(e.Logout), "POST": page(e.Logout)},
		"/logout/confirm":   {"POST": page(e.LogoutConfirmed)},
		"/login":            {"GET": page(p.pages.SignIn), "HEAD": page(p.pages.SignIn), "POST": page(p.pages.Answer(e.Finish, e.Unmet))},
		ui.PathSecurity: {
			"GET": page(p.pages.Security), "HEAD": page(p.pages.Security), "POST": page(p.pages.ChangeSecurity),
		},
		ui.PathPasskeyScript: {"GET": page(p.pages.PasskeyScript), "HEAD": page(p.pages.PasskeyScript)},
	}
	p.accountTable(routes, page)
	if p.deps.Demo {
		routes[ui.PathDemoMail] = route{"GET": page(p.pages.DemoMail), "HEAD": page(p.pages.DemoMail)}
	}
	return routes
}

// ServeHTTP answers a request whose scheme and host are the issuer's, which the
// caller has checked, with its path as the client sent it. Paths are compared
// as bytes: there is one spelling of each, no redirect leads to it, and all
// else is 404.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if httpx.RequestID(r.Context()) == "" {
		r = r.WithContext(httpx.WithRequestID(r.Context(), httpx.NewRequestID()))
	}
	if p.cfg.Issuer.Scheme == "https" {
		w = &secured{ResponseWriter: w}
	}
	p.find(r).ServeHTTP(w, r)
}

// secured keeps browsers from asking for anything of ours in clear (RFC 6797).
// The header is set when the answer begins: an error discards those set before.
type secured struct {
	http.ResponseWriter
	begun bool
}

func (s *secured) WriteHeader(status int) {
	if !s.begun {
		s.begun = true
		s.Header().Set("Strict-Transport-Security", "max-age=31536000")
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *secured) Write(b []byte) (int, error) {
	if !s.begun {
		s.WriteHeader(http.StatusOK)
	}
	return s.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (s *secured) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (p *Provider) find(r *http.Request) http.Handler {
	refuse := func(e *httpx.Error) http.Handler {
		return httpx.HandleWith(p.deps.Log, p.pages.Error, func(http.ResponseWriter, *http.Request) error { return e })
	}
	// No page of ours registers a worker, so whoever asks for its script is an
	// application on our origin that wants to sit between us and the browser.
	if r.Header.Get("Service-Worker") != "" || r.Header.Get("Sec-Fetch-Dest") == "serviceworker" {
		return refuse(&httpx.Error{Status: http.StatusForbidden, Public: "there is no service worker here"})
	}
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), p.base)
	if ok && p.admin != nil && strings.HasPrefix(rest, admin.Prefix+"/") {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.admin.ServeHTTP(w, r, rest) })
	}
	found, known := p.routes[rest]
	if !ok || !known {
		return refuse(&httpx.Error{Status: http.StatusNotFound, Public: "the provider has no such page"})
	}
	if h := found[r.Method]; h != nil {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var allow []string
		for method := range found {
			allow = append(allow, method)
		}
		slices.Sort(allow)
		w.Header().Set("Allow", strings.Join(allow, ", "))
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusMethodNotAllowed)
	})
}

// remoteAddr is the address of the other end of the connection.
func remoteAddr(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}
