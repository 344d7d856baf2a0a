package upstream_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"gatehouse/proxy/upstream"
)

// tlsApp starts an upstream that speaks HTTP/2 over TLS and writes the
// protocol it was asked in; it returns the file of its certificate too.
func tlsApp(t *testing.T, h http.Handler) (*httptest.Server, string) {
	t.Helper()
	app := httptest.NewUnstartedServer(h)
	app.EnableHTTP2 = true
	app.StartTLS()
	t.Cleanup(app.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: app.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return app, ca
}

func TestTLS(t *testing.T) {
	both(t, func(t *testing.T) {
		app, ca := tlsApp(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Proto, " ", r.Host)
		}))
		trusted := func(c *upstream.Config) { c.CA = ca }
		g := front(t, config(t, app.URL, trusted), nil)
		if _, body := get(t, g.URL); !strings.HasPrefix(body, "HTTP/2.0 ") || "http://"+strings.Fields(body)[1] != g.URL {
			t.Errorf("upstream was asked in %q, want HTTP/2.0 and the host of %s", body, g.URL)
		}
		g = front(t, config(t, app.URL, trusted, func(c *upstream.Config) { c.HTTP2 = false }), nil)
		if _, body := get(t, g.URL); !strings.HasPrefix(body, "HTTP/1.1 ") {
			t.Errorf("http2: false: upstream was asked in %q", body)
		}
		for name, change := range map[string]func(*upstream.Config){
			"unknown ca": func(*upstream.Config) {},
			"other name": func(c *upstream.Config) { c.CA, c.ServerName = ca, "other.test" },
		} {
			g = front(t, config(t, app.URL, change), nil)
			if res, _ := get(t, g.URL); res.StatusCode != 502 || !errors.Is(g.failure(), upstream.Down) {
				t.Errorf("%s: status %d, %v, want 502 and down", name, res.StatusCode, g.failure())
			}
		}
		g = front(t, config(t, app.URL, func(c *upstream.Config) { c.InsecureSkipVerify = true }), nil)
		if res, _ := get(t, g.URL); res.StatusCode != 200 {
			t.Errorf("insecure_skip_verify: status %d", res.StatusCode)
		}
	})
}

// h2cClient speaks HTTP/2 in clear, as a gRPC client without TLS does.
func h2cClient(t *testing.T) *http.Client {
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func h2cApp(t *testing.T, h http.Handler) string {
	app := httptest.NewUnstartedServer(h)
	app.Config.Protocols = new(http.Protocols)
	app.Config.Protocols.SetUnencryptedHTTP2(true)
	app.Config.Protocols.SetHTTP1(true)
	app.Start()
	t.Cleanup(app.Close)
	return strings.Replace(app.URL, "http:", "h2c:", 1)
}

// echoCall answers like a gRPC server: each message as it comes, the status in
// trailers.
var echoCall = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("X-Saw", r.Proto+" te="+r.Header.Get("Te"))
	w.WriteHeader(200)
	w.(http.Flusher).Flush()
	buf := make([]byte, 64)
	for {
		n, err := r.Body.Read(buf)
		w.Write(buf[:n])
		w.(http.Flusher).Flush()
		if err != nil {
			break
		}
	}
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", "5")
	w.Header().Set(http.TrailerPrefix+"Grpc-Message", "not here")
})

func TestGRPC(t *testing.T) {
	both(t, func(t *testing.T) {
		secure, ca := tlsApp(t, echoCall)
		for name, cfg := range map[string]upstream.Config{
			"h2c": config(t, h2cApp(t, echoCall)),
			"tls": config(t, secure.URL, func(c *upstream.Config) { c.CA = ca }),
		} {
			t.Run(name, func(t *testing.T) {
				g := front(t, cfg, nil)
				body, feed := io.Pipe()
				req, _ := http.NewRequest("POST", g.URL+"/orders.Orders/Watch", body)
				req.Header.Set("Content-Type", "application/grpc")
				req.Header.Set("Te", "trailers")
				res, err := h2cClient(t).Do(req) // headers come before the first message
				if err != nil {
					t.Fatal(err)
				}
				defer res.Body.Close()
				if saw := res.Header.Get("X-Saw"); saw != "HTTP/2.0 te=trailers" {
					t.Errorf("upstream saw %q", saw)
				}
				for _, message := range []string{"one", "two", "three"} {
					io.WriteString(feed, message)
					got := make([]byte, len(message))
					if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != message {
						t.Fatalf("read %q, %v, want %q before the next message", got, err, message)
					}
				}
				feed.Close()
				if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 {
					t.Fatalf("after the last message: %q, %v", rest, err)
				}
				if res.Trailer.Get("Grpc-Status") != "5" || res.Trailer.Get("Grpc-Message") != "not here" {
					t.Errorf("trailers %v, want the status of the call", res.Trailer)
				}
			})
		}
	})
}

// echoSocket sends every message back, after one it was not asked for.
var echoSocket = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer c.CloseNow()
	c.SetReadLimit(1 << 20)
	c.Write(r.Context(), websocket.MessageText, []byte("hello"))
	for {
		kind, p, err := c.Read(r.Context())
		if err != nil {
			return
		}
		c.Write(r.Context(), kind, p)
	}
})

func TestWebSocket(t *testing.T) {
	both(t, func(t *testing.T) {
		plain := httptest.NewServer(echoSocket)
		defer plain.Close()
		secure, ca := tlsApp(t, echoSocket)
		for name, cfg := range map[string]upstream.Config{
			"http": config(t, plain.URL),
			"tls":  config(t, secure.URL, func(c *upstream.Config) { c.CA = ca }),
			"h2c":  config(t, h2cApp(t, echoSocket)),
		} {
			t.Run(name, func(t *testing.T) {
				g := front(t, cfg, func(_ http.ResponseWriter, _ *http.Request, f *upstream.Forward) {
					f.Response = func(res *http.Response) error { res.Header.Set("X-Seen", "1"); return nil }
				})
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				c, res, err := websocket.Dial(ctx, g.URL+"/ws?x=1", nil)
				if err != nil {
					t.Fatal(err)
				}
				defer c.CloseNow()
				if res.Header.Get("X-Seen") != "1" {
					t.Error("the 101 went past Forward.Response")
				}
				c.SetReadLimit(1 << 20)
				for _, message := range []string{"hello", "short", strings.Repeat("m", 500), strings.Repeat("l", 70_000)} {
					if message != "hello" {
						c.Write(ctx, websocket.MessageText, []byte(message))
					}
					if _, p, err := c.Read(ctx); err != nil || string(p) != message {
						t.Fatalf("read %d bytes, %v, want %d", len(p), err, len(message))
					}
				}
				if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
					t.Errorf("close: %v", err)
				}
			})
		}
	})
}

func TestWebSocketIsClosedWhenItsRightEnds(t *testing.T) {
	both(t, func(t *testing.T) {
		app := httptest.NewServer(echoSocket)
		defer app.Close()
		end, done := make(chan bool), make(chan bool)
		up, err := upstream.New("app", config(t, app.URL), nil)
		if err != nil {
			t.Fatal(err)
		}
		g := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithCancel(r.Context())
			go func() { <-end; cancel() }()
			defer close(done)
			defer func() { recover() }()
			up.Forward(w, r.WithContext(ctx), upstream.Forward{Path: "/", Websocket: true})
		}))
		defer g.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		c, _, err := websocket.Dial(ctx, g.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		if _, p, err := c.Read(ctx); err != nil || string(p) != "hello" {
			t.Fatalf("read %q, %v", p, err)
		}
		end <- true
		_, _, err = c.Read(ctx)
		if status := websocket.CloseStatus(err); status != websocket.StatusPolicyViolation {
			t.Errorf("close status %d (%v), want 1008", status, err)
		}
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			t.Error("Forward still runs")
		}
	})
}

func TestOtherUpgradesAreNotRelayed(t *testing.T) {
	both(t, func(t *testing.T) {
		var header http.Header
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { header = r.Header }))
		defer app.Close()
		g := front(t, config(t, app.URL), nil)
		for _, head := range []string{
			"GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
			"GET / HTTP/1.1\r\nConnection: Upgrade, close\r\nUpgrade: H2C\r\nHTTP2-Settings: AAMAAABk\r\n",
			"GET / HTTP/1.1\r\nConnection: Upgrade, close\r\nUpgrade: h2c, websocket\r\n",
			"GET / HTTP/1.1\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n",
			"GET / HTTP/1.1\r\nConnection: Upgrade, close\r\nUpgrade: foo\r\n",
			"GET / HTTP/1.1\r\nConnection: close\r\nUpgrade: websocket\r\n",
			"GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
			"POST / HTTP/1.1\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nContent-Length: 0\r\n",
		} {
			header = nil
			if out := speak(t, g.URL, head+"Host: a\r\n\r\n"); !strings.HasPrefix(out, "HTTP/1.1 200") && !strings.HasPrefix(out, "HTTP/1.0 200") {
				t.Errorf("%q: %q, want an ordinary answer", head, out)
			}
			for _, name := range []string{"Upgrade", "Http2-Settings", "Connection"} {
				if v, ok := header[name]; ok {
					t.Errorf("%q: %s: %q reached the upstream", head, name, v)
				}
			}
		}
	})
}

// What was announced and never came is no trailer: the answer ends all the same,
// over HTTP/2 too, where trailers would end it.
func TestAnAnnouncedTrailerThatNeverComes(t *testing.T) {
	both(t, func(t *testing.T) {
		text := "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
		g := front(t, config(t, answer(t, text)), nil)
		for name, client := range map[string]*http.Client{"HTTP/1.1": g.Client(), "HTTP/2": overH2C(t)} {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			res, err := client.Do(r)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if string(body) != "hello" || err != nil || len(res.Trailer["X-Sum"]) > 0 {
				t.Errorf("%s: %q, %v, trailers %v, want hello and none", name, body, err, res.Trailer)
			}
		}
	})
}

// An HTTP/2 upstream may say that there is no body and still send trailers.
func TestTrailersWithoutABody(t *testing.T) {
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "7")
	}))
	app.Config.Protocols = new(http.Protocols)
	app.Config.Protocols.SetUnencryptedHTTP2(true)
	app.Start()
	defer app.Close()
	g := front(t, config(t, strings.Replace(app.URL, "http:", "h2c:", 1)), nil)
	res, err := overH2C(t).Get(g.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); len(body) > 0 || err != nil || res.Trailer.Get("Grpc-Status") != "7" {
		t.Errorf("%q, %v, trailers %v, want grpc-status 7", body, err, res.Trailer)
	}
}

// overH2C returns a client that speaks HTTP/2 in clear.
func overH2C(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
