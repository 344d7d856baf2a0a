package upstream_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/proxy/upstream"
)

const (
	upgradeHead = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	upgradeAnswer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)

// end is one end of a switched connection.
type end interface {
	net.Conn
	CloseWrite() error
}

// talker is an upstream that switches and lets talk go on.
func talker(talk func(c end, r io.Reader)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, brw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, upgradeAnswer)
		talk(c.(end), brw)
	})
}

// echo sends back what comes until there is no more.
func echo(c end, r io.Reader) {
	io.Copy(struct{ io.Writer }{c}, r)
	c.CloseWrite()
}

// switched opens a web socket through s, sending early behind the request. The
// reader has what came behind the answer.
func switched(t testing.TB, s *httptest.Server, early string) (end, *bufio.Reader) {
	t.Helper()
	addr := s.Listener.Addr().String()
	var c end
	if s.TLS == nil {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		c = conn.(*net.TCPConn)
	} else {
		trust := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		trust.ServerName = "example.com"
		conn, err := tls.Dial("tcp", addr, trust)
		if err != nil {
			t.Fatal(err)
		}
		c = conn
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	io.WriteString(c, upgradeHead+early)
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("answer %v, %v, want 101", res, err)
	}
	return c, r
}

// relayed starts a gate in clear or with TLS before an application.
func relayed(t testing.TB, cfg upstream.Config, secure string, change func(*upstream.Upstream)) *httptest.Server {
	t.Helper()
	up, err := upstream.New("app", cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(up.Close)
	if change != nil {
		change(up)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		up.Forward(w, r, upstream.Forward{Path: r.URL.Path, Websocket: true})
	}))
	if secure == "tls" {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

// utter writes stream in pieces of all sizes, then ends its direction.
func utter(c end, stream []byte, seed uint64) error {
	rnd := rand.New(rand.NewPCG(seed, 0))
	for len(stream) > 0 {
		n := min(1+rnd.IntN(200_000>>rnd.IntN(18)), len(stream))
		if _, err := c.Write(stream[:n]); err != nil {
			return err
		}
		stream = stream[n:]
	}
	return c.CloseWrite()
}

func random(n int, seed byte) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(p)
	return p
}

func TestSocketsCarryEveryByteBothWays(t *testing.T) {
	fromClient, fromApp := random(3<<20, 1), random(2<<20+77, 2)
	heard := make(chan []byte, 1)
	both := talker(func(c end, r io.Reader) {
		var wg sync.WaitGroup
		wg.Go(func() { utter(c, fromApp, 3) })
		got, _ := io.ReadAll(r)
		heard <- got
		wg.Wait()
	})
	plain := httptest.NewServer(both)
	defer plain.Close()
	secure, ca := tlsApp(t, both)
	for name, cfg := range map[string]upstream.Config{
		"http": config(t, plain.URL),
		"tls":  config(t, secure.URL, func(c *upstream.Config) { c.CA = ca }),
	} {
		for _, front := range []string{"http", "tls"} {
			t.Run(front+" to "+name, func(t *testing.T) {
				c, r := switched(t, relayed(t, cfg, front, nil), "")
				said := make(chan error, 1)
				go func() { said <- utter(c, fromClient, 4) }()
				got, err := io.ReadAll(r)
				if err != nil || !bytes.Equal(got, fromApp) {
					t.Errorf("client read %d bytes, %v, want the %d of the application", len(got), err, len(fromApp))
				}
				if err := <-said; err != nil {
					t.Errorf("client wrote: %v", err)
				}
				if got := <-heard; !bytes.Equal(got, fromClient) {
					t.Errorf("application read %d bytes, want the %d of the client", len(got), len(fromClient))
				}
			})
		}
	}
}

func TestSocketsGoOnAfterOneDirectionEnds(t *testing.T) {
	app := httptest.NewServer(talker(func(c end, r io.Reader) {
		io.Copy(io.Discard, r) // answers only when it has heard it all
		io.WriteString(c, "that was all")
	}))
	defer app.Close()
	c, r := switched(t, relayed(t, config(t, app.URL), "http", nil), "")
	io.WriteString(c, "one")
	c.CloseWrite()
	if got, err := io.ReadAll(r); err != nil || string(got) != "that was all" {
		t.Errorf("read %q, %v, want what was said after the client's end", got, err)
	}
	// The other way round.
	heard := make(chan string, 1)
	app = httptest.NewServer(talker(func(c end, r io.Reader) {
		c.CloseWrite()
		got, _ := io.ReadAll(r)
		heard <- string(got)
	}))
	defer app.Close()
	c, r = switched(t, relayed(t, config(t, app.URL), "http", nil), "")
	if got, err := io.ReadAll(r); err != nil || len(got) > 0 {
		t.Errorf("read %q, %v, want the end", got, err)
	}
	io.WriteString(c, "late")
	c.Close()
	if got := <-heard; got != "late" {
		t.Errorf("application heard %q after its own end, want late", got)
	}
}

func TestWhatFollowsTheUpgradeAtOnceIsCarried(t *testing.T) {
	app := httptest.NewServer(talker(echo))
	defer app.Close()
	early := strings.Repeat("early ", 300)
	c, r := switched(t, relayed(t, config(t, app.URL), "http", nil), early)
	io.WriteString(c, "late")
	c.CloseWrite()
	if got, err := io.ReadAll(r); err != nil || string(got) != early+"late" {
		t.Errorf("read %d bytes, %v, want %d", len(got), err, len(early)+4)
	}
}

// lender is a pool that tells after each change how many of its buffers are out.
type lender struct {
	mu  sync.Mutex
	out int
	all int // since the beginning
	now chan int
}

func (l *lender) change(by int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out += by
	l.all += max(by, 0)
	l.now <- l.out
}

// held returns how many are out, and forgets the changes so far.
func (l *lender) held() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.now) > 0 {
		<-l.now
	}
	return l.out
}

func (l *lender) Get() []byte {
	l.change(1)
	return make([]byte, 32<<10)
}

func (l *lender) Put([]byte) { l.change(-1) }

func TestSilentSocketsHoldNoLargeBuffer(t *testing.T) {
	app := httptest.NewServer(talker(echo))
	defer app.Close()
	for _, front := range []string{"http", "tls"} {
		pool := &lender{now: make(chan int, 10_000)}
		s := relayed(t, config(t, app.URL), front, func(u *upstream.Upstream) { u.SetLarge(pool) })
		for _, size := range []int{1, 1 << 10, 4 << 10, 32 << 10, 1<<10 + 32<<10, 1 << 20} {
			t.Run(fmt.Sprint(front, size), func(t *testing.T) {
				c, r := switched(t, s, "")
				want := random(size, 5)
				go c.Write(want)
				got := make([]byte, size)
				if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("echo: %v", err)
				}
				// The socket stays open and says no more.
				for out := pool.held(); out > 0; {
					select {
					case out = <-pool.now:
					case <-time.After(10 * time.Second):
						t.Fatalf("%d large buffers are held by a silent socket", out)
					}
				}
			})
		}
		pool.mu.Lock()
		all := pool.all
		pool.mu.Unlock()
		if all == 0 {
			t.Error("a megabyte was carried without a large buffer")
		}
	}
}

func TestRefusedUpgradeThatBreaksOffReachesTheServer(t *testing.T) {
	closing := raw(t, func(conn net.Conn, r *bufio.Reader) {
		http.ReadRequest(r)
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
	})
	s := relayed(t, config(t, closing), "http", nil)
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, upgradeHead)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err == nil {
		_, err = io.ReadAll(res.Body)
	}
	if err == nil {
		t.Error("half a body was delivered as a whole one")
	}
}

func TestTheCallerMayRelayAfterForward(t *testing.T) {
	app := httptest.NewServer(talker(echo))
	defer app.Close()
	up, err := upstream.New("app", config(t, app.URL), nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		var rest func()
		up.Forward(w, r, upstream.Forward{
			Path: "/", Websocket: true, Switched: func(relay func()) { rest = relay },
		})
		if rest == nil {
			t.Error("Forward gave nothing to relay")
			return
		}
		rest()
	}))
	defer s.Close()
	c, r := switched(t, s, "")
	io.WriteString(c, "hello")
	c.CloseWrite()
	if got, err := io.ReadAll(r); err != nil || string(got) != "hello" {
		t.Errorf("read %q, %v, want hello", got, err)
	}
	<-ended
}

func BenchmarkSocket(b *testing.B) {
	app := httptest.NewServer(talker(echo))
	defer app.Close()
	var cfg upstream.Config
	cfg.Defaults()
	cfg.URL, _ = url.Parse(app.URL)
	for _, size := range []int{100, 2 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			c, r := switched(b, relayed(b, cfg, "http", nil), "")
			message, got := random(size, 6), make([]byte, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				go c.Write(message)
				if _, err := io.ReadFull(r, got); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
