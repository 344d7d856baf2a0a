package h1_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"gatehouse/proxy/upstream/h1"
)

// big is a body that is not sent with the head.
var big = strings.Repeat("0123456789abcdef", 16<<10)

// tracked tells when it is closed and whether it is read after that.
type tracked struct {
	io.Reader
	closed atomic.Int32
	late   atomic.Bool
}

func (b *tracked) Read(p []byte) (int, error) {
	if b.closed.Load() > 0 {
		b.late.Store(true)
	}
	return b.Reader.Read(p)
}

func (b *tracked) Close() error {
	b.closed.Add(1)
	return nil
}

func TestRequestOnTheWire(t *testing.T) {
	seen := make(chan string, 1)
	addr := server(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for {
			var head strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if head.WriteString(line); line == "\r\n" {
					break
				}
			}
			seen <- head.String()
			io.WriteString(c, ok)
		}
	})
	c := client(t, addr)
	r := request(t, "", nil)
	r.Header = http.Header{
		"User-Agent": {""}, "transfer-encoding": {"chunked"}, "Content-Length": {"5"}, "Trailer": {"A"},
		"Host": {"evil"}, "Keep-Alive": {"1"}, "Connection": {"X-One"}, "PROXY-connection": {"x"}, "X-One": {" 1\t"}, "Nil": nil,
	}
	if _, _, err := ask(t, c, r); err != nil {
		t.Fatal(err)
	}
	if got, want := <-seen, "GET /path?q=1 HTTP/1.1\r\nHost: app.test\r\nX-One: 1\r\n\r\n"; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	r = request(t, "POST", nil)
	r.Host, r.Header["Connection"], r.URL.RawQuery = "other:80", []string{"a, close"}, ""
	r.URL.Path, r.URL.RawPath, r.URL.ForceQuery = "/a b/c", "/a%20b%2Fc", true
	r.URL.Path = "/a b/c"
	if _, _, err := ask(t, c, r); err != nil {
		t.Fatal(err)
	}
	if got, want := <-seen, "POST /a%20b%2Fc? HTTP/1.1\r\nHost: other:80\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	if c.Stats().Idle != 0 {
		t.Error("the connection was kept though the request said close")
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	var dials atomic.Int32
	c := client(t, "127.0.0.1:1", func(o *h1.Options) {
		o.Dial = func(context.Context, string, string) (net.Conn, error) {
			dials.Add(1)
			return nil, errors.New("no")
		}
	})
	for name, set := range map[string]func(*http.Request){
		"method with a space": func(r *http.Request) { r.Method = "GET /x" },
		"method with CRLF":    func(r *http.Request) { r.Method = "GET\r\n" },
		"space in query":      func(r *http.Request) { r.URL.RawQuery = "a b" },
		"CRLF in query":       func(r *http.Request) { r.URL.RawQuery = "a HTTP/1.1\r\nA: b" },
		"DEL in query":        func(r *http.Request) { r.URL.RawQuery = "\x7f" },
		"path without slash":  func(r *http.Request) { r.URL.Path = "http://evil/" },
		"star":                func(r *http.Request) { r.URL.Path = "*" },
		"host with CRLF":      func(r *http.Request) { r.Host = "a\r\nb: c" },
		"host with a slash":   func(r *http.Request) { r.Host = "a/b" },
		"host with a space":   func(r *http.Request) { r.Host = "a b" },
		"no host":             func(r *http.Request) { r.Host, r.URL.Host = "", "" },
		"name with a space":   func(r *http.Request) { r.Header["A B"] = []string{"c"} },
		"name with a colon":   func(r *http.Request) { r.Header["A:"] = []string{"c"} },
		"name with CRLF":      func(r *http.Request) { r.Header["A\r\nB"] = []string{"c"} },
		"no name":             func(r *http.Request) { r.Header[""] = []string{"c"} },
		"value with CR":       func(r *http.Request) { r.Header["A"] = []string{"a\rb"} },
		"value with LF":       func(r *http.Request) { r.Header["A"] = []string{"ok", "a\nB: c"} },
		"value with NUL":      func(r *http.Request) { r.Header["A"] = []string{"\x00"} },
		"agent with LF":       func(r *http.Request) { r.Header["User-Agent"] = []string{"a\nb"} },
		"expect, disguised":   func(r *http.Request) { r.Header["expect"] = []string{"100-continue"} },
		"upgrade, disguised":  func(r *http.Request) { r.Header["upgrade"] = []string{"h2c"} },
		"length without body": func(r *http.Request) { r.ContentLength = 5 },
	} {
		t.Run(name, func(t *testing.T) {
			r := request(t, "GET", nil)
			set(r)
			if _, err := c.RoundTrip(r); err == nil {
				t.Error("no error")
			}
			if dials.Load() != 0 {
				t.Error("a connection was made before it was refused")
			}
		})
	}
}

func TestWhatIsLeftToNetHTTP(t *testing.T) {
	c := client(t, "127.0.0.1:1")
	for name, set := range map[string]func(*http.Request){
		"https":          func(r *http.Request) { r.URL.Scheme = "https" },
		"CONNECT":        func(r *http.Request) { r.Method = "CONNECT" },
		"trace":          func(r *http.Request) { r.Method = "Trace" },
		"upgrade":        func(r *http.Request) { r.Header.Set("Upgrade", "websocket") },
		"connection":     func(r *http.Request) { r.Header.Set("Connection", "keep-alive, Upgrade") },
		"expect":         func(r *http.Request) { r.Header.Set("Expect", "100-continue") },
		"trailers":       func(r *http.Request) { r.Trailer = http.Header{"A": nil} },
		"opaque":         func(r *http.Request) { r.URL.Opaque = "//x/y" },
		"unicode host":   func(r *http.Request) { r.Host = "b\u00fccher" },
		"zone":           func(r *http.Request) { r.Host = "[fe80::1%eth0]" },
		"odd coding":     func(r *http.Request) { r.TransferEncoding = []string{"identity"} },
		"GET and a body": func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("x")) },
	} {
		r := request(t, "GET", nil)
		if !c.Handles(r) {
			t.Fatal("a plain GET is not handled")
		}
		set(r)
		if c.Handles(r) {
			t.Errorf("%s is handled", name)
		}
	}
}

func TestBodiesArrive(t *testing.T) {
	addr := server(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			res := http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}}
			body, err := io.ReadAll(req.Body)
			if err != nil {
				return
			}
			res.ContentLength, res.Body = int64(len(body)), io.NopCloser(strings.NewReader(string(body)))
			res.Header["Said"] = append(req.TransferEncoding, req.Header["Content-Length"]...)
			res.Write(c)
		}
	})
	c := client(t, addr)
	for _, size := range []int{0, 1, 1000, 16 << 10, 16<<10 + 1, 100_000, len(big)} {
		for _, known := range []bool{true, false} {
			b := &tracked{Reader: iotest.HalfReader(strings.NewReader(big[:size]))}
			r := request(t, "POST", b)
			if r.ContentLength = -1; known {
				r.ContentLength = int64(size)
			}
			if size == 0 && known {
				r.Body = nil
			}
			_, body, err := ask(t, c, r)
			if err != nil || body != big[:size] {
				t.Errorf("%d bytes (known: %v): got %d, %v", size, known, len(body), err)
			}
			if r.Body != nil && (b.closed.Load() != 1 || b.late.Load()) {
				t.Errorf("%d bytes: closed %d times, read after that: %v", size, b.closed.Load(), b.late.Load())
			}
		}
	}
	if s := c.Stats(); s.Dials != 1 {
		t.Errorf("stats %+v, want one connection", s)
	}
}

func TestBodiesOfAnotherLength(t *testing.T) {
	var whole atomic.Int32
	addr := server(t, func(_ int, c net.Conn, r *bufio.Reader) {
		if readRequest(r) != nil {
			whole.Add(1)
			r.ReadByte() // wait for the end
		}
	})
	c := client(t, addr)
	broken := errors.New("broken")
	for name, body := range map[string]struct {
		io.Reader
		said int64
	}{
		"short":        {strings.NewReader("abc"), 4},
		"long":         {strings.NewReader("abc"), 2},
		"broken":       {iotest.ErrReader(broken), 4},
		"short, big":   {strings.NewReader(big), int64(len(big)) + 1},
		"broken, big":  {io.MultiReader(strings.NewReader(big), iotest.ErrReader(broken)), int64(len(big)) + 1},
		"broken chunk": {io.MultiReader(strings.NewReader(big), iotest.ErrReader(broken)), -1},
	} {
		t.Run(name, func(t *testing.T) {
			b := &tracked{Reader: body}
			r := request(t, "POST", b)
			r.ContentLength = body.said
			_, _, err := ask(t, c, r)
			if err == nil || strings.HasPrefix(name, "broken") && !errors.Is(err, broken) {
				t.Errorf("error %v, want that of the body", err)
			}
			if b.closed.Load() != 1 || whole.Load() != 0 || c.Stats().Idle != 0 {
				t.Errorf("closed %d times, %d taken for whole, %+v", b.closed.Load(), whole.Load(), c.Stats())
			}
		})
	}
}

func TestEarlyAnswerEndsTheBody(t *testing.T) {
	const early = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno"
	for name, talk := range map[string]func(c net.Conn, r *bufio.Reader){
		"and stops reading": func(c net.Conn, r *bufio.Reader) { io.WriteString(c, early); io.Copy(io.Discard, r) },
		"and closes": func(c net.Conn, r *bufio.Reader) {
			io.WriteString(c, early)
			c.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, r)
		},
		"without a body": func(c net.Conn, r *bufio.Reader) {
			io.WriteString(c, "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
			io.Copy(io.Discard, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, server(t, func(_ int, c net.Conn, r *bufio.Reader) {
				http.ReadRequest(r)
				talk(c, r)
			}))
			// The body never ends by itself.
			content, feed := io.Pipe()
			fed := make(chan struct{})
			go func() {
				defer close(fed)
				for {
					if _, err := feed.Write([]byte(big[:1000])); err != nil {
						return
					}
				}
			}()
			r := request(t, "POST", content)
			r.ContentLength = -1
			res, _, err := ask(t, c, r)
			if err != nil || res.StatusCode != 413 {
				t.Errorf("got %v, %v, want 413", res, err)
			}
			<-fed // the pipe was closed, so its reader is gone
			if s := c.Stats(); s.Idle != 0 {
				t.Error("the connection was kept with half a request on it")
			}
		})
	}
}

func TestEarlyAnswerDoesNotWaitForTheBody(t *testing.T) {
	c := client(t, server(t, func(_ int, c net.Conn, r *bufio.Reader) {
		http.ReadRequest(r)
		io.WriteString(c, "HTTP/1.1 413 No\r\nContent-Length: 2\r\n\r\nno")
		io.Copy(io.Discard, r)
	}))
	content, feed := io.Pipe() // silent until the exchange is over
	b := &silent{tracked: tracked{Reader: content}, reads: make(chan struct{}, 10), closed: make(chan struct{})}
	r := request(t, "POST", b)
	r.ContentLength = -1
	res, _, err := ask(t, c, r)
	if err != nil || res.StatusCode != 413 {
		t.Errorf("got %v, %v, want 413", res, err)
	}
	before := len(b.reads)
	go feed.Write([]byte("late"))
	if before == 0 {
		content.Close() // it was over before the first Read
	}
	<-b.closed
	content.Close()
	if len(b.reads) > before {
		t.Errorf("%d reads before the response was closed, %d in the end", before, len(b.reads))
	}
	if c.Stats().Idle != 0 {
		t.Error("the connection was kept")
	}
}

// silent counts reads and tells when it is closed.
type silent struct {
	tracked
	reads  chan struct{}
	closed chan struct{}
}

func (b *silent) Read(p []byte) (int, error) {
	b.reads <- struct{}{}
	return b.tracked.Read(p)
}

func (b *silent) Close() error {
	close(b.closed)
	return b.tracked.Close()
}

func TestFullDuplex(t *testing.T) {
	addr := server(t, func(_ int, c net.Conn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		b := make([]byte, 1)
		for {
			if _, err := req.Body.Read(b); err != nil {
				break
			}
			io.WriteString(c, "1\r\n"+string(b)+"\r\n")
		}
		io.WriteString(c, "0\r\n\r\n")
		readRequest(r)
	})
	c := client(t, addr)
	content, feed := io.Pipe()
	r := request(t, "POST", content)
	res, err := c.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2000)
	for _, s := range "ping" {
		io.WriteString(feed, string(s))
		if n, err := res.Body.Read(b); string(b[:n]) != string(s) {
			t.Fatalf("sent %q, got %q, %v", s, b[:n], err)
		}
	}
	feed.Close()
	if rest, err := io.ReadAll(res.Body); len(rest) > 0 || err != nil {
		t.Errorf("%q, %v after the end", rest, err)
	}
	res.Body.Close()
	if s := c.Stats(); s.Idle != 1 {
		t.Errorf("stats %+v, want the connection kept", s)
	}
}

func TestServerThatAnswersBeforeItReads(t *testing.T) {
	// Both sides write more than the kernel holds for them.
	const huge = 16 << 20
	addr := server(t, func(_ int, c net.Conn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", huge)
		io.CopyN(c, zeros{}, huge)
		io.Copy(io.Discard, req.Body)
		readRequest(r)
	})
	c := client(t, addr)
	r := request(t, "POST", io.LimitReader(zeros{}, huge))
	r.ContentLength = huge
	_, body, err := ask(t, c, r)
	if err != nil || len(body) != huge {
		t.Errorf("%d bytes, %v, want %d", len(body), err, huge)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
