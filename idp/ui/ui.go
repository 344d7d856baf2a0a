package ui

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"gatehouse/idp/account"
	"gatehouse/idp/mfa"
	"gatehouse/idp/pool"
	"gatehouse/idp/signin"
	"gatehouse/idp/sso"
)

// Deps are what the pages are made of. Now may be nil.
type Deps struct {
	// Issuer decides where the pages are, and from which origin their forms
	// may come.
	Issuer  *url.URL
	Machine *signin.Machine
	// SSO and Pool tell who has signed in from a browser.
	SSO  *sso.Keeper
	Pool *pool.Pool
	// Factors are people's second factors; DeviceLifetime is how long a browser
	// keeps what it is remembered by.
	Factors        *mfa.Factors
	DeviceLifetime time.Duration
	// BeginSession ends the flow of a complete sign-in and begins the browser's
	// session; oidc.Handler has it.
	BeginSession func(http.ResponseWriter, *http.Request, signin.Done) error
	// Writes tells which attributes a person may write through a client, "" being
	// our own pages.
	Writes func(ctx context.Context, client string) (func(attribute string) bool, error)
	// Accounts are the ways in and out of an account.
	Accounts *account.Accounts
	// EndSession ends one session of a person at the provider, and what was
	// issued in it; token.Mint has it.
	EndSession func(ctx context.Context, sessionID, userID string) error
	// FormKey is the key of form tokens: 32 bytes, used for nothing else. HeldKeys
	// returns those that may have made the token of a page that is open: of before
	// the sealing key was rotated, and of processes that were started after that.
	FormKey  []byte
	HeldKeys func() [][]byte
	// FlowLifetime is how long a sign-in page may be answered.
	FlowLifetime time.Duration
	// ClientIP returns the address of the browser, as far as it is known; the
	// zero Addr if it is not.
	ClientIP func(*http.Request) netip.Addr
	// SignUp and Recovery tell that the sign-in page leads to /signup and
	// /forgot.
	SignUp, Recovery bool
	// Demo shows a line on every page that says so.
	Demo bool
	// Letters returns the messages that a demo has sent nobody, newest first; nil
	// for none.
	Letters func() []Letter
	// Shared tells that applications live on the issuer's origin.
	Shared bool
	Now    func() time.Time
}

// Pages shows the hosted pages. It is safe for concurrent use.
type Pages struct {
	deps   Deps
	cookie sso.Cookie
	device sso.Cookie
	origin string
	base   string
}

// New returns the pages of an issuer.
func New(d Deps) *Pages {
	if d.Now == nil {
		d.Now = time.Now
	}
	return &Pages{
		deps: d, cookie: sso.NewCookie(d.Issuer), device: sso.NewDeviceCookie(d.Issuer), origin: d.Issuer.Scheme + "://" + d.Issuer.Host,
		base: strings.TrimSuffix(d.Issuer.Path, "/"),
	}
}

// pathSignIn is where people sign in, below the issuer's path.
const pathSignIn = "/login"

// SignInPath returns where the sign-in page of a flow is: a path with query.
func (p *Pages) SignInPath(flow string) string {
	return p.link(true, pathSignIn, flow)
}
