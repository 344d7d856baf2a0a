package upstream_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"gatehouse/proxy/upstream"
)

func TestBodyLimit(t *testing.T) {
	var got int64
	hits := 0
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits++
		got, _ = io.Copy(io.Discard, r.Body)
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
	if got > 64<<20 {
		t.Errorf("%d bytes reached the upstream, limit 64 MiB", got)
	}

	hits = 0
	out := speak(t, g.URL, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 67108865\r\n\r\n")
	if !strings.HasPrefix(out, "HTTP/1.1 413") || hits != 0 {
		t.Errorf("announced: %q with %d hits, want 413 and none", out, hits)
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
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestBodyIsCopiedWhole(t *testing.T) {
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
}
