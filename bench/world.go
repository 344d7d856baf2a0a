package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// world is everything that runs while bench measures.
type world struct {
	dir      string // temporary, removed at the end
	public   string // URL of the gateway
	issuer   string // URL of its provider
	bareURL  string
	upstream *process
	bare     *process
	gateway  *process
}

// path is what every target asks for: a small body from the application.
const path = "/page"

// body has the size of a small JSON answer.
const body = `{"id":"7","item":"lantern","quantity":3,"status":"open"}`

// openWorld starts the application, the bare proxy and the gateway.
func openWorld(ctx context.Context, binary string) (w *world, err error) {
	for program, pack := range map[string]string{"wrk": "wrk", "nginx": "nginx-light"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%s is not installed: apt-get install --no-install-recommends %s", program, pack)
		}
	}
	w = &world{}
	if w.dir, err = os.MkdirTemp("", "gatehouse-bench-"); err != nil {
		return nil, fmt.Errorf("make a place to work in: %w", err)
	}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if binary == "" {
		binary = filepath.Join(w.dir, "gatehouse")
		if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "gatehouse/cmd/gatehouse").CombinedOutput(); err != nil {
			return w, fmt.Errorf("build gatehouse: %w\n%s", err, out)
		}
	}
	var ports [3]int
	for i := range ports {
		if ports[i], err = freePort(); err != nil {
			return w, err
		}
	}
	app := fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	if err := w.startUpstream(ctx, ports[0], app); err != nil {
		return w, err
	}
	if err := w.startBare(ctx, ports[1], app); err != nil {
		return w, err
	}
	return w, w.startGateway(ctx, binary, ports[2], app)
}

// close ends what openWorld started, the last first.
func (w *world) close() {
	for _, p := range []*process{w.gateway, w.bare, w.upstream} {
		if p != nil {
			p.end()
		}
	}
	_ = os.RemoveAll(w.dir) // what is left is temporary anyway
}

func (w *world) startUpstream(ctx context.Context, port int, url string) error {
	conf := fmt.Sprintf(`daemon off;
master_process off;
pid %[1]s/nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 300s;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  server {
    listen 127.0.0.1:%[2]d;
    default_type application/json;
    location / { return 200 '%[3]s'; }
  }
}
`, w.dir, port, body)
	file := filepath.Join(w.dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return fmt.Errorf("configure nginx: %w", err)
	}
	var err error
	if w.upstream, err = start(w.dir, "nginx", "nginx", "-c", file, "-e", "stderr"); err != nil {
		return err
	}
	return w.upstream.ready(ctx, url+path)
}

func (w *world) startBare(ctx context.Context, port int, app string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find myself: %w", err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	w.bareURL = "http://" + addr + path
	if w.bare, err = start(w.dir, "bare", self, "-bare", addr, "-to", app); err != nil {
		return err
	}
	return w.bare.ready(ctx, w.bareURL)
}

// Credentials of the gateway that is measured. They open nothing else.
const (
	person         = "alice"
	personPassword = "bench-password-of-alice"
	machine        = "load"
	machineSecret  = "bench-secret-of-the-load-client-00"
)

func (w *world) startGateway(ctx context.Context, binary string, port int, app string) error {
	// Two hosts on one listener: the application's and the provider's.
	w.public, w.issuer = fmt.Sprintf("http://localhost:%d", port), fmt.Sprintf("http://127.0.0.1:%d", port)
	conf := strings.NewReplacer(
		"PUBLIC", w.public, "PORT", fmt.Sprint(port), "DIR", w.dir, "APP", app, "ISSUER", w.issuer,
		"PERSON_PASSWORD", personPassword, "PERSON", person, "MACHINE_SECRET", machineSecret, "MACHINE", machine,
	).Replace(gatewayConfig)
	file := filepath.Join(w.dir, "gatehouse.yaml")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return fmt.Errorf("configure gatehouse: %w", err)
	}
	var err error
	if w.gateway, err = start(w.dir, "gatehouse", binary, "serve", "--config", file); err != nil {
		return err
	}
	return w.gateway.ready(ctx, w.public+"/public"+path)
}

const gatewayConfig = `public_url: PUBLIC
listen: 127.0.0.1:PORT
data_dir: DIR/data
secrets_dir: DIR/secrets
upstreams:
  app: APP
routes:
  - name: open
    match: { path: /public/** }
    allow: anyone
  - name: api
    match: { path: /api/**, methods: [GET] }
    allow: { scopes: [orders.read] }
    on_unauthenticated: deny
  - name: the-rest
    match: { path: /** }
    allow: signed-in
idp:
  issuer: ISSUER
  bootstrap:
    users:
      - { username: PERSON, email: PERSON@example.com, email_verified: true, password: PERSON_PASSWORD }
    resource_servers:
      - { id: orders, name: Orders, scopes: [{ name: orders.read, description: Read orders }] }
    clients:
      - { id: MACHINE, secret: MACHINE_SECRET, grants: [client_credentials], scopes: [orders.read] }
`

// targets are the three ways to ask the gateway.
func (w *world) targets(ctx context.Context) ([]target, error) {
	token, err := machineToken(ctx, w.issuer)
	if err != nil {
		return nil, err
	}
	cookie, err := sessionCookie(ctx, w.public+path)
	if err != nil {
		return nil, err
	}
	targets := []target{
		{name: "public", url: w.public + "/public" + path, proc: w.gateway},
		{name: "bearer", url: w.public + "/api" + path, header: http.Header{"Authorization": {"Bearer " + token}}, proc: w.gateway},
		{name: "session", url: w.public + path, header: http.Header{"Cookie": {cookie}}, proc: w.gateway},
	}
	for _, t := range targets {
		if err := answers(ctx, t); err != nil {
			return nil, err
		}
	}
	return targets, nil
}

// answers makes sure that t gets the application's body, not a refusal.
func answers(ctx context.Context, t target) error {
	a, err := send(ctx, http.MethodGet, t.url, nil, t.header)
	if err != nil {
		return err
	}
	if a.status != http.StatusOK || a.body != body {
		return errors.New(t.name + " does not reach the application: " + fmt.Sprint(a.status) + "\n" + a.body)
	}
	return nil
}

// bareFor is the bare proxy, asked with t's credential.
func (w *world) bareFor(t target) target {
	return target{name: "bare", url: w.bareURL, header: t.header, proc: w.bare}
}
