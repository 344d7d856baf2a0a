package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// world is everything that runs while bench measures.
type world struct {
	plan   plan
	dir    string // temporary, removed at the end
	binary string // the gatehouse that is measured
	knows  features

	app     string       // URL of the application: nginx
	tools   *toolsServer // what nginx cannot do
	issuer  *issuer
	running []*process // in the order of their start

	bares    map[bareKey]bareProxy
	gateways map[setup]*gateway
}

type bareKey struct {
	to  string
	tls bool
}

type bareProxy struct {
	base string // its URL
	proc *process
}

// page is what most targets ask for: a small body from the application.
const page = "/page"

// body has the size of a small JSON answer.
const body = `{"id":"7","item":"lantern","quantity":3,"status":"open"}`

// openWorld starts what all measurements need: the application, and an issuer.
func openWorld(ctx context.Context, p plan) (w *world, err error) {
	for program, pack := range map[string]string{"wrk": "wrk", "nginx": "nginx-light"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%s is not installed: apt-get install --no-install-recommends %s", program, pack)
		}
	}
	w = &world{plan: p, binary: p.binary, bares: map[bareKey]bareProxy{}, gateways: map[setup]*gateway{}}
	if w.dir, err = os.MkdirTemp("", "gatehouse-bench-"); err != nil {
		return nil, fmt.Errorf("make a place to work in: %w", err)
	}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.binary == "" {
		w.tell("building gatehouse")
		w.binary = filepath.Join(w.dir, "gatehouse")
		args := append([]string{"build", "-o", w.binary}, p.buildFlags...)
		if out, err := exec.CommandContext(ctx, "go", append(args, "gatehouse/cmd/gatehouse")...).CombinedOutput(); err != nil {
			return w, fmt.Errorf("build gatehouse: %w\n%s", err, out)
		}
	}
	if w.tools, err = openTools(); err != nil {
		return w, err
	}
	if w.issuer, err = openIssuer(); err != nil {
		return w, err
	}
	if err := w.startApplication(ctx); err != nil {
		return w, err
	}
	w.knows, err = w.probe(ctx)
	return w, err
}

// close ends what was started, the last first.
func (w *world) close() {
	for i := range w.running {
		w.running[len(w.running)-1-i].end()
	}
	if w.issuer != nil {
		w.issuer.close()
	}
	if w.tools != nil {
		w.tools.close()
	}
	_ = os.RemoveAll(w.dir) // what is left is temporary anyway
}

// tell says how far bench is.
func (w *world) tell(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// start runs a program until the world ends.
func (w *world) start(what program) (*process, error) {
	what.name = fmt.Sprintf("%02d-%s", len(w.running), what.name)
	p, err := start(w.dir, what)
	if err != nil {
		return nil, err
	}
	w.running = append(w.running, p)
	return p, nil
}

// bareBase returns the bare proxy that passes on to an application.
func (w *world) bareProxy(ctx context.Context, key bareKey) (bareProxy, error) {
	if found, ok := w.bares[key]; ok {
		return found, nil
	}
	b, err := w.startBare(ctx, key)
	if err == nil {
		w.bares[key] = b
	}
	return b, err
}

// startBare starts a bare proxy that no other measurement has used.
func (w *world) startBare(ctx context.Context, key bareKey) (b bareProxy, err error) {
	self, err := os.Executable()
	if err != nil {
		return b, fmt.Errorf("find myself: %w", err)
	}
	port, err := freePort()
	if err != nil {
		return b, err
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	b.base = "http://" + addr
	args := []string{"-bare", addr, "-to", key.to}
	if key.tls {
		cert, err := w.certificate()
		if err != nil {
			return b, err
		}
		b.base = "https://" + addr
		args = append(args, "-cert", cert)
	}
	if b.proc, err = w.start(program{name: "bare", path: self, args: args}); err != nil {
		return b, err
	}
	return b, b.proc.ready(ctx, b.base+page)
}

// bareFor is the bare proxy that asks for what t asks for, without t's
// credential, unless -same-bytes wants it.
func (w *world) bareFor(ctx context.Context, t target) (target, error) {
	u, err := url.Parse(t.base)
	if err != nil {
		return t, err
	}
	key := bareKey{w.app, u.Scheme == "https"}
	if t.upload > 0 {
		key.to = w.tools.url
	}
	b, err := w.bareProxy(ctx, key)
	if err != nil {
		return t, err
	}
	t.name, t.base, t.prefix, t.proc, t.feed = "bare", b.base, "", b.proc, nil
	if !w.plan.same {
		t.header = nil
	}
	return t, nil
}

// besideBare makes rows of targets, with the bare proxy as yardstick.
func (w *world) besideBare(ctx context.Context, rows []row) ([]row, error) {
	for i, r := range rows {
		bare, err := w.bareFor(ctx, r.own)
		if err != nil {
			return nil, err
		}
		rows[i].beside = bare
		if r.name == "" {
			rows[i].name = r.own.name
		}
	}
	return rows, nil
}
