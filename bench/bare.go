package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// buffers lends out what bodies are copied through.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if buf, ok := b.pool.Get().(*[]byte); ok {
		return *buf
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(buf []byte) { b.pool.Put(&buf) }

// bareSpec says where the yardstick stands.
type bareSpec struct {
	addr string // host:port
	to   string // URL of the application
	cert string // path of certificate and key, one PEM file; "" for plain HTTP
}

// serveBare is the yardstick: the standard library's proxy with a transport
// that keeps its connections, and nothing else.
func serveBare(ctx context.Context, spec bareSpec) error {
	upstream, err := url.Parse(spec.to)
	if err != nil {
		return fmt.Errorf("upstream of the bare proxy: %w", err)
	}
	server := &http.Server{
		Addr:              spec.addr,
		ReadHeaderTimeout: 10 * time.Second,
		Handler: &httputil.ReverseProxy{
			BufferPool: &buffers{},
			Rewrite: func(p *httputil.ProxyRequest) {
				p.SetURL(upstream)
				p.SetXForwarded()
			},
			// The default keeps two idle connections a host, and so opens one
			// for nearly every request of a busy proxy.
			Transport: &http.Transport{
				DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
				MaxIdleConns:        4096,
				MaxIdleConnsPerHost: 1024,
				IdleConnTimeout:     90 * time.Second,
				DisableCompression:  true,
			},
		},
	}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	serve := server.ListenAndServe
	if spec.cert != "" {
		serve = func() error { return server.ListenAndServeTLS(spec.cert, spec.cert) }
	}
	if err := serve(); ctx.Err() == nil {
		return fmt.Errorf("bare proxy: %w", err)
	}
	return nil
}
