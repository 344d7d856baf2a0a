package upstream

import (
	"net/url"
	"time"

	"gatehouse/internal/conf"
)

// Config is one upstream: where an application listens. In YAML it is either
// its URL alone, or a map:
//
//	upstreams:
//	  app: http://127.0.0.1:3000
//	  api: { url: https://api.internal:8443, ca: /etc/ssl/internal.pem }
type Config struct {
	// Pos is where the upstream stands in the file.
	Pos conf.Pos `yaml:"-"`
	// URL is scheme, host and port, nothing else: http, https (HTTP/2 when the
	// server offers it), or h2c (HTTP/2 in clear, as gRPC servers speak it).
	URL *url.URL `yaml:"url"`
	// Host is what the application sees as Host: keep passes on the host the
	// browser asked for, upstream sends the host of URL. Default keep.
	Host string `yaml:"host"`
	// CA is a PEM file; the server's certificate must be signed by one of its
	// certificates instead of one the system trusts. For https only.
	CA string `yaml:"ca"`
	// ServerName is the name the server's certificate must carry. Default: the
	// host of URL. For https only.
	ServerName string `yaml:"server_name"`
	// InsecureSkipVerify accepts any certificate: whoever sits between here and
	// the application reads and changes everything. For https only.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify"`
	// HTTP2 false keeps https to HTTP/1.1. Default true.
	HTTP2 bool `yaml:"http2"`
	// Transport is what speaks HTTP/1.1 to an http upstream: standard, the client
	// of Go's library, or h1, gatehouse's own, which takes less of the processor.
	// h1 leaves web sockets and whatever is rare to standard, and refuses answers
	// that two readers may read in two ways.
	// Default standard.
	Transport string `yaml:"transport"`
	// DialTimeout bounds connecting, and the TLS handshake after it. Default 5s.
	DialTimeout time.Duration `yaml:"dial_timeout"`
	// ResponseTimeout bounds the wait for the first byte of the answer once the
	// request has been sent. Event streams, gRPC calls and web sockets may take
	// as long as they like. Default 60s.
	ResponseTimeout time.Duration `yaml:"response_timeout"`
	// MaxBody bounds a request body, whether its length was announced or not;
	// what is larger is answered 413. Default 64MiB.
	MaxBody conf.Size `yaml:"max_body"`
}

// The two values of Config.Transport.
const (
	transportStandard = "standard"
	transportH1       = "h1"
)

// The two values of Config.Host.
const (
	hostKeep     = "keep"
	hostUpstream = "upstream"
)

// Defaults fills in what a file need not say.
func (c *Config) Defaults() {
	c.Host = hostKeep
	c.HTTP2 = true
	c.Transport = transportStandard
	c.DialTimeout = 5 * time.Second
	c.ResponseTimeout = 60 * time.Second
	c.MaxBody = 64 << 20
}

// UnmarshalConf reads both forms.
func (c *Config) UnmarshalConf(n *conf.Node) {
	c.Defaults()
	switch n.Kind() {
	case conf.Map:
		n.Decode(c)
	case conf.Scalar:
		n.Decode(&c.URL)
	default:
		n.Errorf("an upstream is a URL such as http://127.0.0.1:3000, or a map with the key url")
	}
}

// Check refuses what could not work, or would weaken the gate unnoticed.
func (c *Config) Check(r *conf.Report) {
	if c.URL == nil {
		r.Errorf(&c.URL, "an upstream needs a url, such as http://127.0.0.1:3000")
		return
	}
	switch c.URL.Scheme {
	case "http", "https", "h2c":
	default:
		r.Errorf(&c.URL, "the url of an upstream begins with http://, https:// or h2c://")
		return
	}
	if c.URL.Hostname() == "" {
		r.Errorf(&c.URL, "the url of an upstream needs a host")
	}
	if c.URL.User != nil {
		r.Errorf(&c.URL, "the url of an upstream cannot hold a user name or password")
	}
	// A path here would be put before the one that was decided on.
	if (c.URL.Path != "" && c.URL.Path != "/") || c.URL.RawQuery != "" || c.URL.Fragment != "" {
		r.Errorf(&c.URL, "the url of an upstream ends after host and port; paths are passed on as they are")
	}
	if c.Host != hostKeep && c.Host != hostUpstream {
		r.Errorf(&c.Host, "host is keep or upstream")
	}
	if c.URL.Scheme != "https" && (c.CA != "" || c.ServerName != "" || c.InsecureSkipVerify) {
		r.Errorf(&c.URL, "ca, server_name and insecure_skip_verify need an https:// upstream")
	}
	if c.URL.Scheme != "https" && !c.HTTP2 {
		r.Errorf(&c.HTTP2, "http2: false keeps an https:// upstream to HTTP/1.1; http:// never has HTTP/2, and h2c:// nothing else")
	}
	switch {
	case c.Transport != transportStandard && c.Transport != transportH1:
		r.Errorf(&c.Transport, "transport is %q, want standard or h1", c.Transport)
	case c.Transport == transportH1 && c.URL.Scheme != "http":
		r.Errorf(&c.Transport, "transport: h1 speaks HTTP/1.1 without TLS; it needs an http:// upstream")
	}
	if c.CA != "" {
		c.CA = r.Path(c.CA)
	}
	if c.InsecureSkipVerify {
		r.Warnf(&c.InsecureSkipVerify, "the certificate of this upstream is not checked")
	}
	for _, d := range []*time.Duration{&c.DialTimeout, &c.ResponseTimeout} {
		if *d <= 0 {
			r.Errorf(d, "a time limit must be longer than 0")
		}
	}
	if c.MaxBody <= 0 {
		r.Errorf(&c.MaxBody, "max_body must be larger than 0")
	}
}
