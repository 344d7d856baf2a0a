package upstream_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/proxy/upstream"
)

// answer is an upstream that reads one request head per answer and sends text.
func answer(t *testing.T, text string) string {
	return raw(t, func(conn net.Conn, r *bufio.Reader) {
		for {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			if _, err := io.WriteString(conn, text); err != nil {
				return
			}
		}
	})
}

func TestAnswersThatAreNone(t *testing.T) {
	both(t, func(t *testing.T) {
		for name, text := range map[string]string{
			"two lengths":           "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
			"odd transfer encoding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
			"unasked 101":           "HTTP/1.1 101 Switching Protocols\r\n\r\n",
			"unasked web socket":    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
			"status 099":            "HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n",
			"status -12":            "HTTP/1.1 -12 Low\r\nContent-Length: 0\r\n\r\n",
			"endless 1xx":           strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 50),
			"not http":              "SSH-2.0-OpenSSH_9.2\r\n\r\n",
			"huge header":           "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 80<<10) + "\r\n\r\n",
			"no colon":              "HTTP/1.1 200 OK\r\nGarbage\r\n\r\n",
			"NUL in a value":        "HTTP/1.1 200 OK\r\nX-A: a\x00b\r\nContent-Length: 0\r\n\r\n",
		} {
			t.Run(name, func(t *testing.T) {
				g := front(t, config(t, answer(t, text)), nil)
				res, body := get(t, g.URL)
				if name == "NUL in a value" && res.StatusCode == 200 {
					if strings.Contains(res.Header.Get("X-A"), "\x00") {
						t.Error("a NUL reached the client")
					}
					return
				}
				if res.StatusCode != http.StatusBadGateway || !errors.Is(g.failure(), upstream.BadResponse) {
					t.Errorf("status %d %q, failure %v, want 502 and a bad response", res.StatusCode, body, g.failure())
				}
			})
		}
	})
}

// net/http reads some answers that another reader might read otherwise, and
// writes them anew; h1 refuses them.
func TestAmbiguousAnswersAreReframedOrRefused(t *testing.T) {
	for name, text := range map[string]string{
		"length and chunks": "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nConnection: Set-Cookie\r\nSet-Cookie: theirs=1\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		"bare line feeds":   "HTTP/1.1 200 OK\nContent-Length: 5\nConnection: Set-Cookie\n\nhello",
	} {
		edit := func(w http.ResponseWriter, _ *http.Request, f *upstream.Forward) {
			w.Header().Add("Set-Cookie", "early=1")
			f.Response = func(res *http.Response) error {
				res.Header.Add("Set-Cookie", "ours=1")
				return nil
			}
		}
		t.Run("standard/"+name, func(t *testing.T) {
			g := front(t, config(t, answer(t, text)), edit)
			for range 3 {
				res, body := get(t, g.URL)
				cookies := fmt.Sprint(res.Header["Set-Cookie"])
				if body != "hello" || !strings.Contains(cookies, "ours=1") || !strings.Contains(cookies, "early=1") {
					t.Errorf("body %q, cookies %s, want hello and both cookies of ours", body, cookies)
				}
				if strings.Contains(cookies, "theirs") {
					t.Error("a header that the upstream called hop-by-hop came through")
				}
			}
		})
		t.Run("h1/"+name, func(t *testing.T) {
			g := front(t, config(t, answer(t, text)), edit)
			for range 3 {
				res, body := get(t, g.URL)
				if res.StatusCode != http.StatusBadGateway || !errors.Is(g.failure(), upstream.BadResponse) || strings.Contains(fmt.Sprint(res.Header), "theirs") {
					t.Errorf("status %d %q, failure %v, want 502 and a bad response", res.StatusCode, body, g.failure())
				}
			}
		})
	}
}

func TestLeftoverIsNobodysAnswer(t *testing.T) {
	both(t, func(t *testing.T) {
		// What follows an answer unasked must never answer the next request, which
		// may be another person's. net/http alone lets about one in a thousand by.
		log.SetOutput(io.Discard) // it prints each leftover that it notices itself
		t.Cleanup(func() { log.SetOutput(os.Stderr) })
		text := "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmineHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
		g := front(t, config(t, answer(t, text)), nil)
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for range 150 {
					res, body := get(t, g.URL)
					if body != "mine" && res.StatusCode != http.StatusBadGateway {
						t.Errorf("status %d, body %q, want mine or 502", res.StatusCode, body)
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestInterimResponsesStayHere(t *testing.T) {
	both(t, func(t *testing.T) {
		text := "HTTP/1.1 103 Early Hints\r\nSet-Cookie: __Host-gatehouse=evil\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
		g := front(t, config(t, answer(t, text)), func(w http.ResponseWriter, _ *http.Request, _ *upstream.Forward) {
			w.Header().Set("X-Request-Id", "r1")
		})
		out := speak(t, g.URL, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		if strings.Contains(out, "103") || strings.Contains(out, "evil") || !strings.Contains(out, "X-Request-Id: r1") {
			t.Errorf("client saw %q, want only the final answer with the gate's own header", out)
		}
	})
}

func TestNothingIsSentTwice(t *testing.T) {
	both(t, func(t *testing.T) {
		var posts atomic.Int32
		var key atomic.Value
		addr := raw(t, func(conn net.Conn, r *bufio.Reader) {
			for i := 0; ; i++ {
				req, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				if req.Method == "POST" {
					posts.Add(1)
					key.Store(req.Header.Get("Idempotency-Key"))
					return // took it, and closes the reused connection without a word
				}
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		})
		g := front(t, config(t, addr), nil)
		get(t, g.URL) // leaves a connection to be reused
		req, _ := http.NewRequest("POST", g.URL, nil)
		req.Header.Set("Idempotency-Key", "k1")
		req.Header.Set("X-Idempotency-Key", "k2")
		res, err := http.DefaultTransport.(*http.Transport).Clone().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusBadGateway || posts.Load() != 1 {
			t.Errorf("status %d after %d POSTs, want 502 after one", res.StatusCode, posts.Load())
		}
		if key.Load() != "k1" {
			t.Errorf("Idempotency-Key = %q, want k1: the application may need it", key.Load())
		}
	})
}

func TestConnectionBoundAuthenticationIsNotPooled(t *testing.T) {
	both(t, func(t *testing.T) {
		var mu sync.Mutex
		conns := map[string][]string{} // remote address → paths
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			conns[r.RemoteAddr] = append(conns[r.RemoteAddr], r.URL.Path)
			mu.Unlock()
			if r.URL.Path == "/offer" {
				w.Header().Add("WWW-Authenticate", "Basic realm=x")
				w.Header().Add("WWW-Authenticate", "negotiate, NTLM")
				w.WriteHeader(401)
				io.WriteString(w, "who?")
			}
		}))
		defer app.Close()
		g := front(t, config(t, app.URL), nil)
		ask := func(path, authorization string) {
			req, _ := http.NewRequest("GET", g.URL+path, nil)
			req.Header.Set("Authorization", authorization)
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			time.Sleep(10 * time.Millisecond) // let the connection go back to the pool
		}
		for range 3 {
			ask("/plain", "Basic eA==")
			ask("/ntlm", "NTLM TlRMTVNT")
			ask("/plain", "Basic eA==")
			ask("/negotiate", "negotiate YII=")
			ask("/offer", "Basic eA==")
		}
		for addr, paths := range conns {
			for i, p := range paths {
				bound := p == "/ntlm" || p == "/negotiate"
				if bound && len(paths) > 1 || p == "/offer" && i != len(paths)-1 {
					t.Errorf("connection %s carried %v, want nothing beside or after %s", addr, paths, p)
				}
			}
		}
		if len(conns) > 12 {
			t.Errorf("%d connections for 15 requests: the plain ones were not reused", len(conns))
		}
	})
}

func TestDownAndSlow(t *testing.T) {
	both(t, func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		l.Close()
		silent := raw(t, func(conn net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) })
		hangUp := raw(t, func(conn net.Conn, r *bufio.Reader) { http.ReadRequest(r) })
		for name, c := range map[string]struct {
			url   string
			class upstream.Class
			code  int
		}{
			"nobody listens": {"http://" + addr, upstream.Down, 502},
			"never answers":  {silent, upstream.Timeout, 504},
			"hangs up":       {hangUp, upstream.Down, 502},
			"no such host":   {"http://no-such-host.invalid", upstream.Down, 502},
			"no tls there":   {strings.Replace(answer(t, "HTTP/1.1 400 Bad\r\n\r\n"), "http:", "https:", 1), upstream.Down, 502},
		} {
			t.Run(name, func(t *testing.T) {
				g := front(t, config(t, c.url, func(c *upstream.Config) { c.ResponseTimeout = 200 * time.Millisecond }), nil)
				res, body := get(t, g.URL)
				err := g.failure()
				if res.StatusCode != c.code || !errors.Is(err, c.class) {
					t.Errorf("status %d, %v, want %d and %s", res.StatusCode, err, c.code, c.class)
				}
				host := strings.TrimPrefix(strings.TrimPrefix(c.url, "http://"), "https://")
				for _, shown := range []string{body, err.Error(), fmt.Sprintf("%v %s %q %+v", err, err, err, err)} {
					if strings.Contains(shown, host) || strings.Contains(shown, "127.0.0.1") {
						t.Errorf("%q shows the address of the upstream", shown)
					}
				}
				var failure *upstream.Error
				if !errors.As(err, &failure) || failure.Cause() == nil || errors.Unwrap(err) != nil {
					t.Errorf("%v: want a cause for the log, outside the error chain", err)
				}
			})
		}
	})
}

func TestBrokenBodiesAreNotMadeWhole(t *testing.T) {
	both(t, func(t *testing.T) {
		// The upstream breaks off: the client must see that.
		closing := raw(t, func(conn net.Conn, r *bufio.Reader) {
			http.ReadRequest(r)
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
		})
		g := front(t, config(t, closing), nil)
		res, err := http.Get(g.URL)
		if err == nil {
			_, err = io.ReadAll(res.Body)
			res.Body.Close()
		}
		if err == nil {
			t.Error("half a body was delivered as a whole one")
		}

		// The client breaks off: that is not the upstream's fault.
		app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
		defer app.Close()
		g = front(t, config(t, app.URL), nil)
		out := speak(t, g.URL, "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\nA\r\nzz\r\n")
		if !strings.HasPrefix(out, "HTTP/1.1 400") || !errors.Is(g.failure(), upstream.BadRequest) {
			t.Errorf("broken chunks: %q, %v, want 400", out, g.failure())
		}
	})
}

func TestAbortReachesTheServer(t *testing.T) {
	both(t, func(t *testing.T) {
		// The server cuts the client's connection on this panic and on no other.
		closing := raw(t, func(conn net.Conn, r *bufio.Reader) {
			http.ReadRequest(r)
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
		})
		up, err := upstream.New("app", config(t, closing), nil)
		if err != nil {
			t.Fatal(err)
		}
		var got any
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				got = recover()
				panic(http.ErrAbortHandler)
			}()
			up.Forward(w, r, upstream.Forward{Path: "/"})
		}))
		if res, err := http.Get(s.URL); err == nil {
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		s.Close()
		if got != http.ErrAbortHandler {
			t.Errorf("Forward panicked with %v, want http.ErrAbortHandler", got)
		}
	})
}
