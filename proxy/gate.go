package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"gatehouse/internal/page"
	"gatehouse/policy"
	"gatehouse/proxy/canon"
	"gatehouse/proxy/identity"
	"gatehouse/proxy/route"
	"gatehouse/proxy/upstream"
	"gatehouse/session"
)

// TokenVerifier tells whose access token it is. session/bearer is one.
type TokenVerifier interface {
	// Verify returns the identity a bearer token proves, or an error. It never
	// returns both nil.
	Verify(ctx context.Context, token string) (*session.Identity, error)
}

// Decider tells whether an identity may. policy.Policy is one.
type Decider interface {
	// Decide never fails: what cannot be decided is denied.
	Decide(ctx context.Context, q policy.Query) policy.Decision
	// Public tells whether the route allows anyone, without asking who.
	Public(route int) bool
}

// ErrIssuerDown is what a SignIn returns while the issuer cannot be reached.
var ErrIssuerDown = errors.New("the issuer cannot be reached")

// ErrSessionEnded is what a SignIn returns for a session that its issuer no
// longer renews.
var ErrSessionEnded = errors.New("the session has ended")

// SignIn sends people to an issuer and takes them back. session/login is
// behind it; proxy does not know OAuth.
type SignIn interface {
	// Begin starts an attempt to sign in. It returns ErrIssuerDown while that
	// cannot work.
	Begin(ctx context.Context, site session.Site, r *http.Request, a Attempt) (location string, cookies []*http.Cookie, err error)
	// Callback takes the answer of the issuer. A *CallbackError says what to
	// tell the person.
	Callback(ctx context.Context, site session.Site, r *http.Request) (location string, cookies []*http.Cookie, err error)
	// Renew returns the session with a fresh access token when one is due, or
	// s itself. The work goes on when ctx ends, for others wait for it too.
	Renew(ctx context.Context, site session.Site, s *session.Session) (*session.Session, error)
	// SignOut revokes s durably and tells where the browser goes next.
	SignOut(ctx context.Context, site session.Site, s *session.Session) (SignedOut, error)
}

// Attempt is what a sign-in shall lead to.
type Attempt struct {
	// ReturnTo is where it ends: a path with query on the site.
	ReturnTo string
	// Require is asked of the issuer; nil for nothing.
	Require *policy.Require
	// Identity is the person who steps up: only they may come back, and with
	// what Require asks for; nil for a first sign-in.
	Identity *session.Identity
}

// Decided is one decision of the policy about a request.
type Decided struct {
	// RequestID names the request in logs and on error pages.
	RequestID string
	// Request is the canonical request.
	Request canon.Request
	// Query is what policy was asked; Decision what it said.
	Query    policy.Query
	Decision policy.Decision
	// Route is the route's name.
	Route string
}

// Recorder is told of each decision of the policy, for logs of decisions and
// for a shadow policy. Routes that are open to all are not decided about.
type Recorder interface {
	// Record takes d. It must not block for long and must not change d.
	Record(d Decided)
}

// SignedOut says how signing out goes on at the issuer.
type SignedOut struct {
	// Location is where the browser goes next, by GET; "" for nowhere.
	Location string
	// Form holds the fields to POST to Location instead of a GET; nil for a GET.
	Form map[string]string
}

// Revocations tells what has been revoked. session.Feed is one.
type Revocations interface {
	// Revoked looks the identity up in memory.
	Revoked(id *session.Identity) bool
	// Fresh is false when revocations can no longer be known.
	Fresh(now time.Time) bool
	// Changed is closed at the next change.
	Changed() <-chan struct{}
}

// Parts are what a Gate is made of besides its configuration.
type Parts struct {
	Sites       []session.Site
	Cookies     *session.Cookies
	Tokens      TokenVerifier
	SignIn      SignIn
	Policy      Decider
	Revocations Revocations
	// Recorder is told of decisions; nil for nobody.
	Recorder Recorder
	// Mounts are the handlers that own a host or a prefix of it: the issuer.
	Mounts []Mount
	// SharedOrigin says that an issuer lives on the origin of an upstream, so
	// that upstream's answers may not install a service worker there.
	SharedOrigin bool
	Upstreams    map[string]*upstream.Upstream
	// Headers are the compiled identity headers of each route, by index.
	Headers []*identity.Plan
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Gate decides about requests. It is immutable and safe for concurrent use.
type Gate struct {
	parts   Parts
	sites   map[string]*session.Site
	table   *route.Table
	routes  []compiled
	strip   *identity.Stripper
	trusted []netip.Prefix
	now     func() time.Time
}

type compiled struct {
	*Route
	upstream *upstream.Upstream
	headers  *identity.Plan
	odd      canon.Oddity
	public   bool // allow: anyone, and nobody asks who
	session  bool // takes session cookies
	bearer   bool // takes bearer tokens
}

// NewGate compiles cfg; it has no effects. cfg has passed its own checks.
func NewGate(cfg *Config, p Parts) (*Gate, error) {
	g := &Gate{parts: p, sites: map[string]*session.Site{}, strip: identity.NewStripper(p.Headers...), trusted: cfg.TrustedProxies, now: p.Now}
	if g.now == nil {
		g.now = time.Now
	}
	for i := range p.Sites {
		g.sites[p.Sites[i].Host] = &p.Sites[i]
	}
	matches := make([]route.Match, len(cfg.Routes))
	for i, rt := range cfg.Routes {
		matches[i] = rt.Match
		odd, err := canon.ParseOddities(rt.Odd)
		if err != nil {
			return nil, fmt.Errorf("route %q: %w", rt.Name, err)
		}
		g.routes = append(g.routes, compiled{
			Route: rt, upstream: p.Upstreams[rt.Upstream], headers: p.Headers[i], odd: odd,
			public:  p.Policy.Public(i) && rt.OnUnauthenticated != Allow,
			session: rt.takes("session"), bearer: rt.takes("bearer"),
		})
	}
	hosts := make([]string, len(p.Sites))
	for i, s := range p.Sites {
		hosts[i] = s.Host
	}
	table, err := route.Compile(matches, hosts[0], hosts)
	if err != nil {
		return nil, err
	}
	g.table = table
	return g, nil
}

// Check decides what is to be done with r. It writes nothing; the one I/O it
// may cause is the renewal of a session that is due.
func (g *Gate) Check(r *http.Request) Verdict {
	v, ok := g.locate(r)
	if !ok {
		return v
	}
	return g.decide(r, v)
}

// locate finds the canonical request and the public URL it asks for. When ok
// is false the verdict is final.
func (g *Gate) locate(r *http.Request) (v Verdict, ok bool) {
	v.Route = -1
	client, badClient := identity.ClientOf(r, g.trusted)
	v.Client = client
	req, err := canon.Parse(r)
	if v.Request = req; err != nil {
		return v.reject(r, err), false
	}
	if badClient != nil {
		return v.refuse(http.StatusBadRequest, ReasonForwarded), false
	}
	for i := range g.parts.Mounts {
		if m := &g.parts.Mounts[i]; m.owns(req) {
			if req.Odd != 0 {
				return v.refuse(http.StatusBadRequest, ReasonPathRejected), false
			}
			v.mount = m
			return v, true
		}
	}
	v.Site = g.sites[req.Host]
	if v.Site == nil {
		return v.refuse(http.StatusNotFound, ReasonNoRoute), false
	}
	return v, true
}

// Mount hands a host, or a prefix of one, to a handler of its own before any
// route is looked at.
type Mount struct {
	// Host is the canonical host; Prefix a path without trailing slash, "" for
	// the whole host.
	Host, Prefix string
	Handler      http.Handler
}

func (m *Mount) owns(c canon.Request) bool {
	rest, ok := strings.CutPrefix(c.Path, m.Prefix)
	return ok && c.Host == m.Host && (rest == "" || rest[0] == '/')
}

// decide takes a located request through route, identity and policy.
func (g *Gate) decide(r *http.Request, v Verdict) Verdict {
	status := g.route(&v)
	if status != 0 {
		return v.refuse(status, routeReason(status))
	}
	rt := &g.routes[v.Route]
	if rt.public {
		v.Action, v.Reason = Forward, Reason(policy.RouteOpen)
		return v
	}
	if final := g.identify(r, rt, &v); final {
		return v
	}
	if v.Identity != nil && !g.parts.Revocations.Fresh(g.now()) {
		return v.refuse(http.StatusServiceUnavailable, ReasonFeedStale)
	}
	decision := g.parts.Policy.Decide(r.Context(), v.query())
	v.Reason, v.Rule = Reason(decision.Reason), decision.Rule
	if decision.Outcome == policy.OutcomeAllow {
		return g.pass(r, v)
	}
	if v.Identity == nil && decision.Reason != policy.Nobody {
		return g.unauthenticated(r, rt, v)
	}
	v.Action, v.Status = Refuse, http.StatusForbidden
	if decision.Reason == policy.OPAError {
		v.Status = http.StatusServiceUnavailable
	}
	if v.Identity != nil && v.Identity.Credential == session.Bearer && decision.Reason == policy.ScopeMissing {
		v.Challenge = `Bearer error="insufficient_scope"`
		if scopes := rt.Allow.Scopes(); len(scopes) > 0 {
			v.Challenge += `, scope="` + strings.Join(scopes, " ") + `"`
		}
	}
	return v
}

// route finds the route of a canonical request and fills it in. It returns 0,
// or the status of a refusal: 404 when no route matches, 400 when the request
// is odder than its route takes, or when another way to read its path leads to
// another route. Two readings of one request are decided alike or not at all.
func (g *Gate) route(v *Verdict) (status int) {
	c := &v.Request
	index, ok := g.table.Find(c.Host, c.Path, c.Method, c.Websocket)
	if !ok {
		return http.StatusNotFound
	}
	v.Route, v.Rule = index, g.routes[index].Allow.Pos
	if c.Odd&^g.routes[index].odd != 0 {
		return http.StatusBadRequest
	}
	if c.Other == "" {
		return 0
	}
	if other, ok := g.table.Find(c.Host, c.Other, c.Method, c.Websocket); !ok || other != index {
		return http.StatusBadRequest
	}
	return 0
}

func routeReason(status int) Reason {
	if status == http.StatusNotFound {
		return ReasonNoRoute
	}
	return ReasonPathRejected
}

// pass is an allowed request. A web socket is not bound by the same-origin
// policy, so one that enters by cookie must come from our own pages.
func (g *Gate) pass(r *http.Request, v Verdict) Verdict {
	if v.Request.Websocket && v.Identity != nil && v.Identity.Credential == session.Cookie &&
		r.Header.Get("Origin") != v.Site.Origin {
		return v.refuse(http.StatusForbidden, ReasonOrigin)
	}
	v.Action = Forward
	return v
}

// identify learns who asks. It reports true when the verdict is final.
func (g *Gate) identify(r *http.Request, rt *compiled, v *Verdict) (final bool) {
	if lines := r.Header["Authorization"]; rt.bearer && len(lines) > 0 {
		if len(lines) > 1 {
			v.refuse(http.StatusBadRequest, ReasonAuthorization)
			return true
		}
		if token, ok := bearerToken(lines[0]); ok {
			return g.identifyBearer(r, token, v)
		}
	}
	if rt.session {
		return g.identifySession(r, v)
	}
	return false
}

// identifyBearer verifies a bearer token. A bad one is refused whatever else
// the request carries: it is never ignored in favour of a cookie.
func (g *Gate) identifyBearer(r *http.Request, token string, v *Verdict) (final bool) {
	v.UsedAuthorization = true
	id, err := g.parts.Tokens.Verify(r.Context(), token)
	if err == nil && g.parts.Revocations.Revoked(id) {
		err = ErrSessionEnded
	}
	if errors.Is(err, ErrIssuerDown) {
		v.refuse(http.StatusServiceUnavailable, ReasonIssuerDown)
		return true
	}
	if err != nil {
		v.refuse(http.StatusUnauthorized, ReasonTokenInvalid)
		v.Challenge = `Bearer error="invalid_token"`
		return true
	}
	v.Identity = id
	return false
}

// identifySession opens the session cookie. A bad cookie counts as none and is
// cleared.
func (g *Gate) identifySession(r *http.Request, v *Verdict) (final bool) {
	s, state := g.parts.Cookies.Open(*v.Site, r)
	if state == session.None {
		return false
	}
	if state == session.Invalid || g.parts.Revocations.Revoked(s.Identity()) {
		v.Cookies = g.parts.Cookies.Clear(*v.Site, r)
		return false
	}
	renewed, err := g.parts.SignIn.Renew(r.Context(), *v.Site, s)
	switch {
	case errors.Is(err, ErrSessionEnded):
		v.Cookies = g.parts.Cookies.Clear(*v.Site, r)
		return false
	case r.Context().Err() != nil:
		v.refuse(statusGone, ReasonCanceled) // nobody is left to read it
		return true
	case err != nil:
		v.refuse(http.StatusServiceUnavailable, ReasonIssuerDown)
		// Where anyone may pass, doubt about a session makes a stranger of its
		// owner, not an outage.
		return !g.parts.Policy.Public(v.Route)
	}
	if renewed != s || g.parts.Cookies.Due(renewed) {
		cookies, err := g.parts.Cookies.Replace(*v.Site, r, renewed)
		if err != nil {
			v.refuse(http.StatusServiceUnavailable, ReasonSessionRevoked)
			return true
		}
		v.Cookies = cookies
	}
	v.Identity = renewed.Identity()
	return false
}

// unauthenticated refuses somebody unknown in the form the route asks for.
func (g *Gate) unauthenticated(r *http.Request, rt *compiled, v Verdict) Verdict {
	v.SignIn = rt.session
	v.refuse(http.StatusUnauthorized, ReasonSignInRequired)
	if rt.bearer {
		v.Challenge = "Bearer"
	}
	redirect := rt.session && !v.Request.Websocket
	switch rt.OnUnauthenticated {
	case Auto:
		redirect = redirect && page.Navigation(r)
	case Authenticate:
		redirect = redirect && (v.Request.Method == http.MethodGet || v.Request.Method == http.MethodHead)
	default:
		redirect = false
	}
	if redirect {
		v.begin(r, g.parts.SignIn, returnPath(v.Request))
	}
	return v
}

// begin turns v into a redirect to sign in, or 503 while the issuer is down.
func (v *Verdict) begin(r *http.Request, to SignIn, returnTo string) {
	location, cookies, err := to.Begin(r.Context(), *v.Site, r, Attempt{ReturnTo: returnTo})
	if err != nil {
		v.refuse(http.StatusServiceUnavailable, ReasonIssuerDown)
		return
	}
	v.Action, v.Status, v.Location = Redirect, http.StatusFound, location
	v.Cookies = append(v.Cookies, cookies...)
}

// returnPath is the page first asked for, with its query.
func returnPath(c canon.Request) string {
	if c.RawQuery == "" {
		return c.EscapedPath
	}
	return c.EscapedPath + "?" + c.RawQuery
}

// bearerToken returns the token of an Authorization header of scheme Bearer
// (RFC 6750 §2.1); ok is false for another scheme, which is not ours.
func bearerToken(header string) (token string, ok bool) {
	end := strings.IndexAny(header, " \t")
	if end < 0 {
		end = len(header)
	}
	if !strings.EqualFold(header[:end], "bearer") {
		return "", false
	}
	// Exactly one space: what follows two is no token, and fails as one.
	return strings.TrimPrefix(header[end:], " "), true
}
