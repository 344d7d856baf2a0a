package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Files that the application has besides its page: a name and a size.
const (
	mediumFile = "/files/64k"
	largeFile  = "/files/10m"
	mediumSize = 64 << 10
	largeSize  = 10 << 20
)

// told is a page of the application that says who it was told is asking.
const told = "/told"

// startApplication starts nginx, as the application behind every proxy.
func (w *world) startApplication(ctx context.Context) error {
	files := filepath.Join(w.dir, "files")
	if err := os.Mkdir(files, 0o755); err != nil {
		return fmt.Errorf("make files: %w", err)
	}
	for name, size := range map[string]int{mediumFile: mediumSize, largeFile: largeSize} {
		text := make([]byte, size)
		_, _ = rand.Read(text) // never fails (crypto/rand)
		if err := os.WriteFile(filepath.Join(files, filepath.Base(name)), text, 0o644); err != nil {
			return fmt.Errorf("make files: %w", err)
		}
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	server := strings.NewReplacer("BODY", body, "FILES", files, "TOLD", told).Replace(`
    location / { return 200 'BODY'; }
    location ~ /files/(?<name>[a-z0-9]+)$ { alias FILES/$name; }
    location ~ TOLD$ { return 200 '$http_x_forwarded_user $http_x_amzn_oidc_data'; }`)
	w.app = fmt.Sprintf("http://127.0.0.1:%d", port)
	p, err := w.startNginx("application", port, "", server)
	if err != nil {
		return err
	}
	return p.ready(ctx, w.app+page)
}

// startNginx starts an nginx of one process, with what stands in its http block
// and in its only server.
func (w *world) startNginx(name string, port int, http, server string) (*process, error) {
	dir := filepath.Join(w.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("configure nginx: %w", err)
	}
	conf := fmt.Sprintf(nginxConfig, dir, port, http, server)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return nil, fmt.Errorf("configure nginx: %w", err)
	}
	return w.start(program{name: name, path: "nginx", args: []string{"-c", file, "-e", "stderr"}})
}

const nginxConfig = `daemon off;
master_process off;
pid %[1]s/nginx.pid;
error_log stderr error;
events { worker_connections 8192; }
http {
  access_log off;
  sendfile on;
  keepalive_requests 1000000000;
  keepalive_timeout 300s;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  default_type application/json;
  %[3]s
  server {
    listen 127.0.0.1:%[2]d;
    %[4]s
  }
}
`

// toolsServer is an application for what nginx does not do by itself: it reads
// bodies and throws them away, and takes web sockets and stays silent.
type toolsServer struct {
	url    string
	server *http.Server
}

func openTools() (*toolsServer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open tools: %w", err)
	}
	t := &toolsServer{url: "http://" + l.Addr().String(), server: &http.Server{
		Handler: http.HandlerFunc(serveTools), ReadHeaderTimeout: 10 * time.Second,
	}}
	go t.server.Serve(l)
	return t, nil
}

func (t *toolsServer) close() { _ = t.server.Close() }

func serveTools(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "" {
		serveSocket(w, r)
		return
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, _ = io.WriteString(w, body) // whoever has gone does not matter
}

// serveSocket takes a web socket (RFC 6455 §4.2.2), echoes bytes as they come,
// and ends with its client.
func serveSocket(w http.ResponseWriter, r *http.Request) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	fmt.Fprintf(buf, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		socketAccept(r.Header.Get("Sec-WebSocket-Key")))
	if buf.Flush() != nil {
		return
	}
	_, _ = io.Copy(conn, bufio.NewReader(conn)) // ends with the client
}

// socketAccept answers a handshake's key (RFC 6455 §1.3).
func socketAccept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
