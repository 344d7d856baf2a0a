package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/testenv"
	"gatehouse/policy"
	"gatehouse/session"
)

// gate is a gateway without a provider in front of two upstreams, which answer
// with their name and what the header X-Told told them.
type gate struct {
	t      *testing.T
	dir    string
	origin string
	head   string // of each configuration: addresses, upstreams
	app    *App
	logs   *logs
	stop   func()
	http   *http.Client
}

// newGate opens a gateway with these routes and sections; it runs until the test
// ends.
func newGate(t *testing.T, rest string, o Options) *gate {
	t.Helper()
	g := placeGate(t)
	g.configure(rest)
	g.open(o)
	g.run()
	return g
}

// placeGate makes the upstreams, the address and the folder of a gateway.
func placeGate(t *testing.T) *gate {
	t.Helper()
	g := &gate{t: t, dir: t.TempDir(), logs: newLogs(), http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: 20 * time.Second}}
	t.Cleanup(g.http.CloseIdleConnections)
	addr := free(t)
	g.origin = "http://" + addr
	// Nobody issues tokens there; without it, a rule for some would be a mistake.
	const bearer = "bearer: { issuers: [{ issuer: \"http://127.0.0.1:9\", audiences: [x] }] }\n"
	g.head = fmt.Sprintf("public_url: %s\nlisten: %s\nupstreams: { a: %q, b: %q }\n%s", g.origin, addr, named(t, "a"), named(t, "b"), bearer)
	return g
}

// named is an upstream that says its name and what told it.
func named(t *testing.T, name string) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", name, r.Header.Get("X-Told"))
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// newSlow is an upstream that says on begun that it was asked, and answers when
// end is closed.
func newSlow(t *testing.T, begun, end chan struct{}) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-end
		w.WriteHeader(http.StatusOK)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func (g *gate) path() string { return filepath.Join(g.dir, "gatehouse.yaml") }

// configure writes the configuration: routes, and sections after them.
func (g *gate) configure(rest string) { write(g.t, g.path(), g.head+rest) }

// file writes a file beside the configuration.
func (g *gate) file(name, text string) { write(g.t, filepath.Join(g.dir, name), text) }

// open opens the gateway without running it.
func (g *gate) open(o Options) {
	g.t.Helper()
	plan, err := Load(g.path())
	if err != nil {
		g.t.Fatal(err)
	}
	o.Log = slog.New(slog.NewJSONHandler(g.logs, nil))
	if g.app, err = Open(g.t.Context(), plan, o); err != nil {
		g.t.Fatal(err)
	}
}

// run serves until stop, or the end of the test.
func (g *gate) run() {
	g.t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(g.t.Context()))
	ended := make(chan error, 1)
	app := g.app
	go func() { ended <- app.Run(ctx) }()
	g.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			g.t.Errorf("Run() = %v, want nil", err)
		}
		g.stop = func() {}
	}
	g.t.Cleanup(func() { g.stop() })
	// The addresses are open, so that this waits for the first answer.
	if got, _ := g.get("/_gatehouse/health"); got != http.StatusOK {
		g.t.Fatalf("health = %d, want 200", got)
	}
}

// get asks for a path and returns the status and the body.
func (g *gate) get(path string) (int, string) {
	g.t.Helper()
	return g.fetch(g.origin + path)
}

func (g *gate) fetch(address string) (int, string) {
	g.t.Helper()
	res, err := g.http.Get(address)
	if err != nil {
		g.t.Error(err)
		return 0, ""
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Error(err)
	}
	return res.StatusCode, string(text)
}

// wants checks who answers a path.
func (g *gate) wants(when, path string, status int, body string) {
	g.t.Helper()
	got, text := g.get(path)
	if got != status || body != "" && !strings.HasPrefix(text, body) {
		g.t.Errorf("%s, GET %s = %d %.60q, want %d %q", when, path, got, text, status, body)
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// policyQuery asks about the first route.
func policyQuery(who *session.Identity) policy.Query {
	return policy.Query{Identity: who, Method: "GET", Host: "x", Path: "/page"}
}

const (
	reloaded = `"msg":"configuration reloaded"`
	refused  = `"msg":"configuration not reloaded`
)

// free returns an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	addr, err := testenv.FreeAddr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return addr
}
