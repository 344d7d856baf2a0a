package h1

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"
)

// Options say where a Transport connects to and what it waits for.
type Options struct {
	// Addr is the host:port that every request goes to, whatever its URL says.
	Addr string
	// DialTimeout bounds making a connection. Default 5s.
	DialTimeout time.Duration
	// ResponseTimeout bounds the time from when the request was sent until the
	// head of the answer was read. 0 means none.
	ResponseTimeout time.Duration
	// IdleTimeout closes a connection that was not used for this long. Default
	// 90s.
	IdleTimeout time.Duration
	// MaxIdle is how many idle connections are kept. Default 512.
	MaxIdle int
	// MaxHeader bounds the head of an answer, and of each interim one before
	// it, in bytes. Default 64 KiB.
	MaxHeader int64
	// Dial makes a connection; it must be a syscall.Conn over a stream socket.
	// Nil means a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Transport is a client of one address. It is safe for concurrent use.
type Transport struct {
	opt  Options
	pool *pool
}

// New returns a Transport. It connects to nothing.
func New(o Options) *Transport {
	if o.DialTimeout <= 0 {
		o.DialTimeout = 5 * time.Second
	}
	if o.IdleTimeout <= 0 {
		o.IdleTimeout = 90 * time.Second
	}
	if o.MaxIdle <= 0 {
		o.MaxIdle = 512
	}
	if o.MaxHeader <= 0 {
		o.MaxHeader = 64 << 10
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext
	}
	return &Transport{opt: o, pool: &pool{max: o.MaxIdle, life: o.IdleTimeout}}
}

// Patient returns a Transport over the same connections that waits for an
// answer without a limit, as event streams and calls of gRPC need.
func (t *Transport) Patient() *Transport {
	o := t.opt
	o.ResponseTimeout = 0
	return &Transport{opt: o, pool: t.pool}
}

// Handles reports whether RoundTrip can carry r. It is false for schemes other
// than http, CONNECT and TRACE, upgrades, Expect, trailers of the request, and
// what is rare enough to be left to net/http: hosts that are not plain ASCII
// or carry a zone, opaque URLs, a body of unknown length with a method that
// usually has none.
func (t *Transport) Handles(r *http.Request) bool {
	if !canCheck || !plain(r) {
		return false
	}
	return len(r.Header["Expect"]) == 0 && len(r.Header["Upgrade"]) == 0 &&
		!hasToken(r.Header["Connection"], "upgrade")
}

// plain is the part of Handles that needs no look at the headers.
func plain(r *http.Request) bool {
	u := r.URL
	if u == nil || u.Scheme != "http" || u.Opaque != "" || r.Header == nil {
		return false
	}
	//lint:ignore SA1019 it is refused, not used
	if len(r.Trailer) > 0 || r.Cancel != nil ||
		strings.EqualFold(r.Method, http.MethodConnect) || strings.EqualFold(r.Method, http.MethodTrace) {
		return false
	}
	host := hostOf(r)
	for i := range len(host) {
		if host[i] >= 0x80 || host[i] == '%' {
			return false
		}
	}
	switch n := len(r.TransferEncoding); {
	case n > 1, n == 1 && r.TransferEncoding[0] != "chunked":
		return false
	case n == 0 && bodyLength(r) < 0:
		// net/http reads a byte of such a body to see whether there is one.
		return !lacksBody(r.Method)
	}
	return true
}

func lacksBody(method string) bool {
	switch method {
	case "", "GET", "HEAD", "DELETE", "OPTIONS", "PROPFIND", "SEARCH":
		return true
	}
	return false
}

var errNotHandled = errors.New("h1: not a request for this transport")

// RoundTrip implements http.RoundTripper for requests that Handles accepts;
// others are an error. It differs from net/http in what it refuses: the
// lists are in head.go and chunked.go. A GET or HEAD without a body is sent
// a second time, on a new connection, if a used one ended without a byte of an
// answer; nothing else ever is.
//
// A body whose length is known and small is read before anything is sent, and
// a Read of it is not interrupted; everything else ends at once when the
// context of r does, with an error that wraps that of the context. A head that
// does not come in time is a net.Error with Timeout. An upstream that is not
// there, or hangs up without a byte, shows in the chain as *net.OpError or
// io.EOF; an answer that is none does not.
//
// The body of r is closed, possibly after RoundTrip has returned. Once the
// body of the response is closed, no further Read of it begins.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.RoundTripUntil(r, nil)
}

// RoundTripUntil is RoundTrip for an exchange that something else may end besides
// its context. by, if not nil, is given a function that ends the exchange at
// once; it may be called at any time, by anybody, and does nothing once the body
// of the answer has been read or closed. An exchange that it ends fails with an
// error of the network.
func (t *Transport) RoundTripUntil(r *http.Request, by func(end func())) (*http.Response, error) {
	if !canCheck || !plain(r) {
		closeBody(r)
		return nil, errNotHandled
	}
	x := &exchange{t: t, req: r}
	if by != nil {
		by(x.abort)
	}
	out := heads.Get().(*[]byte)
	err := x.run(out)
	if cap(*out) <= maxKept {
		heads.Put(out)
	}
	if err != nil {
		return nil, x.fail(err)
	}
	return &x.res, nil
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		r.Body.Close()
	}
}

// CloseIdleConnections closes what is idle now, and connections that are in
// use once they become idle, until the next request.
func (t *Transport) CloseIdleConnections() { t.pool.shut() }

// Stats are counts since New.
type Stats struct {
	Dials   int64 // connections that were made
	Reuses  int64 // used connections that were taken for a request
	Retries int64 // requests that were sent a second time
	Idle    int   // connections in the pool now
}

// Stats returns the counts.
func (t *Transport) Stats() Stats { return t.pool.stats() }
