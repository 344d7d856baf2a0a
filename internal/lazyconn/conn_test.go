package lazyconn

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"
)

// pair returns both ends of a connection, the accepted one first.
func pair(t testing.TB) (server net.Conn, client *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := Listen(ln).Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(); c.Close() })
	return s, c.(*net.TCPConn)
}

func TestItIsAConnection(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		s, c := pair(t)
		return s, c, func() { s.Close(); c.Close() }, nil
	})
}

func TestTheOtherWayRoundToo(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		s, c := pair(t)
		return c, s, func() { s.Close(); c.Close() }, nil
	})
}

// read reads one byte, as net/http does while a request lasts.
func read(c net.Conn) <-chan error {
	done := make(chan error, 1)
	go func() {
		var one [1]byte
		_, err := c.Read(one[:])
		done <- err
	}()
	return done
}

func TestASingleByteComes(t *testing.T) {
	s, c := pair(t)
	got := read(s)
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func TestWhoWaitsForAByteLearnsOfTheEnd(t *testing.T) {
	s, c := pair(t)
	for name, end := range map[string]func(){
		"the other side leaves": func() { c.Close() },
		"it is closed":          func() { s.Close() },
	} {
		got := read(s)
		end()
		if err := <-got; err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What net/http does at the end of each request.
func TestADeadlineInThePastEndsTheWait(t *testing.T) {
	s, c := pair(t)
	for range 100 {
		got := read(s)
		if err := s.SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		var timeout net.Error
		if err := <-got; !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Fatalf("%v, want a time-out", err)
		}
		if _, err := s.Read(make([]byte, 2)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("another read: %v, want a time-out", err)
		}
		if err := s.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("on")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(s, make([]byte, 2)); err != nil {
			t.Fatalf("afterwards: %v", err)
		}
	}
}

func TestADeadlineHoldsForWhoWaitsForAByte(t *testing.T) {
	s, _ := pair(t)
	got := read(s)
	begin := time.Now()
	if err := s.SetReadDeadline(begin.Add(150 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := <-got; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if took := time.Since(begin); took < 150*time.Millisecond {
		t.Errorf("it ended after %v", took)
	}
}

// The one that is set is not the one that holds.
func TestALaterDeadlineIsKept(t *testing.T) {
	s, c := pair(t)
	for range 2 {
		begin := time.Now()
		for _, d := range []time.Duration{50, 120} {
			if err := s.SetReadDeadline(begin.Add(d * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Read(make([]byte, 9)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		if took := time.Since(begin); took < 120*time.Millisecond {
			t.Errorf("it ended after %v", took)
		}
	}
	if err := s.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := s.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { c.Write([]byte("late")) })
	if _, err := io.ReadFull(s, make([]byte, 4)); err != nil {
		t.Errorf("without a deadline: %v", err)
	}
}

func TestAnEarlierDeadlineIsKept(t *testing.T) {
	s, _ := pair(t)
	for _, d := range []time.Duration{time.Hour, 50 * time.Millisecond} {
		if err := s.SetReadDeadline(time.Now().Add(d)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Read(make([]byte, 9)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

// Whoever reads past Read knows only of deadlines that are set.
func TestDeadlinesHoldForRawReads(t *testing.T) {
	s, c := pair(t)
	if err := s.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := s.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	raw, err := s.(interface {
		SyscallConn() (syscall.RawConn, error)
	}).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		time.AfterFunc(100*time.Millisecond, func() { c.Write([]byte("x")) })
		calls := 0
		if err := raw.Read(func(uintptr) bool { calls++; return calls > 1 }); err != nil {
			t.Errorf("without a deadline: %v", err)
		}
		// Both while it is read so.
		for _, at := range []time.Time{time.Now().Add(50 * time.Millisecond), {}} {
			if err := s.SetReadDeadline(at); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Read(make([]byte, 9)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := raw.Read(func(uintptr) bool { return false }); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("with one: %v", err)
	}
}

// serve serves h behind Listen, and returns its address.
func serve(t *testing.T, srv *http.Server) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(Listen(ln)) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return ln.Addr().String()
}

func TestAHandlerLearnsThatItsClientHasGone(t *testing.T) {
	began, gone := make(chan struct{}), make(chan error, 1)
	addr := serve(t, &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		select {
		case <-r.Context().Done():
			gone <- nil
		case <-time.After(10 * time.Second):
			gone <- errors.New("it did not in 10 s")
		}
	})})
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() { <-began; leave() }()
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
		t.Fatal("an answer")
	}
	if err := <-gone; err != nil {
		t.Error(err)
	}
}

// Short and long requests, with and without a body, one after the other and at
// once, over one connection.
func TestRequestsOverOneConnection(t *testing.T) {
	addr := serve(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d, err := time.ParseDuration(r.URL.Query().Get("for")); err == nil {
			time.Sleep(d)
		}
		_, _ = io.Copy(w, r.Body)
		fmt.Fprint(w, r.URL.Path)
	})})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	from := bufio.NewReader(c)
	answer := func(want string) {
		t.Helper()
		resp, err := http.ReadResponse(from, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got, err := io.ReadAll(resp.Body); err != nil || string(got) != want {
			t.Fatalf("%q, %v, want %q", got, err, want)
		}
	}
	const get, post = "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"
	for range 3 {
		for _, d := range []string{"", "?for=10ms", "?for=120ms"} {
			fmt.Fprintf(c, get, "/a"+d)
			answer("/a")
			fmt.Fprintf(c, post, "/b"+d)
			answer("body/b")
			// Both before the first is answered.
			fmt.Fprintf(c, get+post, "/c"+d, "/d"+d)
			answer("/c")
			answer("body/d")
		}
	}
}

func TestTheServersDeadlinesHold(t *testing.T) {
	const head, idle = 200 * time.Millisecond, 500 * time.Millisecond
	addr := serve(t, &http.Server{
		ReadHeaderTimeout: head, IdleTimeout: idle,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }),
	})
	for name, last := range map[string]struct {
		send string
		wait time.Duration
	}{"an unfinished head": {"GET / HTTP/1.1\r\nHo", head}, "nothing": {"", idle}} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		from := bufio.NewReader(c)
		// The deadline for the head of the first request has passed by the second.
		for _, after := range []time.Duration{0, head + head/2, 0} {
			time.Sleep(after)
			fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			resp, err := http.ReadResponse(from, nil)
			if err != nil {
				t.Fatalf("after %v: %v", after, err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Fatal(err)
			}
		}
		begin := time.Now()
		fmt.Fprint(c, last.send)
		rest, err := io.ReadAll(from)
		if err != nil || strings.Contains(string(rest), "200") {
			t.Errorf("%s: %q, %v", name, rest, err)
		}
		if took := time.Since(begin); took < last.wait/2 || took > last.wait+5*time.Second {
			t.Errorf("%s: cut after %v, want about %v", name, took, last.wait)
		}
		c.Close()
	}
}

func TestWhatIsTakenFromTheServerIsReadAsSent(t *testing.T) {
	addr := serve(t, &http.Server{ReadHeaderTimeout: 50 * time.Millisecond, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		fmt.Fprint(c, "ready")
		line, err := rw.ReadString('\n')
		if err != nil {
			t.Error(err)
		}
		fmt.Fprint(c, line)
	})})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if _, err := io.ReadFull(c, make([]byte, len("ready"))); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // past the deadline for the head
	fmt.Fprint(c, "again\n")
	if got, err := io.ReadAll(c); err != nil || string(got) != "again\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// Somebody may wait for a byte already when another begins to read past Read.
func TestADeadlineEndsRawReadsBesideAWait(t *testing.T) {
	s, _ := pair(t)
	one := read(s)
	for !parked(s) {
		runtime.Gosched()
	}
	raw, err := s.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	done, begun := make(chan error, 1), make(chan struct{})
	go func() {
		done <- raw.Read(func(uintptr) bool {
			close(begun)
			return false
		})
	}()
	<-begun
	if err := s.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	for name, ended := range map[string]<-chan error{"the wait": one, "the raw read": done} {
		select {
		case err := <-ended:
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: %v, want a time-out", name, err)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s goes on", name)
		}
	}
}

// parked tells whether somebody waits for a byte.
func parked(s net.Conn) bool {
	c := s.(*conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.watch.parked
}
