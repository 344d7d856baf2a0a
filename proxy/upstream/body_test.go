package upstream_test

import (
	"bytes"
	"context"
	"io"
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

func TestBodyLimit(t *testing.T) {
	both(t, func(t *testing.T) {
		// Atomic: the answer to what is too large does not wait for the application.
		var got, hits atomic.Int64
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			hits.Add(1)
			n, _ := io.Copy(io.Discard, r.Body)
			got.Store(n)
		}))
		defer app.Close()
		g := front(t, config(t, app.URL), nil)

		// 100 MiB, length not announced: refused when the limit is passed.
		res, err := http.Post(g.URL, "", io.LimitReader(zeros{}, 100<<20))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("100 MiB chunked: status %d, want 413", res.StatusCode)
		}
		if n := got.Load(); n > 64<<20 {
			t.Errorf("%d bytes reached the upstream, limit 64 MiB", n)
		}

		before := hits.Load()
		out := speak(t, g.URL, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 67108865\r\n\r\n")
		if !strings.HasPrefix(out, "HTTP/1.1 413") || hits.Load() != before {
			t.Errorf("announced: %q with %d hits, want 413 and none", out, hits.Load()-before)
		}

		small := front(t, config(t, app.URL, func(c *upstream.Config) { c.MaxBody = 5 }), nil)
		for body, want := range map[string]int{"12345": 200, "123456": 413} {
			res, err := http.Post(small.URL, "", io.MultiReader(strings.NewReader(body)))
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != want {
				t.Errorf("%d bytes against 5: status %d, want %d", len(body), res.StatusCode, want)
			}
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestBodyIsCopiedWhole(t *testing.T) {
	both(t, func(t *testing.T) {
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Write(body)
		}))
		defer app.Close()
		g := front(t, config(t, app.URL), nil)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				want := bytes.Repeat([]byte{byte('a' + i)}, 300_000+i)
				res, err := http.Post(g.URL, "", bytes.NewReader(want))
				if err != nil {
					t.Error(err)
					return
				}
				defer res.Body.Close()
				if got, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(got, want) {
					t.Errorf("got %d bytes, %v, want %d of one letter", len(got), err, len(want))
				}
			})
		}
		wg.Wait()
	})
}

// cutOff is a body whose silence ends in the way of net/http's server: first the
// context ends, then the read.
type cutOff struct {
	sent bool
	end  func()
}

func (b *cutOff) Read(p []byte) (int, error) {
	if !b.sent {
		b.sent = true
		return copy(p, "x"), nil
	}
	time.Sleep(30 * time.Millisecond) // longer than the silence
	b.end()
	time.Sleep(100 * time.Millisecond) // longer than what notices the end of the context
	return 0, os.ErrDeadlineExceeded
}

// timed is a recorder with deadlines, which it leaves to the body.
type timed struct{ *httptest.ResponseRecorder }

func (timed) SetReadDeadline(time.Time) error { return nil }

func TestSilentBodyIsNotTakenForAClientThatHasGone(t *testing.T) {
	both(t, func(t *testing.T) {
		app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
		defer app.Close()
		up, err := upstream.New("app", config(t, app.URL), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer up.Close()
		up.SetSilence(20 * time.Millisecond)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://a/", &cutOff{end: cancel})
		r.ContentLength = 60000
		w := timed{httptest.NewRecorder()}
		up.Forward(w, r, upstream.Forward{Path: "/"})
		if w.Code != http.StatusBadRequest {
			t.Errorf("a silent body is answered %d, want 400", w.Code)
		}
	})
}

// A connection that sends a byte now and then may hold one to the application
// no longer than it is silent; one that goes on, or has sent all, is not hurried.
func TestSilentBodiesAreCutOff(t *testing.T) {
	both(t, func(t *testing.T) {
		app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			time.Sleep(700 * time.Millisecond) // longer than the silence: the answer takes its time
			io.WriteString(w, "done")
		}))
		defer app.Close()
		up, err := upstream.New("app", config(t, app.URL), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer up.Close()
		up.SetSilence(300 * time.Millisecond)
		g := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			up.Forward(w, r, upstream.Forward{Path: "/"})
		}))
		defer g.Close()
		begin := time.Now()
		out := speak(t, g.URL, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\nx")
		if !strings.HasPrefix(out, "HTTP/1.1 400") || time.Since(begin) > 5*time.Second {
			t.Errorf("a silent body is answered %q after %v, want 400 soon", out, time.Since(begin))
		}
		slow, end := io.Pipe()
		go func() {
			for range 5 {
				io.WriteString(end, "still here")
				time.Sleep(150 * time.Millisecond)
			}
			end.Close()
		}()
		res, err := http.Post(g.URL, "", slow)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if body, err := io.ReadAll(res.Body); res.StatusCode != http.StatusOK || string(body) != "done" || err != nil {
			t.Errorf("a slow body that goes on is answered %d %q %v, want 200 done", res.StatusCode, body, err)
		}
	})
}

// A call of gRPC may be silent, but not one that has said how much there will be:
// over h1 a small body is read before anything is sent.
func TestAnAnnouncedBodyOverHTTP2IsCutOffToo(t *testing.T) {
	both(t, func(t *testing.T) {
		app := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
		defer app.Close()
		up, err := upstream.New("app", config(t, app.URL), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer up.Close()
		up.SetSilence(300 * time.Millisecond)
		left := make(chan struct{})
		g := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(left)
			up.Forward(w, r, upstream.Forward{Path: "/"})
		}))
		g.Config.Protocols = new(http.Protocols)
		g.Config.Protocols.SetUnencryptedHTTP2(true)
		g.Start()
		defer g.Close()
		body, more := io.Pipe()
		defer more.Close()
		go io.WriteString(more, "x")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.URL, body)
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = 10
		r.Header.Set("Content-Type", "application/grpc")
		client, status := h2cClient(t), make(chan int, 1)
		go func() {
			res, err := client.Do(r)
			if err != nil {
				status <- 0
				return
			}
			res.Body.Close()
			status <- res.StatusCode
		}()
		select {
		case <-left:
		case <-time.After(5 * time.Second):
			t.Fatal("its handler is held")
		}
		if got := <-status; got != http.StatusBadRequest {
			t.Errorf("it is answered %d, want 400", got)
		}
	})
}
