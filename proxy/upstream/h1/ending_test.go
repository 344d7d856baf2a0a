package h1_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/proxy/upstream/h1"
)

func TestCancelEndsAnyPhase(t *testing.T) {
	silent := server(t, func(_ int, c net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) })
	deaf := server(t, func(_ int, c net.Conn, r *bufio.Reader) { <-t.Context().Done() })
	begun := server(t, func(_ int, c net.Conn, r *bufio.Reader) {
		readRequest(r)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok")
		io.Copy(io.Discard, r)
	})
	endless := func(ctx context.Context) *http.Request {
		r := request(t, "POST", zeros{})
		return r.WithContext(ctx)
	}
	plain := func(ctx context.Context) *http.Request { return request(t, "GET", nil).WithContext(ctx) }
	for name, c := range map[string]struct {
		addr    string
		request func(context.Context) *http.Request
		dial    func(context.Context, string, string) (net.Conn, error)
	}{
		"dialing": {silent, plain, func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }},
		"waiting": {silent, plain, nil},
		"writing": {deaf, endless, nil},
		"reading": {begun, plain, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tr := client(t, c.addr, func(o *h1.Options) { o.Dial = c.dial })
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			defer cancel()
			_, _, err := ask(t, tr, c.request(ctx))
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the error of the context", err)
			}
			if tr.Stats().Idle != 0 {
				t.Error("the connection was kept")
			}
		})
		t.Run(name+", from outside", func(t *testing.T) {
			tr := client(t, c.addr, func(o *h1.Options) { o.Dial = c.dial })
			var timer *time.Timer
			res, err := tr.RoundTripUntil(c.request(t.Context()), func(end func()) { timer = time.AfterFunc(30*time.Millisecond, end) })
			defer timer.Stop()
			if err == nil {
				_, err = io.ReadAll(res.Body)
				res.Body.Close()
			}
			if err == nil || tr.Stats().Idle != 0 {
				t.Errorf("ended with %v and %d idle connections, want an error and none", err, tr.Stats().Idle)
			}
		})
	}
	t.Run("before, from outside", func(t *testing.T) {
		tr := client(t, silent)
		if _, err := tr.RoundTripUntil(plain(t.Context()), func(end func()) { end() }); err == nil || tr.Stats().Idle != 0 {
			t.Errorf("got %v, want an error", err)
		}
	})
	t.Run("after, from outside", func(t *testing.T) {
		tr := client(t, server(t, func(_ int, c net.Conn, r *bufio.Reader) {
			for readRequest(r) != nil {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}
		}))
		for i := range 3 {
			var end func()
			res, err := tr.RoundTripUntil(plain(t.Context()), func(f func()) { end = f })
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			end() // the connection is somebody else's by now
			if err != nil || string(body) != "ok" || tr.Stats().Dials != 1 {
				t.Errorf("exchange %d: %q, %v after %d dials, want one connection for all", i, body, err, tr.Stats().Dials)
			}
		}
	})
	t.Run("before", func(t *testing.T) {
		tr := client(t, silent)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := ask(t, tr, plain(ctx)); !errors.Is(err, context.Canceled) || tr.Stats().Dials != 0 {
			t.Errorf("got %v after %d dials, want the error of the context and none", err, tr.Stats().Dials)
		}
	})
}

func TestLateCancelTouchesNobodyElse(t *testing.T) {
	c := client(t, answering(t, ok))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 300 {
				ctx, cancel := context.WithCancel(context.Background())
				res, err := c.RoundTrip(request(t, "GET", nil).WithContext(ctx))
				if err != nil {
					t.Errorf("an exchange ended by another's cancel: %v", err)
					cancel()
					return
				}
				b, err := io.ReadAll(res.Body)
				go cancel() // as the connection goes to the next
				res.Body.Close()
				if string(b) != "ok" || err != nil {
					t.Errorf("got %q, %v", b, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestCloseBeforeTheEnd(t *testing.T) {
	later := make(chan struct{})
	addr := server(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for readRequest(r) != nil {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok")
			<-later
			io.WriteString(c, "ok")
		}
	})
	c := client(t, addr)
	res, err := c.RoundTrip(request(t, "GET", nil))
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	res.Body.Read(b)
	reading := make(chan error)
	go func() {
		_, err := res.Body.Read(b)
		reading <- err
	}()
	res.Body.Close() // ends the Read, or comes before it
	if err := <-reading; err == nil {
		t.Error("a Read after Close gave no error")
	}
	if _, err := res.Body.Read(b); !errors.Is(err, http.ErrBodyReadAfterClose) && err == nil {
		t.Errorf("Read after Close: %v", err)
	}
	if c.Stats().Idle != 0 {
		t.Error("the connection was kept with half an answer on it")
	}
	later <- struct{}{}

	// What is here already need not be read.
	c = client(t, answering(t, ok))
	for range 3 {
		res, err := c.RoundTrip(request(t, "GET", nil))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
	}
	if s := c.Stats(); s.Dials != 1 {
		t.Errorf("stats %+v, want one connection", s)
	}
}

func TestIdleConnectionsDoNotLiveForEver(t *testing.T) {
	ended := make(chan struct{})
	addr := server(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for readRequest(r) != nil {
			io.WriteString(c, ok)
		}
		ended <- struct{}{}
	})
	c := client(t, addr, func(o *h1.Options) { o.IdleTimeout = 20 * time.Millisecond })
	get(t, c)
	<-ended // of itself
	get(t, c)
	if s := c.Stats(); s.Dials != 2 || s.Reuses != 0 {
		t.Errorf("stats %+v, want a second connection", s)
	}
	<-ended
	c = client(t, addr)
	get(t, c)
	c.CloseIdleConnections()
	<-ended
	if c.Stats().Idle != 0 {
		t.Error("an idle connection is left")
	}
	// One that is in use is closed when it becomes idle.
	res, err := c.RoundTrip(request(t, "GET", nil))
	if err != nil {
		t.Fatal(err)
	}
	c.CloseIdleConnections()
	io.Copy(io.Discard, res.Body)
	<-ended
}

func TestIdleConnectionsAreFew(t *testing.T) {
	gate := make(chan struct{})
	addr := server(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for readRequest(r) != nil {
			gate <- struct{}{}
			io.WriteString(c, ok)
		}
	})
	c := client(t, addr, func(o *h1.Options) { o.MaxIdle = 2 })
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() { get(t, c) })
	}
	for range 5 {
		<-gate
	}
	wg.Wait()
	if s := c.Stats(); s.Idle > 2 {
		t.Errorf("stats %+v, want two idle at most", s)
	}
}

func TestNobodyIsThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c := client(t, l.Addr().String())
	b := &tracked{Reader: strings.NewReader(big)}
	r := request(t, "POST", b)
	r.ContentLength = int64(len(big))
	if _, _, err := ask(t, c, r); !isDown(err) {
		t.Errorf("got %v, want that nobody is there", err)
	}
	if b.closed.Load() != 1 {
		t.Error("the body was not closed")
	}
}

func TestAnswersAreNotMixedUp(t *testing.T) {
	addr := server(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for {
			req := readRequest(r)
			if req == nil {
				return
			}
			id := req.Header.Get("Id")
			head := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nId: " + id + "\r\n\r\n"
			body := "1\r\n0\r\n"
			for _, s := range id {
				body += "1\r\n" + string(s) + "\r\n"
			}
			io.WriteString(c, head+body+"0\r\n\r\n")
			if id == "7" {
				return // hang up on somebody
			}
		}
	})
	c := client(t, addr)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			id := string("0123456789abcdef"[i])
			for n := range 100 {
				method, content := "GET", ""
				if n%3 == 0 {
					method, content = "POST", big[:n*500]
				}
				r := request(t, method, strings.NewReader(content))
				r.Header.Set("Id", id)
				res, body, err := ask(t, c, r)
				if err != nil {
					if !isDown(err) {
						t.Error(err)
					}
					continue
				}
				if body != "0"+id || res.Header.Get("Id") != id {
					t.Errorf("%s got the answer %q", id, body)
				}
			}
		})
	}
	wg.Wait()
}

func TestAnswerMustComeInTime(t *testing.T) {
	for name, part := range map[string]string{"nothing": "", "half a head": "HTTP/1.1 200 OK\r\nA: b", "interim": "HTTP/1.1 100 Continue\r\n\r\n"} {
		for _, content := range []string{"", "x", big} {
			t.Run(name, func(t *testing.T) {
				addr := server(t, func(_ int, c net.Conn, r *bufio.Reader) {
					if readRequest(r) != nil {
						io.WriteString(c, part)
						readRequest(r)
					}
				})
				c := client(t, addr, func(o *h1.Options) { o.ResponseTimeout = 30 * time.Millisecond })
				_, _, err := ask(t, c, request(t, "POST", strings.NewReader(content)))
				var timeout net.Error
				if !errors.As(err, &timeout) || !timeout.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("got %v, want a timeout", err)
				}
			})
		}
	}
}

func TestPatientTransportWaits(t *testing.T) {
	later := make(chan struct{})
	addr := server(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for readRequest(r) != nil {
			<-later
			io.WriteString(c, ok)
		}
	})
	c := client(t, addr, func(o *h1.Options) { o.ResponseTimeout = 50 * time.Millisecond })
	time.AfterFunc(100*time.Millisecond, func() { close(later) })
	if _, body, err := ask(t, c.Patient(), request(t, "GET", nil)); body != "ok" || err != nil {
		t.Errorf("got %q, %v", body, err)
	}
	if _, _, err := get(t, c); err != nil || c.Stats().Dials != 1 {
		t.Errorf("%v, %+v, want the same connection", err, c.Stats())
	}
}

func TestBodyMayTakeItsTime(t *testing.T) {
	later := make(chan struct{})
	addr := server(t, func(_ int, c net.Conn, r *bufio.Reader) {
		for readRequest(r) != nil {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok")
			<-later
			io.WriteString(c, "ok")
		}
	})
	c := client(t, addr, func(o *h1.Options) { o.ResponseTimeout = 100 * time.Millisecond })
	for range 2 {
		res, err := c.RoundTrip(request(t, "GET", nil))
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(150*time.Millisecond, func() { later <- struct{}{} })
		if body, err := io.ReadAll(res.Body); string(body) != "okok" || err != nil {
			t.Errorf("got %q, %v", body, err)
		}
		res.Body.Close()
	}
}
