package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"gatehouse/internal/lazyconn"
	"gatehouse/proxy"
)

// Limits of the listener: the head of a request, the time it may take, idle
// connections, streams of HTTP/2; and how long requests may take to end when the program stops.
const (
	maxHead     = 64 << 10
	headTimeout = 10 * time.Second
	idleTimeout = 120 * time.Second
	maxStreams  = 100
	drain       = 15 * time.Second
)

// Listen opens every address of the configuration or none. An address that
// cannot be had is one sentence that says what to do.
func Listen(ctx context.Context, addrs []string) ([]net.Listener, error) {
	var all []net.Listener
	var lc net.ListenConfig
	for _, addr := range addrs {
		ln, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			closeAll(all)
			return nil, listenError(addr, err)
		}
		all = append(all, ln)
	}
	return all, nil
}

func closeAll(all []net.Listener) {
	for _, ln := range all {
		_ = ln.Close() // nothing was served on it
	}
}

// ErrTaken says that another program listens on the address already.
var ErrTaken = errors.New("another program listens there already")

func listenError(addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen on %s: %w; stop it, or choose another address with `listen`", addr, ErrTaken)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listen on %s: not permitted; take a port above 1023, or give the program the right to bind low ports", addr)
	}
	return fmt.Errorf("listen on %s: %w", addr, err)
}

func newServer(cfg *proxy.Config, h http.Handler, log *slog.Logger) (*http.Server, error) {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHead,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		Protocols:         new(http.Protocols),
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	// net/http answers OPTIONS * by itself otherwise, before the gate.
	srv.DisableGeneralOptionsHandler = true
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(cfg.Listen.H2C)
	if cfg.TLS != nil {
		cert, err := tls.LoadX509KeyPair(cfg.TLS.Cert, cfg.TLS.Key)
		if err != nil {
			return nil, fmt.Errorf("load tls certificate %s: %w", cfg.TLS.Cert, err)
		}
		srv.Protocols.SetHTTP2(true)
		srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	}
	return srv, nil
}

// serveAll serves on every listener until ctx ends, then lets requests end
// within the drain time. stopping is called when draining begins.
func serveAll(ctx context.Context, srv *http.Server, listeners []net.Listener, stopping func()) error {
	failed := make(chan error, len(listeners))
	var wg sync.WaitGroup
	for _, ln := range listeners {
		wg.Go(func() {
			serve := srv.Serve
			if srv.TLSConfig != nil {
				serve = func(ln net.Listener) error { return srv.ServeTLS(ln, "", "") }
			}
			if err := serve(lazyconn.Listen(ln)); err != nil && !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	stopping()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	if shut := srv.Shutdown(end); shut != nil {
		_ = srv.Close() // what has not ended by now is cut off
	}
	wg.Wait()
	return err
}
