package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gatehouse/idp"
	"gatehouse/idp/store"
	"gatehouse/internal/inproc"
	"gatehouse/internal/jose"
	"gatehouse/internal/keyring"
	"gatehouse/proxy"
	"gatehouse/proxy/identity"
	"gatehouse/proxy/upstream"
	"gatehouse/session"
	"gatehouse/session/bearer"
)

// Options say how a plan is opened.
type Options struct {
	// Log gets what the operator must know. Mandatory.
	Log *slog.Logger
	// Demo opens a demo's store and no other.
	Demo bool
	// DemoPasswords are the passwords that users of a demo must have, by
	// username.
	DemoPasswords map[string]string
	// Listeners are open already; without them the configuration's are opened.
	Listeners []net.Listener
}

// App is a running gateway.
type App struct {
	plan      *Plan
	log       *slog.Logger
	listeners []net.Listener
	server    *http.Server
	handler   *proxy.Handler
	gate      *proxy.Gate
	provider  *idp.Provider
	// gatewaySecret is the client secret of the gateway at its own provider.
	gatewaySecret string
	// tasks run as long as the app does; closers end what Open began, last first.
	tasks   []func(context.Context)
	closers []func() error
}

// Open makes the running parts of a plan. On an error everything it began has
// been ended, besides listeners it was given.
func Open(ctx context.Context, plan *Plan, o Options) (*App, error) {
	a := &App{plan: plan, log: o.Log}
	if err := a.open(ctx, o); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *App) open(ctx context.Context, o Options) error {
	db, err := a.openProvider(ctx, o)
	if err != nil {
		return err
	}
	g, err := a.openGate(ctx, db)
	if err != nil {
		return err
	}
	return a.listen(ctx, g, o)
}

// openProvider opens the embedded provider with its database, if there is one.
func (a *App) openProvider(ctx context.Context, o Options) (*store.DB, error) {
	c := a.plan.Config
	if c.IDP == nil {
		return nil, nil
	}
	db, sealer, err := c.openDatabase(ctx, o, a.log)
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, db.Close)
	a.tasks = append(a.tasks, db.Run)
	a.provider, err = idp.New(*c.IDP, idp.Deps{DB: db, Sealer: sealer, ClientIP: clientIP, Demo: o.Demo, Log: a.log})
	if err != nil {
		return nil, err
	}
	if err := a.provider.Bootstrap(ctx); err != nil {
		return nil, err
	}
	if err := a.keepDemoPasswords(ctx, o.DemoPasswords); err != nil {
		return nil, err
	}
	return db, a.registerGateway(ctx, sealer)
}

// clientIP is the address of the browser: the gate has put it there. A call of
// the gate itself has none, and is nobody's client.
func clientIP(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

// gateParts are what both a server and an explanation need of a gate.
type gateParts struct {
	proxy.Parts
	cookies   *session.Cookies
	feed      *session.Feed
	signer    *identity.Signer
	upstreams map[string]*upstream.Upstream
}

// openGate puts the gate together: keys, revocations, verifiers, sign-in,
// upstreams, headers.
func (a *App) openGate(ctx context.Context, db *store.DB) (*gateParts, error) {
	g := &gateParts{}
	if err := a.openSessions(ctx, db, g); err != nil {
		return nil, err
	}
	tokens, err := bearer.New(a.plan.Config.Bearer, a.ownIssuer(), a.clientFor, a.log)
	if err != nil {
		return nil, err
	}
	a.tasks = append(a.tasks, tokens.Run)
	g.Tokens = verifier{tokens}
	if err := a.openSigner(g); err != nil {
		return nil, err
	}
	if err := a.openUpstreams(g); err != nil {
		return nil, err
	}
	if err := a.openHeaders(g); err != nil {
		return nil, err
	}
	if err := a.openSignIn(g); err != nil {
		return nil, err
	}
	g.Sites, g.Cookies, g.Policy, g.Revocations = a.plan.sites, g.cookies, a.plan.policy, g.feed
	g.SharedOrigin = a.plan.sharedOrigin()
	g.Mounts = a.plan.mounts(a.provider)
	a.gate, err = proxy.NewGate(&a.plan.Config.Config, g.Parts)
	return g, err
}

// openSessions opens the cookie keys and the feed of revocations: the event
// table of the provider, or a file of its own.
func (a *App) openSessions(ctx context.Context, db *store.DB, g *gateParts) error {
	c := a.plan.Config
	ring, err := c.openRing(keyring.Cookie)
	if err != nil {
		return err
	}
	var source session.Journal
	if db != nil {
		source = journal{db, c.IDP.Issuer.String()}
	} else {
		if err := c.makeDataDir(); err != nil {
			return err
		}
		file, err := session.OpenFileJournal(filepath.Join(c.DataDir, "revocations.log"))
		if err != nil {
			return err
		}
		a.closers = append(a.closers, file.Close)
		source = file
	}
	if g.feed, err = session.NewFeed(ctx, source, a.log); err != nil {
		return err
	}
	a.tasks = append(a.tasks, g.feed.Run)
	if db != nil {
		a.tasks = append(a.tasks, func(ctx context.Context) { wake(ctx, db, g.feed) })
	}
	g.cookies, err = session.NewCookies(c.Session, cookieKeys(ring), session.Options{Boot: g.feed.Boot()})
	return err
}

// wake makes the feed read what this process has just written.
func wake(ctx context.Context, db *store.DB, feed *session.Feed) {
	for {
		changed := db.Changed()
		feed.Wake()
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// openSigner reads the keys of signed identity headers.
func (a *App) openSigner(g *gateParts) error {
	c := a.plan.Config
	ring, err := c.openRing(keyring.Assertion)
	if err != nil {
		return err
	}
	keys, err := assertionKeys(ring)
	if err != nil {
		return err
	}
	return a.newSigner(g, keys)
}

// openTemporarySigner signs with a key that nobody publishes: what it signs is
// never sent.
func (a *App) openTemporarySigner(g *gateParts) error {
	key, err := jose.GenerateKey(jose.ES256, "00000000-0000-4000-8000-000000000000")
	if err != nil {
		return err
	}
	return a.newSigner(g, []*jose.Key{key})
}

func (a *App) newSigner(g *gateParts, keys []*jose.Key) error {
	c := a.plan.Config
	arn := c.ALB.Signer
	if arn == "" {
		arn = identity.DefaultSigner(c.PublicURL[0])
	}
	var err error
	g.signer, err = identity.NewSigner(arn, keys, nil)
	return err
}

func (a *App) openUpstreams(g *gateParts) error {
	g.upstreams = map[string]*upstream.Upstream{}
	for name, cfg := range a.plan.Config.Upstreams {
		u, err := upstream.New(name, *cfg, a.log)
		if err != nil {
			return err
		}
		a.closers = append(a.closers, func() error { u.Close(); return nil })
		g.upstreams[name] = u
	}
	g.Upstreams = g.upstreams
	return nil
}

// openHeaders compiles each route's identity headers for its upstream.
func (a *App) openHeaders(g *gateParts) error {
	c := a.plan.Config
	for _, rt := range c.Routes {
		headers := c.IdentityHeaders
		if rt.IdentityHeaders != nil {
			headers = *rt.IdentityHeaders
		}
		plan, err := headers.Compile(g.signer, rt.Upstream)
		if err != nil {
			return fmt.Errorf("route %q: %w", rt.Name, err)
		}
		g.Headers = append(g.Headers, plan)
	}
	return nil
}

// ownIssuer describes the embedded provider to the verifier of access tokens.
func (a *App) ownIssuer() *bearer.Issuer {
	if a.provider == nil {
		return nil
	}
	return bearer.Own(a.provider.Issuer().String())
}

// clientFor returns the client for calls to an issuer: the embedded provider is
// answered in process, everybody else over the network.
func (a *App) clientFor(issuer string) *http.Client {
	if a.provider != nil && a.provider.Issuer().String() == issuer {
		return inproc.Client(a.provider.Issuer(), a.provider)
	}
	return inproc.Bounded(&http.Client{Transport: outbound})
}

// outbound is the transport to foreign issuers. It takes no proxy from the
// environment: who answers for an issuer is the configuration's to say.
var outbound = &http.Transport{
	ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 32, IdleConnTimeout: 90 * time.Second,
	TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: inproc.Deadline, MaxResponseHeaderBytes: 64 << 10,
	DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
}

// listen makes the server and opens its addresses.
func (a *App) listen(ctx context.Context, g *gateParts, o Options) error {
	a.handler = proxy.NewHandler(a.gate, g.signer, a.log)
	var err error
	if a.server, err = newServer(&a.plan.Config.Config, a.handler, a.log); err != nil {
		return err
	}
	if a.listeners = o.Listeners; a.listeners == nil {
		a.listeners, err = Listen(ctx, a.plan.Config.Listen.Addrs)
	}
	return err
}

// Addrs returns the addresses that are listened on.
func (a *App) Addrs() []string {
	var all []string
	for _, ln := range a.listeners {
		all = append(all, ln.Addr().String())
	}
	return all
}

// MintFor returns a function that makes access tokens of a machine of the
// embedded provider, as its token endpoint would.
func (a *App) MintFor(id string) func(context.Context, []string) (string, error) {
	return func(ctx context.Context, scopes []string) (string, error) {
		c, err := a.provider.Clients.Find(ctx, id)
		if err != nil {
			return "", err
		}
		tokens, err := a.provider.Mint.ClientCredentials(ctx, c, scopes)
		if err != nil {
			return "", fmt.Errorf("%s may have no token with scope %s: %w", id, strings.Join(scopes, " "), err)
		}
		return tokens.Access, nil
	}
}

// Run serves until ctx ends, lets requests end, and closes everything.
func (a *App) Run(ctx context.Context) error {
	tasks, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var wg sync.WaitGroup
	for _, task := range a.tasks {
		wg.Go(func() { task(tasks) })
	}
	streams, endStreams := context.WithCancel(tasks)
	wg.Go(func() { a.handler.Run(streams) })
	err := serveAll(ctx, a.server, a.listeners, endStreams)
	endStreams()
	a.listeners = nil
	stop()
	wg.Wait()
	return errors.Join(err, a.Close())
}

// Close ends what Open began; after Run there is nothing left to end.
func (a *App) Close() error {
	var errs []error
	closeAll(a.listeners)
	for i := len(a.closers) - 1; i >= 0; i-- {
		errs = append(errs, a.closers[i]())
	}
	a.closers, a.listeners = nil, nil
	return errors.Join(errs...)
}
