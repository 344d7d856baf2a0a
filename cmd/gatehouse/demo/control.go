package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// MintFunc returns an access token of orders-job with the scopes.
type MintFunc func(ctx context.Context, scopes []string) (string, error)

// Control answers `gatehouse demo token` for a running demo: a Unix socket in
// a directory of mode 0700, named by a file of mode 0600 in the user's cache
// directory. Only processes of the same user get there.
type Control struct {
	beacon   string
	listener net.Listener
	mint     MintFunc
	wg       sync.WaitGroup
}

// beacon is the content of the file that says where a demo can be asked.
type beacon struct {
	Addr    string    `json:"addr"`   // host:port of the public URL
	Socket  string    `json:"socket"` // path of the Unix socket
	PID     int       `json:"pid"`
	Started time.Time `json:"started"`
}

type question struct {
	Scopes []string `json:"scopes"`
}

type reply struct {
	Token string `json:"token,omitempty"`
	Error string `json:"error,omitempty"`
}

// Announce opens the socket of the demo at addr (host:port) and leaves the
// file that names it. Close ends both.
func Announce(addr string, mint MintFunc) (*Control, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("announce demo: %w", err)
	}
	dir := socketDir()
	if err := privateDir(dir); err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, port+".sock")
	// What is left of an earlier demo on this port is dead: the port is ours.
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove stale socket: %w", err)
	}
	ln, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("open control socket: %w", err)
	}
	c := &Control{listener: ln, mint: mint}
	if c.beacon, err = writeBeacon(beacon{Addr: addr, Socket: socket, PID: os.Getpid(), Started: time.Now()}, port); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	c.wg.Go(c.accept)
	return c, nil
}

// Socket returns the path of the socket.
func (c *Control) Socket() string { return c.listener.Addr().String() }

// Close removes the file and the socket, and waits for open answers.
func (c *Control) Close() error {
	err := errors.Join(os.Remove(c.beacon), c.listener.Close())
	c.wg.Wait()
	return err
}

func (c *Control) accept() {
	for {
		conn, err := c.listener.Accept()
		if err != nil {
			return // closed
		}
		c.wg.Go(func() { c.answer(conn) })
	}
}

func (c *Control) answer(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	var q question
	line, err := bufio.NewReader(io.LimitReader(conn, 64<<10)).ReadBytes('\n')
	if err != nil || json.Unmarshal(line, &q) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var a reply
	if a.Token, err = c.mint(ctx, q.Scopes); err != nil {
		a = reply{Error: err.Error()}
	}
	_ = json.NewEncoder(conn).Encode(a) // who asked may have gone away
}

// ErrNoDemo says that no demo of this user is running.
var ErrNoDemo = errors.New("no demo is running here: start one with `gatehouse demo`")

// Token asks the running demo at addr (host:port or URL), or the newest one if
// addr is empty, for an access token of orders-job with the scopes.
func Token(ctx context.Context, addr string, scopes []string) (string, error) {
	demos, err := beacons()
	if err != nil {
		return "", err
	}
	want := strings.TrimSuffix(strings.TrimPrefix(addr, "http://"), "/")
	for _, d := range demos {
		if want != "" && !samePort(d.Addr, want) {
			continue
		}
		token, err := ask(ctx, d, scopes)
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, os.ErrNotExist) {
			continue // it was killed and left its file behind
		}
		return token, err
	}
	if want != "" {
		return "", fmt.Errorf("no demo is running at %s: start one with `gatehouse demo --listen %s`", want, want)
	}
	return "", ErrNoDemo
}

func samePort(a, b string) bool {
	_, pa, errA := net.SplitHostPort(a)
	_, pb, errB := net.SplitHostPort(b)
	return errA == nil && errB == nil && pa == pb
}

func ask(ctx context.Context, d beacon, scopes []string) (string, error) {
	if err := ownedPrivately(filepath.Dir(d.Socket)); err != nil {
		return "", err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", d.Socket)
	if err != nil {
		return "", fmt.Errorf("ask demo at %s: %w", d.Addr, err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if err := json.NewEncoder(conn).Encode(question{Scopes: scopes}); err != nil {
		return "", fmt.Errorf("ask demo at %s: %w", d.Addr, err)
	}
	var a reply
	if err := json.NewDecoder(io.LimitReader(conn, 64<<10)).Decode(&a); err != nil {
		return "", fmt.Errorf("read answer of demo at %s: %w", d.Addr, err)
	}
	if a.Error != "" {
		return "", errors.New(a.Error)
	}
	return a.Token, nil
}
