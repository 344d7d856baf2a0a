package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
)

// peers shows where proxies written in other ways stand, as plain proxies. None
// of them knows who asks.
func peers(ctx context.Context, w *world) ([]line, error) {
	app, err := url.Parse(w.app)
	if err != nil {
		return nil, err
	}
	var lines []line
	var rows []row
	for _, peer := range []struct {
		name  string
		start func(port int, app string) (*process, error)
	}{{"nginx", w.startNginxProxy}, {"haproxy", w.startHaproxy}, {"caddy", w.startCaddy}} {
		if _, err := exec.LookPath(peer.name); err != nil {
			lines = append(lines, skippedLine(peer.name, "not installed"))
			continue
		}
		t, err := w.startPeer(ctx, peer.name, app.Host, peer.start)
		if err != nil {
			lines = append(lines, failedLine(peer.name, err))
			continue
		}
		rows = append(rows, row{own: t})
	}
	if rows, err = w.besideBare(ctx, rows); err != nil {
		return nil, err
	}
	return append(w.paired(ctx, rows), lines...), nil
}

func (w *world) startPeer(ctx context.Context, name, app string, start func(int, string) (*process, error)) (target, error) {
	port, err := freePort()
	if err != nil {
		return target{}, err
	}
	p, err := start(port, app)
	if err != nil {
		return target{}, err
	}
	t := target{name: name, base: fmt.Sprintf("http://127.0.0.1:%d", port), path: page, proc: p}
	if err := p.ready(ctx, t.url()); err != nil {
		return t, err
	}
	return t, answers(ctx, t)
}

func (w *world) startNginxProxy(port int, app string) (*process, error) {
	return w.startNginx("nginx-proxy", port, fmt.Sprintf("upstream app { server %s; keepalive 256; keepalive_requests 1000000000; }", app),
		`location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }`)
}

func (w *world) startHaproxy(port int, app string) (*process, error) {
	return w.startWith("haproxy", "haproxy.cfg", fmt.Sprintf(`defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend front
  bind 127.0.0.1:%d
  default_backend app
backend app
  server app %s
`, port, app), "-db", "-f")
}

func (w *world) startCaddy(port int, app string) (*process, error) {
	return w.startWith("caddy", "Caddyfile", fmt.Sprintf(`{
	admin off
	auto_https off
}
http://127.0.0.1:%d {
	reverse_proxy %s {
		transport http {
			keepalive_idle_conns_per_host 1024
		}
	}
}
`, port, app), "run", "--adapter", "caddyfile", "--config")
}

// startWith starts a program with a configuration, whose path is the last of
// its arguments.
func (w *world) startWith(name, file, conf string, args ...string) (*process, error) {
	file = filepath.Join(w.dir, file)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return nil, fmt.Errorf("configure %s: %w", name, err)
	}
	return w.start(program{name: name, path: name, args: append(args, file)})
}
