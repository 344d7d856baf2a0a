package h1_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/proxy/upstream/h1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server runs talk for each connection and waits for all of them in the end.
func server(t testing.TB, talk func(i int, c net.Conn, r *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		running := make(chan struct{})
		n := 0
		for ; ; n++ {
			i := n
			c, err := l.Accept()
			if err != nil {
				break
			}
			go func() {
				defer func() { running <- struct{}{} }()
				defer c.Close()
				stop := context.AfterFunc(ctx, func() { c.Close() })
				defer stop()
				talk(i, c, bufio.NewReader(c))
			}()
		}
		for range n {
			<-running
		}
	}()
	t.Cleanup(func() {
		l.Close()
		cancel()
		<-accepted
	})
	return l.Addr().String()
}

// answering answers every request with text.
func answering(t testing.TB, text string) string {
	return server(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for readRequest(r) != nil {
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
	})
}

// readRequest reads a request and its body; nil when there is none.
func readRequest(r *bufio.Reader) *http.Request {
	req, err := http.ReadRequest(r)
	if err != nil {
		return nil
	}
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		return nil
	}
	return req
}

func client(t testing.TB, addr string, set ...func(*h1.Options)) *h1.Transport {
	o := h1.Options{Addr: addr, ResponseTimeout: 10 * time.Second}
	for _, s := range set {
		s(&o)
	}
	c := h1.New(o)
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func request(t testing.TB, method string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://app.test/path?q=1", body)
	if err != nil {
		t.Fatal(err)
	}
	r.GetBody = nil
	return r
}

// ask does one exchange and reads it to the end.
func ask(t testing.TB, c *h1.Transport, r *http.Request) (*http.Response, string, error) {
	t.Helper()
	if !c.Handles(r) {
		t.Fatalf("Handles(%s %s) = false", r.Method, r.URL)
	}
	res, err := c.RoundTrip(r)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res, string(body), err
}

func get(t testing.TB, c *h1.Transport) (*http.Response, string, error) {
	t.Helper()
	return ask(t, c, request(t, "GET", nil))
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func TestConnectionIsReused(t *testing.T) {
	for name, text := range map[string]string{
		"length":      ok,
		"no body":     "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"chunks":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=\"b\"\r\nok\r\n0\r\n\r\n",
		"trailers":    "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nTrailer: A\r\n\r\n2\r\nok\r\n0\r\nA: 1\r\n\r\n",
		"large":       "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000),
		"large head":  "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 60000) + "\r\nContent-Length: 2\r\n\r\nok",
		"204":         "HTTP/1.1 204 No Content\r\n\r\n",
		"304":         "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
		"interim":     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok,
		"bare status": "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, answering(t, text))
			for range 3 {
				if _, _, err := get(t, c); err != nil {
					t.Fatal(err)
				}
			}
			if s := c.Stats(); s.Dials != 1 || s.Reuses != 2 || s.Idle != 1 {
				t.Errorf("stats %+v, want one connection used three times", s)
			}
		})
	}
}

func TestConnectionIsNotReused(t *testing.T) {
	for name, text := range map[string]string{
		"stray bytes":        ok + "x",
		"stray answer":       ok + ok,
		"connection close":   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: foo, Close\r\n\r\nok",
		"HTTP/1.0":           "HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok",
		"204 with a length":  "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n",
		"204 with chunks":    "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
		"NTLM":               "HTTP/1.1 200 OK\r\nWWW-Authenticate: NTLM\r\nContent-Length: 2\r\n\r\nok",
		"negotiate in list":  "HTTP/1.1 200 OK\r\nWWW-Authenticate: Basic realm=x, negotiate\r\nContent-Length: 2\r\n\r\nok",
		"proxy and kerberos": "HTTP/1.1 200 OK\r\nProxy-Authenticate: Kerberos abc\r\nContent-Length: 2\r\n\r\nok",
		"after chunks":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, answering(t, text))
			for range 2 {
				if _, _, err := get(t, c); err != nil {
					t.Fatal(err)
				}
			}
			if s := c.Stats(); s.Dials != 2 || s.Idle != 0 {
				t.Errorf("stats %+v, want a connection for each request and none kept", s)
			}
		})
	}
}

func TestRequestThatAuthenticatesTheConnectionHasItsOwn(t *testing.T) {
	c := client(t, answering(t, ok))
	for range 2 {
		if _, _, err := get(t, c); err != nil {
			t.Fatal(err)
		}
		r := request(t, "GET", nil)
		r.Header.Set("Authorization", "nEgotiate YII=")
		if _, _, err := ask(t, c, r); err != nil {
			t.Fatal(err)
		}
	}
	if s := c.Stats(); s.Dials != 3 || s.Reuses != 1 || s.Idle != 1 {
		t.Errorf("stats %+v, want one plain connection used twice and two of their own", s)
	}
}

func TestStrayBytesAreNobodysAnswer(t *testing.T) {
	// The stray answer comes when the connection is idle: the server says so
	// after it has sent it, so that it is surely there.
	stray := make(chan struct{})
	evil := strings.ReplaceAll(ok, "ok", "no")
	addr := server(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for readRequest(r) != nil {
			io.WriteString(c, ok)
			<-stray
			io.WriteString(c, evil)
			stray <- struct{}{}
		}
	})
	c := client(t, addr)
	for _, method := range []string{"GET", "POST", "GET"} {
		_, body, err := ask(t, c, request(t, method, nil))
		if err != nil || body != "ok" {
			t.Errorf("%s = %q, %v, want ok", method, body, err)
		}
		stray <- struct{}{}
		<-stray
	}
	if s := c.Stats(); s.Dials != 3 || s.Retries != 0 {
		t.Errorf("stats %+v, want three connections and nothing sent twice", s)
	}
}

func TestServerMustNotSpeakFirst(t *testing.T) {
	spoken := make(chan struct{})
	addr := server(t, func(_ int, c net.Conn, r *bufio.Reader) {
		io.WriteString(c, ok)
		close(spoken)
		io.Copy(io.Discard, r)
	})
	c := client(t, addr, func(o *h1.Options) {
		o.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			<-spoken
			return conn, err
		}
	})
	if _, body, err := get(t, c); err == nil || isDown(err) {
		t.Errorf("got %q, %v, want an error about the answer", body, err)
	}
}

func TestClosedIdleConnectionIsNoticed(t *testing.T) {
	var posts atomic.Int32
	closed := make(chan struct{}, 1)
	addr := server(t, func(_ int, c net.Conn, r *bufio.Reader) {
		readRequest(r)
		posts.Add(1)
		io.WriteString(c, ok)
		c.Close()
		closed <- struct{}{}
	})
	c := client(t, addr)
	for range 3 {
		if _, body, err := ask(t, c, request(t, "POST", strings.NewReader("x"))); err != nil || body != "ok" {
			t.Fatalf("POST = %q, %v", body, err)
		}
		<-closed
	}
	if s := c.Stats(); posts.Load() != 3 || s.Retries != 0 {
		t.Errorf("%d posts, %+v, want three, none sent twice", posts.Load(), s)
	}
}

// hangingUp answers the first request of the first connection and takes a
// second one without a word. It counts what it takes.
func hangingUp(t *testing.T, taken *atomic.Int32, end func(net.Conn)) string {
	return server(t, func(i int, c net.Conn, r *bufio.Reader) {
		for n := 0; readRequest(r) != nil; n++ {
			taken.Add(1)
			if i == 0 && n == 1 {
				end(c)
				return
			}
			io.WriteString(c, ok)
		}
	})
}

func TestOnlySafeRequestsAreSentTwice(t *testing.T) {
	ends := map[string]func(net.Conn){
		"EOF":   func(c net.Conn) { c.Close() },
		"reset": func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() },
	}
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "GET with body"} {
		for name, end := range ends {
			t.Run(method+" "+name, func(t *testing.T) {
				var taken atomic.Int32
				c := client(t, hangingUp(t, &taken, end))
				if _, _, err := get(t, c); err != nil {
					t.Fatal(err)
				}
				var body io.Reader
				m, hasBody := strings.CutSuffix(method, " with body")
				if hasBody {
					body = strings.NewReader("x")
				}
				r := request(t, m, body)
				r.Header.Set("Idempotency-Key", "k")
				_, _, err := ask(t, c, r)
				safe := !hasBody && (m == "GET" || m == "HEAD")
				if safe && (err != nil || taken.Load() != 3 || c.Stats().Retries != 1) {
					t.Errorf("%v, %d taken, %+v, want it sent a second time", err, taken.Load(), c.Stats())
				}
				if !safe && (!isDown(err) || taken.Load() != 2 || c.Stats().Retries != 0) {
					t.Errorf("%v, %d taken, %+v, want an error after one", err, taken.Load(), c.Stats())
				}
			})
		}
	}
}

func TestNothingIsSentThreeTimes(t *testing.T) {
	var taken atomic.Int32
	addr := server(t, func(i int, c net.Conn, r *bufio.Reader) {
		for n := 0; readRequest(r) != nil; n++ {
			if taken.Add(1); taken.Load() > 1 {
				return
			}
			io.WriteString(c, ok)
		}
	})
	c := client(t, addr)
	get(t, c)
	if _, _, err := get(t, c); !isDown(err) || taken.Load() != 3 {
		t.Errorf("%v after %d, want an error after the second try", err, taken.Load())
	}
	// A new connection that ends at once is not tried again.
	if _, _, err := get(t, c); !isDown(err) || taken.Load() != 4 {
		t.Errorf("%v after %d, want an error after one try", err, taken.Load())
	}
}

func TestHalfAnAnswerIsNotAskedForAgain(t *testing.T) {
	for name, half := range map[string]string{"head": "HTTP/1.1 200", "interim": "HTTP/1.1 100 Continue\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			var taken atomic.Int32
			c := client(t, hangingUp(t, &taken, func(c net.Conn) { io.WriteString(c, half) }))
			get(t, c)
			if _, _, err := get(t, c); err == nil || isDown(err) || taken.Load() != 2 {
				t.Errorf("%v after %d, want a broken answer", err, taken.Load())
			}
		})
	}
}
