package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"strings"
	"sync"
	"time"

	"gatehouse/proxy/upstream/h1"
)

const (
	// idlePerHost is how many idle connections are kept. The two that net/http
	// keeps by default would mean a new connection for most requests.
	idlePerHost = 512
	idleTimeout = 90 * time.Second
	// maxHeader bounds the headers of a response, as the head of a request is.
	maxHeader = 64 << 10
	// Bodies are copied through buffers of copySize, and those that fit through
	// one of smallCopy: most answers do.
	copySize  = 64 << 10
	smallCopy = 4 << 10
	// serverBuffer is how much net/http's server holds back of an answer before
	// it writes to the connection.
	serverBuffer = 4 << 10
	// handshake is the size of the buffers that most requests for a web socket
	// and their answers fit in. The connection is not used for another.
	handshake = 1 << 10
)

// Upstream is one application and the connections to it. It is safe for
// concurrent use.
type Upstream struct {
	name    string
	host    string // host[:port] to connect to
	scheme  string // http or https
	ownHost bool   // send host instead of the one that was asked for
	maxBody int64
	silence time.Duration // of a client in the middle of a body
	trouble *log.Logger   // of what happens after a response has begun
	buffers bufferPool
	small   sync.Pool           // of *[smallCopy]byte
	large   httputil.BufferPool // for web sockets: buffers, unless a test counts

	own     *h1.Transport   // the ordinary way for what it handles; nil for none
	patient *h1.Transport   // own, without a limit on the first byte
	pooled  *http.Transport // the ordinary way
	streams *http.Transport // no limit on the first byte
	sockets *http.Transport // HTTP/1.1: web sockets start as an upgrade of it
	alone   *http.Transport // one connection, one request
}

// New returns the upstream that the configuration calls name. cfg must have
// passed its Check. to takes what happens after a response has begun; nil
// discards it. New connects to nothing; an unreadable CA file is an error.
func New(name string, cfg Config, to *slog.Logger) (*Upstream, error) {
	if cfg.URL == nil {
		return nil, fmt.Errorf("upstream %q has no url", name)
	}
	if to == nil {
		to = slog.New(slog.DiscardHandler)
	}
	trust, err := cfg.tls()
	if err != nil {
		return nil, fmt.Errorf("upstream %q: %w", name, err)
	}
	u := &Upstream{
		name: name, host: cfg.URL.Host, scheme: "http", trouble: slog.NewLogLogger(to.Handler(), slog.LevelDebug),
		ownHost: cfg.Host == hostUpstream, maxBody: int64(cfg.MaxBody), silence: slowest,
	}
	u.buffers.New = func() any { return new([copySize]byte) }
	u.small.New = func() any { return new([smallCopy]byte) }
	u.large = &u.buffers
	if cfg.URL.Scheme == "https" {
		u.scheme = "https"
	}
	if cfg.Transport == transportH1 && cfg.URL.Scheme == "http" {
		u.own = cfg.own()
		u.patient = u.own.Patient()
	}
	u.pooled = cfg.transport(trust)
	u.streams = cfg.transport(trust)
	u.streams.ResponseHeaderTimeout = 0
	u.sockets = cfg.transport(trust)
	u.sockets.ResponseHeaderTimeout = 0
	u.sockets.Protocols = protocols(false, false)
	u.sockets.ReadBufferSize, u.sockets.WriteBufferSize = handshake, handshake
	u.alone = cfg.transport(trust)
	u.alone.DisableKeepAlives = true
	if cfg.URL.Scheme == "https" {
		u.alone.Protocols = protocols(false, false)
	}
	return u, nil
}

// Name returns the name the configuration gives this upstream.
func (u *Upstream) Name() string { return u.name }

// Close closes idle connections. Exchanges that run go on; those that begin
// later still work.
func (u *Upstream) Close() {
	for _, t := range []*http.Transport{u.pooled, u.streams, u.sockets, u.alone} {
		t.CloseIdleConnections()
	}
	if u.own != nil {
		u.own.CloseIdleConnections()
	}
}

// choose returns the connections a request may use.
func (u *Upstream) choose(r *http.Request, socket bool) http.RoundTripper {
	switch {
	case socket:
		return u.sockets
	case bindsConnection(r.Header["Authorization"]):
		// NTLM and Negotiate sign in the connection, not the request: lent to
		// the next request, it would carry this person's rights.
		return u.alone
	case streams(r.Header):
		return u.streams
	}
	return u.pooled
}

// own returns our own client for c, an http upstream.
func (c *Config) own() *h1.Transport {
	addr := c.URL.Host
	if c.URL.Port() == "" {
		addr = net.JoinHostPort(c.URL.Hostname(), "80")
	}
	return h1.New(h1.Options{
		Addr: addr, DialTimeout: c.DialTimeout, ResponseTimeout: c.ResponseTimeout,
		IdleTimeout: idleTimeout, MaxIdle: idlePerHost, MaxHeader: maxHeader,
	})
}

// ours returns our own client for a request that would use t, nil where net/http
// carries it.
func (u *Upstream) ours(t http.RoundTripper, r *http.Request) *h1.Transport {
	own := u.own
	if t == u.streams {
		own = u.patient
	}
	if own == nil || t != u.pooled && t != u.streams || !own.Handles(r) {
		return nil
	}
	return own
}

// streams reports whether the answer may take as long as it likes.
func streams(h http.Header) bool {
	if types := h["Content-Type"]; len(types) > 0 && strings.HasPrefix(types[0], "application/grpc") {
		return true
	}
	for _, v := range h["Accept"] {
		if strings.Contains(v, "text/event-stream") {
			return true
		}
	}
	return false
}

// bindsConnection reports whether one of the values, credentials or
// challenges, is of a scheme that authenticates the connection (RFC 4559 §6).
func bindsConnection(values []string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			scheme, _, _ := strings.Cut(strings.TrimSpace(part), " ")
			if strings.EqualFold(scheme, "NTLM") || strings.EqualFold(scheme, "Negotiate") || strings.EqualFold(scheme, "Kerberos") {
				return true
			}
		}
	}
	return false
}

// transport returns a new transport for c. No proxy is taken from the
// environment: where requests go is said by the configuration alone.
func (c *Config) transport(trust *tls.Config) *http.Transport {
	dialer := &net.Dialer{Timeout: c.DialTimeout, KeepAlive: 30 * time.Second}
	t := &http.Transport{
		DialContext:            wrap(dialer.DialContext),
		TLSClientConfig:        trust.Clone(),
		TLSHandshakeTimeout:    c.DialTimeout,
		ResponseHeaderTimeout:  c.ResponseTimeout,
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConnsPerHost:    idlePerHost,
		IdleConnTimeout:        idleTimeout,
		// What the application sends is what the client gets, still compressed.
		DisableCompression: true,
		Protocols:          protocols(c.URL.Scheme == "https" && c.HTTP2, c.URL.Scheme == "h2c"),
		// A peer that vanished is noticed although a stream is silent.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
	}
	return t
}

func protocols(h2, h2c bool) *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(!h2c)
	p.SetHTTP2(h2)
	p.SetUnencryptedHTTP2(h2c)
	return &p
}

var errNoCertificate = errors.New("no PEM certificate in it")

// tls returns how the upstream's certificate is judged.
func (c *Config) tls() (*tls.Config, error) {
	t := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         c.ServerName,
		InsecureSkipVerify: c.InsecureSkipVerify,
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
	if c.CA == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fmt.Errorf("read ca: %w", err)
	}
	t.RootCAs = x509.NewCertPool()
	if !t.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read ca %q: %w", c.CA, errNoCertificate)
	}
	return t, nil
}

// bufferPool lends the buffers that bodies are copied through.
type bufferPool struct{ sync.Pool }

var _ httputil.BufferPool = (*bufferPool)(nil)

func (p *bufferPool) Get() []byte  { return p.Pool.Get().(*[copySize]byte)[:] }
func (p *bufferPool) Put(b []byte) { p.Pool.Put((*[copySize]byte)(b)) }
