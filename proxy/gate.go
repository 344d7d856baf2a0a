package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"gatehouse/policy"
	"gatehouse/proxy/body"
	"gatehouse/proxy/canon"
	"gatehouse/proxy/identity"
	"gatehouse/proxy/principal"
	"gatehouse/proxy/route"
	"gatehouse/proxy/upstream"
	"gatehouse/session"
)

// TokenVerifier tells whose access token it is. session/bearer is one.
type TokenVerifier interface {
	// Verify returns the identity a bearer token proves, or an error. It never
	// returns both nil.
	Verify(ctx context.Context, token string) (*session.Identity, error)
	// ID names what tokens are verified against, besides the issuers' keys; two
	// verifiers of one ID agree about every token.
	ID() string
	// Generation changes when an issuer's keys do.
	Generation() uint64
}

// Decider tells whether an identity may. policy.Policy is one.
type Decider interface {
	// DecideAt never fails: what cannot be decided is denied. It tells when that
	// was decided, for it may be remembered.
	DecideAt(ctx context.Context, q policy.Query) (policy.Decision, time.Time)
	// Public tells whether the route allows anyone, without asking who.
	Public(route int) bool
	// Personal tells whether decisions about the route depend on who asks and on
	// nothing else, and may be remembered for a while.
	Personal(route int) bool
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
	// Knows tells whether people sign in at the issuer and client of a session's
	// identity. It does no I/O.
	Knows(id *session.Identity) bool
	// SignOut revokes s durably and tells where the browser goes next.
	SignOut(ctx context.Context, site session.Site, s *session.Session) (SignedOut, error)
	// Elsewhere returns the page that signs a browser out where people sign in;
	// "" when there is none now.
	Elsewhere(ctx context.Context, site session.Site) string
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
	// Took is how long the policy took to decide.
	Took time.Duration
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
	// Generation counts the changes. A change is told by Revoked as soon as it is
	// counted.
	Generation() uint64
}

// Parts are what a Gate is made of besides its configuration.
type Parts struct {
	Sites []session.Site
	// Table is the compiled table of the configuration's routes; nil has NewGate
	// compile it.
	Table       *route.Table
	Cookies     *session.Cookies
	Tokens      TokenVerifier
	SignIn      SignIn
	Policy      Decider
	Revocations Revocations
	// Principals remembers credentials that were believed; Revocations must be
	// what it was made for. Gates may share one. Nil remembers none.
	Principals *principal.Cache
	// Observer is told of each request at its end; nil for nobody.
	Observer Observer
	// Recorder is told of decisions; nil for nobody.
	Recorder Recorder
	// Bodies reads the bodies that rules judge. Gates that share one share its
	// memory; nil means one of its own.
	Bodies *body.Reader
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
	sites   map[string]*place
	table   *route.Table
	routes  []compiled
	strip   *identity.Stripper
	trusted []netip.Prefix
	rules   []policy.Rule
	bodies  *body.Reader
	now     func() time.Time
	// bearers is the scope of access tokens; epoch that of decisions.
	bearers principal.Scope
	epoch   uint64
}

// place is one public URL, with what requests need of it.
type place struct {
	session.Site
	owns      func(cookie string) bool
	forwarded identity.Forwarded
	sessions  principal.Scope
}

type compiled struct {
	*Route
	upstream *upstream.Upstream
	headers  *identity.Plan
	odd      canon.Oddity
	public   bool // allow: anyone, and nobody asks who
	personal bool // decisions depend on the identity alone
	session  bool // takes session cookies
	bearer   bool // takes bearer tokens
}

// NewGate compiles cfg; it has no effects. cfg has passed its own checks.
func NewGate(cfg *Config, p Parts) (*Gate, error) {
	g := &Gate{
		parts: p, sites: map[string]*place{}, strip: identity.NewStripper(p.Headers...), trusted: cfg.TrustedProxies,
		rules: cfg.Rules(), bodies: p.Bodies, now: p.Now,
	}
	if g.now == nil {
		g.now = time.Now
	}
	if g.bodies == nil {
		g.bodies = body.New(body.Limits{})
	}
	g.remember()
	matches := make([]route.Match, len(cfg.Routes))
	for i, rt := range cfg.Routes {
		matches[i] = rt.Match
		odd, err := canon.ParseOddities(rt.Odd)
		if err != nil {
			return nil, fmt.Errorf("route %q: %w", rt.Name, err)
		}
		g.routes = append(g.routes, compiled{
			Route: rt, upstream: p.Upstreams[rt.Upstream], headers: p.Headers[i], odd: odd,
			public: p.Policy.Public(i) && rt.OnUnauthenticated != Allow, personal: p.Policy.Personal(i),
			session: rt.takes("session"), bearer: rt.takes("bearer"),
		})
	}
	if g.table = p.Table; g.table != nil {
		return g, nil
	}
	hosts := make([]string, len(p.Sites))
	for i, s := range p.Sites {
		hosts[i] = s.Host
	}
	var err error
	if g.table, err = route.Compile(matches, hosts[0], hosts); err != nil {
		return nil, err
	}
	return g, nil
}

// remember finds the scopes of what is remembered.
func (g *Gate) remember() {
	c := g.parts.Principals
	g.epoch = c.Epoch()
	if g.parts.Tokens != nil {
		g.bearers = c.Scope("bearer " + g.parts.Tokens.ID())
	}
	for _, s := range g.parts.Sites {
		p := &place{Site: s, owns: s.Owns, forwarded: identity.NewForwarded(s.Host)}
		if g.parts.Cookies != nil {
			p.sessions = c.Scope("session " + g.parts.Cookies.ID() + " " + s.Origin)
		}
		g.sites[s.Host] = p
	}
}

// Check decides what is to be done with r. It writes nothing and tells no
// Recorder; the one I/O it may cause is the renewal of a session that is due, and
// reading the body for a route that judges it, which r can be read again for.
func (g *Gate) Check(r *http.Request) Verdict {
	var v Verdict
	if !g.locate(r, &v) {
		return v
	}
	g.decide(nil, r, &v)
	if v.body != nil {
		r.Body = v.body.Body()
		v.body.Release()
	}
	return v
}

// locate finds the canonical request and the public URL it asks for. When it
// returns false the verdict is final.
func (g *Gate) locate(r *http.Request, v *Verdict) bool {
	v.Route = -1
	client, badClient := identity.ClientOf(r, g.trusted)
	v.Client = client
	req, err := canon.Parse(r)
	if v.Request = req; err != nil {
		v.reject(r, err)
		return false
	}
	if badClient != nil {
		v.refuse(http.StatusBadRequest, ReasonForwarded)
		return false
	}
	for i := range g.parts.Mounts {
		if m := &g.parts.Mounts[i]; m.owns(&v.Request) {
			if req.Odd != 0 {
				v.refuse(http.StatusBadRequest, ReasonPathRejected)
				return false
			}
			v.mount = m
			return true
		}
	}
	if !g.findSite(v) {
		v.refuse(http.StatusNotFound, ReasonNoRoute)
		return false
	}
	return true
}

// findSite finds the public URL of a canonical request; false if there is none.
func (g *Gate) findSite(v *Verdict) bool {
	if v.place = g.sites[v.Request.Host]; v.place == nil {
		return false
	}
	v.Site = &v.place.Site
	return true
}

// Mount hands a host, or a prefix of one, to a handler of its own before any
// route is looked at.
type Mount struct {
	// Host is the canonical host; Prefix a path without trailing slash, "" for
	// the whole host.
	Host, Prefix string
	Handler      http.Handler
}

func (m *Mount) owns(c *canon.Request) bool {
	rest, ok := strings.CutPrefix(c.Path, m.Prefix)
	return ok && c.Host == m.Host && (rest == "" || rest[0] == '/')
}
