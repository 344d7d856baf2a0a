//go:build unix

package h1_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/proxy/upstream/h1"
)

const answer66 = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 28 Nov 2026 12:00:00 GMT\r\n" +
	"Content-Type: application/json\r\nContent-Length: 66\r\nConnection: keep-alive\r\nCache-Control: no-store\r\n\r\n" +
	`{"id":12345,"name":"a small answer","list":[1,2,3,4,5,6],"ok":1  }`

// responder answers whatever ends like a head, at the least cost.
func responder(b testing.TB, answer string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	out := []byte(answer)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 8<<10)
				for n := 0; ; {
					m, err := c.Read(buf[n:])
					if err != nil {
						return
					}
					if n += m; bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) || bytes.HasSuffix(buf[:n], []byte("body!")) {
						n = 0
						c.Write(out)
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

func benchRequest(addr string) *http.Request {
	r, _ := http.NewRequest("GET", "http://"+addr+"/api/orders?id=12345", nil)
	r.Header = http.Header{
		"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64)"}, "Accept": {"*/*"}, "Accept-Encoding": {"gzip"},
		"X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"app.test"},
		"Cookie": {"session=0123456789abcdef0123456789abcdef"},
	}
	return r
}

func exchange(b testing.TB, tr http.RoundTripper, r *http.Request, buf []byte) {
	res, err := tr.RoundTrip(r)
	if err != nil {
		b.Error(err)
		return
	}
	for err == nil {
		_, err = res.Body.Read(buf)
	}
	if err != io.EOF {
		b.Error(err)
	}
	res.Body.Close()
}

// cpu is the time this process has spent computing, in all threads.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// reportCPU reports what an operation cost, however busy the machine is. The
// responder is part of it, for both clients.
func reportCPU(b *testing.B, since time.Duration) {
	b.ReportMetric(float64(cpu()-since)/float64(b.N), "cpu-ns/op")
}

// BenchmarkRoundTrip is one exchange over a kept connection, context and all,
// by h1 and by a tuned http.Transport.
func BenchmarkRoundTrip(b *testing.B) {
	large := "HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n" + strings.Repeat("x", 65536)
	chunks := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
		strings.Repeat("800\r\n"+strings.Repeat("x", 0x800)+"\r\n", 8) + "0\r\n\r\n"
	b.Run("small", func(b *testing.B) { compareClients(b, answer66, "") })
	b.Run("post", func(b *testing.B) { compareClients(b, answer66, strings.Repeat("x", 500)+"body!") })
	b.Run("64k", func(b *testing.B) { compareClients(b, large, "") })
	b.Run("16k-chunks", func(b *testing.B) { compareClients(b, chunks, "") })
}

func compareClients(b *testing.B, answer, body string) {
	addr := responder(b, answer)
	one := func(tr http.RoundTripper, r *http.Request, buf []byte) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		r = r.WithContext(ctx)
		if body != "" {
			r.Method, r.ContentLength, r.Body = "POST", int64(len(body)), io.NopCloser(strings.NewReader(body))
		}
		exchange(b, tr, r, buf)
	}
	for _, c := range []struct {
		name string
		http.RoundTripper
	}{
		{"h1", h1.New(h1.Options{Addr: addr, ResponseTimeout: time.Minute})},
		{"net-http", &http.Transport{
			MaxIdleConnsPerHost: 512, DisableCompression: true, ResponseHeaderTimeout: time.Minute,
			MaxResponseHeaderBytes: 64 << 10,
		}},
	} {
		b.Run(c.name+"/serial", func(b *testing.B) {
			b.ReportAllocs()
			buf, r := make([]byte, 32<<10), benchRequest(addr)
			defer reportCPU(b, cpu())
			for b.Loop() {
				one(c, r, buf)
			}
		})
		b.Run(c.name+"/parallel", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(16)
			defer reportCPU(b, cpu())
			b.RunParallel(func(pb *testing.PB) {
				buf, r := make([]byte, 32<<10), benchRequest(addr)
				for pb.Next() {
					one(c, r, buf)
				}
			})
		})
		c.RoundTripper.(interface{ CloseIdleConnections() }).CloseIdleConnections()
	}
}

// TestAllocations holds the ceiling of a small GET; the context and the copy
// of the request that carries it are the caller's.
func TestAllocations(t *testing.T) {
	addr := responder(t, answer66)
	c := client(t, addr)
	buf, r := make([]byte, 32<<10), benchRequest(addr)
	caller := testing.AllocsPerRun(100, func() {
		ctx, cancel := context.WithCancel(context.Background())
		_ = r.WithContext(ctx)
		cancel()
	})
	all := testing.AllocsPerRun(500, func() {
		ctx, cancel := context.WithCancel(context.Background())
		exchange(t, c, r.WithContext(ctx), buf)
		cancel()
	})
	if got := all - caller; got > 12 {
		t.Errorf("%v allocations, want 12 at most", got)
	}
}
