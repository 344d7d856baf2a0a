package inproc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Bounds of one call.
const (
	// Deadline ends a call, body included.
	Deadline = 10 * time.Second
	// MaxBody is the longest response body, in bytes.
	MaxBody = 1 << 20
	// RemoteAddr is what the handler sees as its client. It parses as no
	// address, so that nobody can take it for "local" or rate-limit it as one
	// client.
	RemoteAddr = "in-process"
)

var (
	// ErrTooLarge means that a response body is longer than MaxBody.
	ErrTooLarge = errors.New("response body too large")
	// ErrForeign means that a request names an origin this client does not
	// serve.
	ErrForeign = errors.New("request to a foreign origin")
	// ErrPanic means that the handler panicked.
	ErrPanic = errors.New("handler panicked")
)

// Transport answers requests to the origin (scheme, host and port; its path
// does not count) by h, and passes all others to next, or refuses them with
// ErrForeign when next is nil. Responses stream; their bodies end with
// ErrTooLarge after MaxBody bytes and with context.DeadlineExceeded after
// Deadline. A panic of h is an error, not a crash. Safe for concurrent use.
func Transport(origin *url.URL, h http.Handler, next http.RoundTripper) http.RoundTripper {
	return &transport{origin: originOf(origin), handler: h, next: next}
}

// Client returns a client that reaches the issuer's origin and nothing else.
// It follows no redirect: one would carry a client secret to the network.
func Client(issuer *url.URL, h http.Handler) *http.Client {
	return Bounded(&http.Client{Transport: Transport(issuer, h, nil)})
}

// Bounded returns a copy of c that follows no redirect, gives up after
// Deadline and reads at most MaxBody bytes of a response.
func Bounded(c *http.Client) *http.Client {
	bounded := *c
	if bounded.Transport == nil {
		bounded.Transport = http.DefaultTransport
	}
	if _, done := bounded.Transport.(capped); !done {
		bounded.Transport = capped{bounded.Transport}
	}
	bounded.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if bounded.Timeout == 0 || bounded.Timeout > Deadline {
		bounded.Timeout = Deadline
	}
	return &bounded
}

// originOf returns scheme://host:port with the default port written out.
func originOf(u *url.URL) string {
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[scheme]
	}
	return scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

type transport struct {
	origin  string
	handler http.Handler
	next    http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if originOf(r.URL) != t.origin || r.URL.User != nil {
		if t.next != nil {
			return t.next.RoundTrip(r)
		}
		if r.Body != nil {
			_ = r.Body.Close() // the contract of RoundTripper; nothing was read
		}
		return nil, fmt.Errorf("in-process call: %w", ErrForeign)
	}
	ctx, cancel := context.WithTimeout(r.Context(), Deadline)
	body, out := io.Pipe()
	w := &writer{header: http.Header{}, ready: make(chan struct{}), out: out, head: r.Method == http.MethodHead}
	// Whichever comes first, the caller's end or the deadline, unblocks both
	// the reader and a handler that is writing.
	stop := context.AfterFunc(ctx, func() { _ = out.CloseWithError(context.Cause(ctx)) })
	go t.serve(w, serverSide(r, ctx), func() { stop(); cancel() })

	select {
	case <-w.ready:
	case <-ctx.Done():
		cancel()
		return nil, ctx.Err()
	}
	if w.err != nil {
		cancel()
		return nil, fmt.Errorf("in-process call: %w", w.err)
	}
	return w.response(r, &pipeBody{Reader: io.LimitReader(body, MaxBody+1), pipe: body, cancel: cancel}), nil
}

// serve runs the handler to its end.
func (t *transport) serve(w *writer, r *http.Request, done func()) {
	defer func() {
		if p := recover(); p != nil {
			// The value may hold anything; its type is enough to look for.
			w.finish(fmt.Errorf("%w: %T", ErrPanic, p))
		} else {
			// A handler that ends because its time is up has not finished what
			// it was saying: that must not look like the end of the body.
			w.finish(context.Cause(r.Context()))
		}
		_ = r.Body.Close() // whatever the handler left unread is of no use
		done()
	}()
	t.handler.ServeHTTP(w, r)
}

// serverSide copies a client's request into the form a server receives.
func serverSide(r *http.Request, ctx context.Context) *http.Request {
	in := r.Clone(ctx)
	in.URL = &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	if in.URL.Path == "" {
		in.URL.Path = "/"
	}
	in.RequestURI = in.URL.RequestURI()
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	in.RemoteAddr, in.TLS = RemoteAddr, nil
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	return in
}

// pipeBody is the caller's end of a response body.
type pipeBody struct {
	io.Reader
	pipe   *io.PipeReader
	cancel context.CancelFunc
	read   int64
}

// Read returns ErrTooLarge instead of the byte after the last one allowed.
func (b *pipeBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.read += int64(n); b.read > MaxBody {
		return 0, ErrTooLarge
	}
	return n, err
}

// Close stops a handler that is still writing.
func (b *pipeBody) Close() error {
	b.cancel()
	return b.pipe.Close()
}

// capped bounds the response bodies of another transport.
type capped struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (c capped) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := c.next.RoundTrip(r)
	if err == nil {
		res.Body = &cappedBody{ReadCloser: res.Body}
	}
	return res, err
}

type cappedBody struct {
	io.ReadCloser
	read int64
}

// Read returns ErrTooLarge once more than MaxBody bytes have come.
func (b *cappedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.read += int64(n); b.read > MaxBody {
		return 0, ErrTooLarge
	}
	return n, err
}
