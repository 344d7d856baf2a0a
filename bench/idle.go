package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// held is how long idle connections are held before memory counts: what was
// needed to open them shall be free again.
const held = 3 * time.Second

// idle opens connections to t, each of which asks once and then stays, and
// returns the KiB that t's process has more for each, its own pages alone: how many
// of the program's are there is another question. With socket the question is for a
// web socket.
func idle(ctx context.Context, t target, socket bool) (kib float64, err error) {
	n, question := idleConnections, http.StatusOK
	if socket {
		n, question = idleSockets, http.StatusSwitchingProtocols
	}
	u, err := url.Parse(t.url())
	if err != nil {
		return 0, err
	}
	text := t.question(u, question)
	conns := openConns{}
	defer conns.close()
	before, err := t.proc.own()
	if err != nil {
		return 0, err
	}
	if _, err := many(ctx, n, 32, func(ctx context.Context, _ int) (struct{}, error) {
		return struct{}{}, conns.open(ctx, u.Port(), text, question)
	}); err != nil {
		return 0, fmt.Errorf("open %d connections to %s: %w", n, t.proc.name, err)
	}
	time.Sleep(held)
	after, err := t.proc.own()
	return (after - before) * 1024 / float64(n), err
}

// question is a request whose answer has the given status.
func (t target) question(u *url.URL, status int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "GET %s HTTP/1.1\r\nHost: %s\r\n", u.RequestURI(), u.Host)
	for name, values := range t.header {
		fmt.Fprintf(&text, "%s: %s\r\n", name, values[0])
	}
	if status == http.StatusSwitchingProtocols {
		text.WriteString("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
	}
	return text.String() + "\r\n"
}

// openConns are connections that are held.
type openConns struct {
	mu   sync.Mutex
	list []net.Conn
}

func (c *openConns) close() {
	for _, conn := range c.list {
		conn.Close()
	}
}

// open opens one more, asks, and wants an answer of that status.
func (c *openConns) open(ctx context.Context, port, question string, status int) error {
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.list = append(c.list, conn)
	c.mu.Unlock()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second)) // only a closed one refuses, which Write tells
	if _, err := conn.Write([]byte(question)); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReaderSize(conn, 1024), nil)
	if err != nil {
		return err
	}
	if res.StatusCode != status {
		return fmt.Errorf("answered %s, want %d", res.Status, status)
	}
	return nil
}
