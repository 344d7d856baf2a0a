package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/idp"
	"gatehouse/idp/notify"
	"gatehouse/internal/accesslog"
	"gatehouse/internal/heap"
	"gatehouse/internal/inproc"
	"gatehouse/internal/jose"
	"gatehouse/internal/telemetry"
	"gatehouse/proxy"
	"gatehouse/proxy/body"
	"gatehouse/proxy/principal"
	"gatehouse/session"
)

// Options say how a plan is opened.
type Options struct {
	// Log gets what the operator must know. Mandatory.
	Log *slog.Logger
	// Version of the program, for figures and logs.
	Version string
	// NoWatch keeps the configuration from being read again when a file of it
	// changes. Reload still reads it.
	NoWatch bool
	// Demo opens a demo's store and no other.
	Demo bool
	// DemoPasswords are the passwords that users of a demo must have, by
	// username.
	DemoPasswords map[string]string
	// Mailbox keeps a demo's messages; nil makes one that nobody sees.
	Mailbox *notify.Mailbox
	// Listeners are open already; without them the configuration's are opened.
	Listeners []net.Listener
}

// App is a running gateway: what one process has once, and the generation of the
// configuration that decides now.
type App struct {
	// config is the configuration that the process began with, without its routes.
	// Of what it says, only what a reload cannot change is asked.
	config    *Config
	log       *slog.Logger
	noWatch   bool
	labels    map[string]string // of the log of decisions
	listeners []net.Listener
	telling   net.Listener // of telemetry; nil for none
	server    *http.Server
	handler   *proxy.Handler
	provider  *idp.Provider
	// gatewaySecret is the client secret of the gateway at its own provider.
	gatewaySecret string
	cookieKeys    []session.CookieKey
	assertionKeys []*jose.Key
	feed          *session.Feed
	access        *accesslog.Log // nil for none
	accessSink    *accesslog.Sink
	principals    *principal.Cache
	bodies        *body.Reader
	metrics       *telemetry.Metrics // nil when they are told nobody
	// tasks run as long as the app does; closers end what Open began, last first.
	tasks   []func(context.Context)
	closers []func() error

	now     atomic.Pointer[generation]
	serving atomic.Bool
	parts   parts
	retired []retired
	judging atomic.Pointer[[]judge]
	asked   chan struct{} // somebody asked for a reload
	bundled chan struct{} // a bundle has changed
}

// Open makes the running parts of a plan. On an error everything it began has
// been ended, besides listeners it was given.
func Open(ctx context.Context, plan *Plan, o Options) (*App, error) {
	// Routes are the bulk of a configuration, and change with each generation.
	first := *plan.Config
	first.Routes = nil
	a := &App{
		config: &first, log: o.Log, noWatch: o.NoWatch, bodies: body.New(body.Limits{}),
		labels: map[string]string{"id": rand.Text(), "version": o.Version, "app": "gatehouse"},
		parts:  parts{all: map[string]*part{}},
		asked:  make(chan struct{}, 1), bundled: make(chan struct{}, 1),
	}
	if err := a.open(ctx, plan, o); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *App) open(ctx context.Context, plan *Plan, o Options) error {
	if a.config.Telemetry.Listen != "" {
		a.metrics = telemetry.New(o.Version, a.readings)
	}
	if err := a.openAccessLog(); err != nil {
		return err
	}
	g := a.newGeneration()
	if err := a.openFirst(ctx, g, plan, o); err != nil {
		g.release()
		return err
	}
	a.now.Store(g)
	return a.listen(ctx, g, o)
}

// openFirst opens what the process has once, and assembles its first generation.
func (a *App) openFirst(ctx context.Context, g *generation, plan *Plan, o Options) error {
	plan, err := a.complete(ctx, g, plan)
	if err != nil {
		return err
	}
	db, err := a.openProvider(ctx, o)
	if err != nil {
		return err
	}
	if err := a.openKeys(); err != nil {
		return err
	}
	if err := a.openFeed(ctx, db); err != nil {
		return err
	}
	return a.assemble(ctx, g, plan)
}

// complete returns the plan with the bundles that it was compiled without.
func (a *App) complete(ctx context.Context, g *generation, plan *Plan) (*Plan, error) {
	judges := plan.draft.judges(plan.bundles)
	a.judging.Store(&judges)
	have, err := a.fetch(ctx, g, plan.draft)
	if err != nil || len(have) == 0 {
		return plan, err
	}
	plan, err = plan.with(ctx, have)
	if err != nil {
		return nil, fmt.Errorf("compile policy with its bundles: %w", err)
	}
	judges = plan.draft.judges(plan.bundles)
	a.judging.Store(&judges)
	return plan, nil
}

// outbound is the transport to foreign issuers. It takes no proxy from the
// environment: who answers for an issuer is the configuration's to say.
var outbound = &http.Transport{
	ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 32, IdleConnTimeout: 90 * time.Second,
	TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: inproc.Deadline, MaxResponseHeaderBytes: 64 << 10,
	DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
}

// listen makes the server and opens its addresses.
func (a *App) listen(ctx context.Context, g *generation, o Options) error {
	a.handler = proxy.NewHandler(g.gate, g.signer, a.log)
	var err error
	if a.server, err = newServer(&a.config.Config, a.handler, a.log); err != nil {
		return err
	}
	if addr := a.config.Telemetry.Listen; addr != "" {
		telling, err := Listen(ctx, []string{addr})
		if err != nil {
			return fmt.Errorf("telemetry.listen: %w", err)
		}
		a.telling = telling[0]
	}
	if a.listeners = o.Listeners; a.listeners == nil {
		a.listeners, err = Listen(ctx, a.config.Listen.Addrs)
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

// Summary describes the configuration that decides now.
func (a *App) Summary() Summary { return a.now.Load().plan.Summary() }

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
	a.parts.begin(tasks)
	if ln := a.telling; ln != nil {
		a.metrics.Began(a.now.Load().plan.Revision())
		wg.Go(func() { a.metrics.Serve(tasks, ln, a.serving.Load, a.log) })
	}
	streams, endStreams := context.WithCancel(tasks)
	wg.Go(func() { a.handler.Run(streams) })
	reloads, endReloads := context.WithCancel(ctx)
	reloading := make(chan struct{})
	go func() {
		defer close(reloading)
		a.reloads(reloads)
	}()
	a.serving.Store(true)
	wg.Go(heap.Trim) // compiling leaves more garbage than serving needs room
	err := serveAll(ctx, a.server, a.listeners, func() {
		a.serving.Store(false)
		endReloads()
		endStreams()
	})
	<-reloading
	a.listeners, a.telling = nil, nil
	stop()
	wg.Wait()
	return errors.Join(err, a.Close())
}

// Close ends what Open began; after Run there is nothing left to end.
func (a *App) Close() error {
	var errs []error
	closeAll(a.listeners)
	if a.telling != nil {
		closeAll([]net.Listener{a.telling})
	}
	for _, r := range a.retired {
		r.release()
	}
	if g := a.now.Swap(nil); g != nil {
		g.release()
	}
	a.parts.wait()
	for i := len(a.closers) - 1; i >= 0; i-- {
		errs = append(errs, a.closers[i]())
	}
	a.retired, a.closers, a.listeners, a.telling = nil, nil, nil, nil
	return errors.Join(errs...)
}
