package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// setup says what kind of gateway to start. The zero one is as shipped, with
// people and tokens of bench's own issuer.
type setup struct {
	idp    bool // the built-in provider instead of bench's issuer
	routes int  // besides the usual ones
	quiet  bool // neither access log nor metrics
	h1     bool // the transport h1 to the application
	tls    bool // TLS, and so HTTP/2, in front
	forget bool // no verified credential is remembered
	other  bool // the build of -against
	users  bool // many people may sign in from one address; a client for them
	// postgres is the URL of the provider's database, "" for a file.
	postgres string
}

// gateway is a running gatehouse with somebody to ask as.
type gateway struct {
	setup
	proc   *process
	public string // URL of the application's host
	issuer string // URL of the built-in provider
	token  string // access token with the scope orders.read
	cookie string // of a person who is signed in
}

// Credentials of the gateway that is measured. They open nothing else.
const (
	person         = "alice"
	personPassword = "bench-password-of-alice"
	machine        = "load"
	machineSecret  = "bench-secret-of-the-load-client-00"
)

// gateway returns the gateway of that kind, started when first asked for. The
// measurements share it.
func (w *world) gateway(ctx context.Context, s setup) (*gateway, error) {
	if g := w.gateways[s]; g != nil {
		return g, nil
	}
	c, err := w.configure(s)
	if err != nil {
		return nil, err
	}
	g, err := w.launch(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := g.signIn(ctx, w); err != nil {
		return nil, err
	}
	w.gateways[s] = g
	return g, nil
}

// launch starts a configured gateway and waits until it answers.
func (w *world) launch(ctx context.Context, c *configured) (*gateway, error) {
	p, err := w.start(c.program(w))
	if err != nil {
		return nil, err
	}
	return &gateway{setup: c.setup, proc: p, public: c.public, issuer: c.issuer}, p.ready(ctx, c.public+"/public"+page)
}

func (c *configured) program(w *world) program {
	binary := w.binary
	if c.other {
		binary = w.plan.against
	}
	return program{
		name: "gatehouse", path: binary, env: w.plan.gatewayEnv,
		args: []string{"serve", "--config", c.file},
	}
}

// signIn gets a token and a session, and makes sure that they count.
func (g *gateway) signIn(ctx context.Context, w *world) (err error) {
	if g.idp {
		if g.token, err = machineToken(ctx, g.issuer); err == nil {
			g.cookie, err = sessionCookie(ctx, g.public+page)
		}
	} else {
		if g.token, err = w.issuer.accessToken("the-only-one"); err == nil {
			g.cookie, err = w.issuer.signInAt(ctx, g, person)
		}
	}
	if err != nil {
		return err
	}
	for _, t := range g.targets() {
		if err := answers(ctx, t); err != nil {
			return err
		}
	}
	if err := g.tells(ctx); err != nil {
		return err
	}
	if w.knows.accessLog && !g.quiet {
		return g.logs()
	}
	return nil
}

// logs makes sure that there is an access log: one that nobody writes costs
// nothing, and would look like a good one. It may be written a little later.
func (g *gateway) logs() error {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if info, err := os.Stat(g.proc.out); err == nil && info.Size() > 0 {
			return nil
		}
	}
	return fmt.Errorf("%s knows telemetry.access_log, but writes no line to standard output", g.proc.name)
}

// The ways to ask a gateway for the application's page.

func (g *gateway) open() target { return g.at("public", "/public", nil) }

func (g *gateway) bearer() target {
	return g.at("bearer", "/api", http.Header{"Authorization": {"Bearer " + g.token}})
}

func (g *gateway) session() target {
	return g.at("session", "", http.Header{"Cookie": {g.cookie}})
}

func (g *gateway) bearerAssertion() target {
	return g.at("bearer + assertion", "/alb/api", g.bearer().header)
}

func (g *gateway) sessionAssertion() target {
	return g.at("session + assertion", "/alb", g.session().header)
}

func (g *gateway) targets() []target {
	return []target{g.open(), g.bearer(), g.session(), g.bearerAssertion(), g.sessionAssertion()}
}

func (g *gateway) at(name, prefix string, header http.Header) target {
	return target{name: name, base: g.public, prefix: prefix, path: page, header: header, proc: g.proc}
}

// answers makes sure that t gets the application's body, not a refusal.
func answers(ctx context.Context, t target) error {
	a, err := send(ctx, http.MethodGet, t.url(), nil, t.header)
	if err != nil {
		return err
	}
	if a.status != http.StatusOK || a.body != body {
		return fmt.Errorf("%s does not reach the application: %d\n%s", t.name, a.status, a.body)
	}
	return nil
}

// tells makes sure that the application is told who asks, where it should.
func (g *gateway) tells(ctx context.Context) error {
	for _, t := range []target{g.session(), g.bearerAssertion(), g.sessionAssertion()} {
		t.path = told
		a, err := send(ctx, http.MethodGet, t.url(), nil, t.header)
		if err != nil {
			return err
		}
		if a.status != http.StatusOK || strings.TrimSpace(a.body) == "" {
			return fmt.Errorf("%s: the application is not told who asks: %d %q", t.name, a.status, a.body)
		}
	}
	return nil
}

// configured is the configuration of a gateway, written to a file.
type configured struct {
	setup
	file           string
	public, issuer string
}

// configure writes the configuration of a gateway, with a data directory of its
// own.
func (w *world) configure(s setup) (*configured, error) {
	var ports [2]int
	for i := range ports {
		var err error
		if ports[i], err = freePort(); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp(w.dir, "gateway-")
	if err != nil {
		return nil, fmt.Errorf("configure gatehouse: %w", err)
	}
	scheme := "http"
	v := values{setup: s, dir: dir, port: ports[0], metrics: ports[1], app: w.app, tools: w.tools.url, login: w.issuer.url, knows: w.knows}
	if s.tls {
		scheme = "https"
		if v.cert, err = w.certificate(); err != nil {
			return nil, err
		}
	}
	// Two hosts on one listener: the application's and the provider's.
	v.public, v.issuer = fmt.Sprintf("%s://localhost:%d", scheme, v.port), fmt.Sprintf("%s://127.0.0.1:%d", scheme, v.port)
	c := &configured{setup: s, file: filepath.Join(dir, "gatehouse.yaml"), public: v.public, issuer: v.issuer}
	if err := os.WriteFile(c.file, []byte(v.config()), 0o600); err != nil {
		return nil, fmt.Errorf("configure gatehouse: %w", err)
	}
	return c, nil
}
