package upstream_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/proxy/canon"
	"gatehouse/proxy/upstream"
)

// both runs f with either transport: what holds for one holds for the other.
func both(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	for _, name := range []string{"standard", "h1"} {
		t.Run(name, f)
	}
}

// config returns the configuration of an upstream with all defaults, but for the
// transport that both has chosen.
func config(t *testing.T, raw string, change ...func(*upstream.Config)) upstream.Config {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	var c upstream.Config
	c.Defaults()
	c.URL = u
	if strings.Contains(t.Name()+"/", "/h1/") && u.Scheme == "http" {
		c.Transport = "h1"
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

// gate is a front server that forwards everything to one upstream, and what
// its refusals said.
type gate struct {
	*httptest.Server
	mu     sync.Mutex
	failed []error
}

func (g *gate) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.failed) == 0 {
		return nil
	}
	return g.failed[len(g.failed)-1]
}

// front starts a gate. edit may change how a request is forwarded.
func front(t *testing.T, cfg upstream.Config, edit func(w http.ResponseWriter, r *http.Request, f *upstream.Forward)) *gate {
	t.Helper()
	up, err := upstream.New("app", cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(up.Close)
	g := &gate{}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := canon.Parse(r) // what the gate decides on
		f := upstream.Forward{Path: r.URL.EscapedPath(), RawQuery: r.URL.RawQuery, Websocket: c.Websocket}
		f.Failed = func(w http.ResponseWriter, r *http.Request, err error) {
			g.mu.Lock()
			g.failed = append(g.failed, err)
			g.mu.Unlock()
			status := http.StatusTeapot
			if e, ok := err.(*upstream.Error); ok {
				status = e.Class.Status()
			}
			http.Error(w, err.Error(), status)
		}
		if edit != nil {
			edit(w, r, &f)
		}
		up.Forward(w, r, f)
	})
	g.Server = httptest.NewUnstartedServer(h)
	g.Config.Protocols = new(http.Protocols)
	g.Config.Protocols.SetHTTP1(true)
	g.Config.Protocols.SetUnencryptedHTTP2(true)
	g.Start()
	t.Cleanup(g.Close)
	return g
}

// raw starts an upstream that answers each connection with f.
func raw(t *testing.T, f func(conn net.Conn, r *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				f(conn, bufio.NewReader(conn))
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// speak sends text over a new connection and returns what comes back within
// the time that the server keeps it open, or two seconds.
func speak(t *testing.T, addr, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(addr, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	out, _ := io.ReadAll(conn)
	return string(out)
}

func TestRequestArrivesAsDecided(t *testing.T) {
	both(t, func(t *testing.T) {
		var line, host string
		var header http.Header
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			line, host, header = r.RequestURI, r.Host, r.Header
		}))
		defer app.Close()
		g := front(t, config(t, app.URL), func(_ http.ResponseWriter, r *http.Request, f *upstream.Forward) {
			f.Path, f.RawQuery = "/a%20b/c;d=%C3%A9/x%2Fy", r.URL.RawQuery
			f.Headers = func(h http.Header) { h.Set("X-Forwarded-User", "alice") }
		})
		speak(t, g.URL, "GET /whatever?a=1;b=2&c=%zz&role=admin HTTP/1.1\r\nHost: Shop.Example:81\r\nConnection: close, X-Forwarded-User\r\n"+
			"X-Forwarded-User: mallory\r\nX-HTTP-Method-Override: DELETE\r\nHTTP2-Settings: AAMAAABk\r\nTE: trailers, deflate\r\n\r\n")
		if want := "/a%20b/c;d=%C3%A9/x%2Fy?a=1;b=2&c=%zz&role=admin"; line != want {
			t.Errorf("request target = %s, want %s", line, want)
		}
		if host != "Shop.Example:81" {
			t.Errorf("Host = %q, want the one that was asked for", host)
		}
		if got := header.Values("X-Forwarded-User"); len(got) != 1 || got[0] != "alice" {
			t.Errorf("X-Forwarded-User = %q, want alice once although Connection lists it", got)
		}
		for _, name := range []string{"X-Http-Method-Override", "Http2-Settings", "User-Agent", "Accept-Encoding", "Connection"} {
			if v, ok := header[name]; ok {
				t.Errorf("%s: %q reached the upstream", name, v)
			}
		}
		if header.Get("Te") != "trailers" {
			t.Errorf("TE = %q, want trailers", header.Get("Te"))
		}
	})
}

func TestHostOfUpstream(t *testing.T) {
	both(t, func(t *testing.T) {
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) }))
		defer app.Close()
		g := front(t, config(t, app.URL, func(c *upstream.Config) { c.Host = "upstream" }), nil)
		if _, body := get(t, g.URL); "http://"+body != app.URL {
			t.Errorf("Host = %s, want that of %s", body, app.URL)
		}
	})
}

func TestUncanonicalPathIsNotSent(t *testing.T) {
	both(t, func(t *testing.T) {
		hits := 0
		app := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits++ }))
		defer app.Close()
		for _, path := range []string{"", "x", "*", "/a b", "/%zz", "/a\x00", "/a?b", "/é", `/a\b`, "/a#b", "//evil.test@x/%"} {
			g := front(t, config(t, app.URL), func(_ http.ResponseWriter, _ *http.Request, f *upstream.Forward) { f.Path = path })
			if res, _ := get(t, g.URL); res.StatusCode != 400 {
				t.Errorf("path %q: status %d, want 400", path, res.StatusCode)
			}
		}
		g := front(t, config(t, app.URL), nil)
		for _, method := range []string{"TRACE", "CONNECT"} {
			if out := speak(t, g.URL, method+" / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); !strings.HasPrefix(out, "HTTP/1.1 400") {
				t.Errorf("%s: %q, want 400", method, out)
			}
		}
		if hits != 0 {
			t.Errorf("%d requests reached the upstream, want none", hits)
		}
	})
}

func TestExpectIsNotPassedOn(t *testing.T) {
	both(t, func(t *testing.T) {
		var expect []string
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			expect = r.Header["Expect"]
			io.Copy(w, r.Body)
		}))
		defer app.Close()
		g := front(t, config(t, app.URL), nil)
		for _, value := range []string{"100-continue", "y 100-continue"} {
			out := speak(t, g.URL, "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: "+value+"\r\nContent-Length: 2\r\n\r\nhi")
			if !strings.Contains(out, "200 OK") || !strings.HasSuffix(out, "hi") {
				t.Errorf("Expect %q: %q, want the body back", value, out)
			}
			if expect != nil {
				t.Errorf("upstream saw Expect: %q", expect)
			}
		}
	})
}

func TestRequestTrailersAreStripped(t *testing.T) {
	both(t, func(t *testing.T) {
		var head, trailer http.Header
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			head, trailer = r.Header, r.Trailer
		}))
		defer app.Close()
		g := front(t, config(t, app.URL), nil)
		speak(t, g.URL, "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-Auth-Groups\r\n\r\n"+
			"2\r\nhi\r\n0\r\nX-Auth-Groups: admins\r\nX-Other: b\r\n\r\n")
		if head == nil {
			t.Fatal("the request did not arrive")
		}
		if len(trailer) != 0 || head.Get("Trailer") != "" || head.Get("X-Auth-Groups") != "" {
			t.Errorf("trailers %v, headers %v, want none of the client's trailers", trailer, head)
		}
	})
}

func TestResponseTrailersAreKept(t *testing.T) {
	both(t, func(t *testing.T) {
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Checksum, Set-Cookie")
			io.WriteString(w, "body")
			w.Header().Set("X-Checksum", "42")
			w.Header().Set("Set-Cookie", "__Host-gatehouse=evil")
			w.Header().Set(http.TrailerPrefix+"X-Late", "unannounced")
		}))
		defer app.Close()
		g := front(t, config(t, app.URL), nil)
		res, body := get(t, g.URL)
		if body != "body" || res.Trailer.Get("X-Checksum") != "42" || res.Trailer.Get("X-Late") != "unannounced" {
			t.Errorf("body %q, trailers %v, want X-Checksum and X-Late", body, res.Trailer)
		}
		if v := res.Trailer["Set-Cookie"]; len(v) > 0 {
			t.Errorf("trailer Set-Cookie: %q came through", v)
		}
	})
}

func TestConnectionsAreReused(t *testing.T) {
	both(t, func(t *testing.T) {
		var mu sync.Mutex
		conns := map[string]bool{}
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			conns[r.RemoteAddr] = true
			mu.Unlock()
		}))
		defer app.Close()
		g := front(t, config(t, app.URL), nil)
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				for range 8 {
					get(t, g.URL)
				}
			})
		}
		wg.Wait()
		if len(conns) > 40 {
			t.Errorf("256 requests, 32 at a time, used %d connections", len(conns))
		}
	})
}

func TestEventsArriveOneByOne(t *testing.T) {
	both(t, func(t *testing.T) {
		next := make(chan bool)
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for i := 1; i <= 2; i++ {
				fmt.Fprintf(w, "data: %d\n\n", i)
				w.(http.Flusher).Flush()
				<-next
			}
		}))
		defer app.Close()
		// The limit on the first byte must not count for an event stream.
		g := front(t, config(t, app.URL, func(c *upstream.Config) { c.ResponseTimeout = time.Nanosecond }), nil)
		req, _ := http.NewRequest("GET", g.URL, nil)
		req.Header.Set("Accept", "text/event-stream")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		events := bufio.NewScanner(res.Body)
		for _, want := range []string{"data: 1", "", "data: 2"} {
			if !events.Scan() || events.Text() != want {
				t.Fatalf("read %q, want %q", events.Text(), want)
			}
			if want == "data: 1" {
				next <- true // only now may the second event be made
			}
		}
		next <- true
	})
}

func TestHeadersOfASilentStreamArrive(t *testing.T) {
	both(t, func(t *testing.T) {
		release := make(chan bool)
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.(http.Flusher).Flush()
			<-release
		}))
		defer app.Close()
		defer close(release)
		g := front(t, config(t, app.URL), nil)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, "GET", g.URL, nil)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatalf("headers did not arrive before the first event: %v", err)
		}
		res.Body.Close()
	})
}

// An exchange that is ended from outside is one that was cancelled, whenever that
// comes.
func TestEndEndsAnExchange(t *testing.T) {
	both(t, func(t *testing.T) {
		gone, begun := make(chan bool, 1), make(chan bool, 1)
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/body" {
				io.WriteString(w, "some")
				w.(http.Flusher).Flush()
			}
			begun <- true
			<-r.Context().Done()
			gone <- true
		}))
		defer app.Close()
		for _, path := range []string{"/head", "/body"} {
			var end upstream.End
			g := front(t, config(t, app.URL), func(_ http.ResponseWriter, _ *http.Request, f *upstream.Forward) { f.End = &end })
			if path == "/head" {
				go func() { <-begun; end.Now(); end.Now() }()
			}
			res, err := http.Get(g.URL + path)
			if err == nil {
				if path == "/body" {
					<-begun
					io.ReadFull(res.Body, make([]byte, len("some")))
					end.Now()
				}
				_, err = io.ReadAll(res.Body)
				res.Body.Close()
			}
			if path == "/head" && (err != nil || !errors.Is(g.failure(), upstream.Canceled)) {
				t.Errorf("%s: %v, failure %v, want it cancelled", path, err, g.failure())
			}
			if path == "/body" && err == nil {
				t.Errorf("%s: half a body passed for a whole one", path)
			}
			select {
			case <-gone:
			case <-time.After(5 * time.Second):
				t.Fatalf("%s: the upstream still works", path)
			}
		}
		var end upstream.End
		end.Now()
		g := front(t, config(t, app.URL), func(_ http.ResponseWriter, _ *http.Request, f *upstream.Forward) { f.End = &end })
		if res, err := http.Get(g.URL); err != nil || res.StatusCode != upstream.Canceled.Status() {
			t.Errorf("ended before it began: %v, %v, want status %d", res, err, upstream.Canceled.Status())
		}
	})
}

func TestCancelledRequestIsCancelledUpstream(t *testing.T) {
	both(t, func(t *testing.T) {
		gone, begun := make(chan bool, 1), make(chan bool, 1)
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			begun <- true
			<-r.Context().Done()
			gone <- true
		}))
		defer app.Close()
		g := front(t, config(t, app.URL), nil)
		ctx, cancel := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, "GET", g.URL, nil)
		go func() { <-begun; cancel() }()
		if _, err := http.DefaultClient.Do(req); err == nil {
			t.Fatal("the cancelled request succeeded")
		}
		select {
		case <-gone:
		case <-time.After(5 * time.Second):
			t.Fatal("the upstream still works for a client that went away")
		}
	})
}
