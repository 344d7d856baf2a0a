//go:build unix

package h1

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

// TestRequestLargerThanTheSocket: what cannot be written at once is written
// beside the reading of the answer.
func TestRequestLargerThanTheSocket(t *testing.T) {
	s := newScript(0, [][]byte{[]byte(good), []byte(good), []byte(good)})
	own := New(Options{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := s.dial(ctx, network, addr)
		if err == nil {
			err = c.(*net.UnixConn).SetWriteBuffer(1 << 10)
		}
		return c, err
	}})
	body := strings.Repeat("b", smallBody)
	for i, set := range []func(*http.Request){
		func(r *http.Request) { r.Header.Set("Large", strings.Repeat("a", 200<<10)) },
		func(r *http.Request) {
			r.Method, r.Body, r.ContentLength = "POST", io.NopCloser(strings.NewReader(body)), smallBody
		},
		func(r *http.Request) {
			r.Header.Set("Large", strings.Repeat("a", 200<<10))
			r.Method, r.Body, r.ContentLength = "POST", io.NopCloser(strings.NewReader(body)), -1
		},
	} {
		r := numbered(plainRequest(t.Context()), i)
		set(r)
		if o := exchangeOnce(own, r); o.err != nil || o.Body != "good" {
			t.Errorf("request %d: %q, %v", i, o.Body, o.err)
		}
		rec := s.settle(i, true)
		if i > 0 && rec.body != body || i != 1 && !strings.Contains(strings.Join(rec.head, "\n"), "aaaa") {
			t.Errorf("request %d did not arrive: %d bytes of a body", i, len(rec.body))
		}
	}
	if n := own.Stats().Dials; n != 1 {
		t.Errorf("%d connections, want one", n)
	}
	own.CloseIdleConnections()
	s.wait()
}

func TestCloseEndsARead(t *testing.T) {
	half := []byte("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
	s := newScript(0, [][]byte{half})
	own := New(Options{Dial: s.dial})
	res, err := own.RoundTrip(numbered(plainRequest(t.Context()), 0))
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan error)
	go func() {
		_, err := res.Body.Read(make([]byte, 4))
		read <- err
	}()
	b := res.Body.(*body)
	for b.mu.TryLock() { // until the Read has it
		b.mu.Unlock()
		runtime.Gosched()
	}
	res.Body.Close()
	if err := <-read; err == nil || err == io.EOF {
		t.Errorf("the Read ended with %v, want an error", err)
	}
	if own.Stats().Idle != 0 {
		t.Error("the connection was kept")
	}
	s.wait()
}

func TestDialMustGiveASocket(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	own := New(Options{Dial: func(context.Context, string, string) (net.Conn, error) { return ours, nil }})
	if o := exchangeOnce(own, plainRequest(t.Context())); o.err != errNoSocket {
		t.Errorf("got %v, want %v", o.err, errNoSocket)
	}
	if _, err := io.Copy(io.Discard, theirs); err != nil {
		t.Errorf("the connection was not closed: %v", err)
	}
}

func TestBodyMayEndLate(t *testing.T) {
	// A reader may give its last bytes first and its end in a Read of its own.
	s := newScript(0, [][]byte{[]byte(good)})
	own := New(Options{Dial: s.dial})
	large := bytes.Repeat([]byte("x"), 3*smallBody)
	r := numbered(plainRequest(t.Context()), 0)
	r.Method, r.ContentLength, r.Body = "POST", int64(len(large)), io.NopCloser(bytes.NewReader(large))
	if o := exchangeOnce(own, r); o.err != nil || s.settle(0, true).body != string(large) {
		t.Errorf("got %+v", o)
	}
	own.CloseIdleConnections()
	s.wait()
}
