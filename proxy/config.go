package proxy

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"gatehouse/internal/conf"
	"gatehouse/proxy/identity"
	"gatehouse/proxy/upstream"
)

// Config holds the keys of the configuration's top level that describe the
// gate: where it listens, under which names, and what it does with a request.
type Config struct {
	// PublicURL is what people type: one URL or a list, each scheme, host and
	// optional port, without a path. It is the one source of truth for
	// redirects and cookies. Mandatory. Plain http is refused beyond loopback
	// unless allow_plain_http is set.
	PublicURL []*url.URL `yaml:"public_url"`
	// Listen is the address to listen on: a port, host:port, a list of them,
	// or {addr, h2c}. Default 8080, on all addresses.
	Listen Listen `yaml:"listen"`
	// TLS makes the listener speak TLS (at least 1.2) and HTTP/2.
	TLS *TLS `yaml:"tls"`
	// AllowPlainHTTP accepts an http:// public_url that is not loopback.
	// It costs: everyone on the way can read cookies and take sessions over.
	AllowPlainHTTP bool `yaml:"allow_plain_http"`
	// TrustedProxies are the addresses whose X-Forwarded-For, X-Forwarded-Proto
	// and X-Request-Id are believed. Empty, the default, trusts nobody.
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies"`
	// Upstreams are the applications behind the gate, by name.
	Upstreams map[string]*upstream.Config `yaml:"upstreams"`
	// Routes are tried in order; the first that matches wins. A request that
	// none matches gets 404.
	Routes []*Route `yaml:"routes"`
	// IdentityHeaders is what upstreams are told about the person, unless a
	// route says otherwise: default, alb, none, or a map. Default: default.
	IdentityHeaders identity.Headers `yaml:"identity_headers"`
	// Principals is the memory of credentials that were verified.
	Principals Principals `yaml:"principals"`
	// ALB adds to the preset alb.
	ALB identity.ALB `yaml:"alb"`
}

// Principals bounds what is remembered of credentials: whom they speak for, what
// was decided about them, and the headers that tell applications so.
type Principals struct {
	// Max is how much memory they may take, about; 0 remembers nothing, and every
	// request is verified anew. Never more than a quarter of the process's memory
	// limit. Otherwise at least 1MiB. Default 320MiB: about 100,000 credentials.
	Max conf.Size `yaml:"max"`
}

// Defaults sets what an absent key means.
func (p *Principals) Defaults() { p.Max = 320 << 20 }

// leastPrincipals is some 300 credentials. Who writes less means another unit.
const leastPrincipals conf.Size = 1 << 20

// Check reports a size that is none.
func (p *Principals) Check(r *conf.Report) {
	switch {
	case p.Max < 0:
		r.Errorf(&p.Max, "principals: max is %s, want 0 or more", p.Max)
	case p.Max > 0 && p.Max < leastPrincipals:
		r.Errorf(&p.Max, "principals: max is %d bytes, which is room for nobody: want a size with its unit, such as 64MiB, of %s at least, or 0 to remember none", int64(p.Max), leastPrincipals)
	}
}

// TLS names the certificate of the listener.
type TLS struct {
	// Cert and Key are paths of PEM files: the chain, leaf first, and its key.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Listen is where the gate accepts connections.
type Listen struct {
	// Addrs are host:port pairs; an empty host means every address.
	Addrs []string
	// H2C accepts HTTP/2 without TLS by prior knowledge (RFC 9113 §3.3). Not
	// beside TLS. Default false.
	H2C bool
}

// Defaults is port 8080 on every address.
func (l *Listen) Defaults() { l.Addrs = []string{":8080"} }

// UnmarshalConf accepts 8080, ":8080", "127.0.0.1:8080", a list of those, and
// {addr: …, h2c: true}.
func (l *Listen) UnmarshalConf(n *conf.Node) {
	var addrs []string
	if n.Kind() == conf.Map {
		var long struct {
			Addr []string `yaml:"addr"`
			H2C  bool     `yaml:"h2c"`
		}
		n.Decode(&long)
		addrs, l.H2C = long.Addr, long.H2C
	} else {
		n.Decode(&addrs)
	}
	l.Addrs = l.Addrs[:0:0]
	for _, a := range addrs {
		if _, err := strconv.Atoi(a); err == nil {
			a = ":" + a
		}
		_, port, err := net.SplitHostPort(a)
		if p, perr := strconv.Atoi(port); err != nil || perr != nil || p < 0 || p > 65535 {
			n.Errorf("%q is not a listen address: write a port (8080) or host:port (127.0.0.1:8080)", a)
			continue
		}
		l.Addrs = append(l.Addrs, a)
	}
	if len(addrs) == 0 {
		n.Errorf("listen needs at least one address")
	}
}

// Check reports what is wrong with the gate's configuration as a whole.
func (c *Config) Check(r *conf.Report) {
	if len(c.PublicURL) == 0 {
		r.Errorf(&c.PublicURL, "public_url is missing: write the URL people will type, such as https://app.example.com")
	}
	hosts := map[string]bool{}
	for i, u := range c.PublicURL {
		c.checkPublicURL(r, i, u, hosts)
	}
	if len(c.Upstreams) == 0 {
		r.Errorf(&c.Upstreams, "upstreams is missing: name the application, such as app: http://127.0.0.1:3000")
	}
	if len(c.Routes) == 0 {
		r.Errorf(&c.Routes, "routes is missing: without a route every request is answered 404")
	}
	seen := map[string]conf.Pos{}
	for _, rt := range c.Routes {
		if first, dup := seen[rt.Name]; dup && rt.Name != "" {
			r.Errorf(rt.Pos, "route %q is already defined in line %d", rt.Name, first.Line)
		}
		seen[rt.Name] = rt.Pos
		c.checkUpstreamOf(r, rt)
	}
	if c.TLS != nil && (c.TLS.Cert == "" || c.TLS.Key == "") {
		r.Errorf(c.TLS, "tls needs both cert and key")
	}
	if c.TLS != nil && c.Listen.H2C {
		r.Errorf(&c.Listen, "listen.h2c is HTTP/2 without TLS, and tls is there: clients take HTTP/2 over TLS by themselves")
	}
}

func (c *Config) checkPublicURL(r *conf.Report, i int, u *url.URL, hosts map[string]bool) {
	field := &c.PublicURL[i]
	if u == nil {
		return
	}
	if (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		r.Errorf(field, "public_url %q must be an http or https URL with a host", u.Redacted())
		return
	}
	if (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		r.Errorf(field, "public_url must be only scheme, host and port: %s://%s", u.Scheme, u.Host)
	}
	if u.Scheme == "http" && !Loopback(u.Hostname()) && !c.AllowPlainHTTP {
		r.Errorf(field, "public_url is http and not loopback: cookies would travel unencrypted; set allow_plain_http: true to accept that")
	}
	key := strings.ToLower(u.Host)
	if hosts[key] {
		r.Errorf(field, "public_url names the host %s twice", u.Host)
	}
	hosts[key] = true
}

func (c *Config) checkUpstreamOf(r *conf.Report, rt *Route) {
	switch {
	case rt.Upstream == "" && len(c.Upstreams) == 1:
		for name := range c.Upstreams {
			rt.Upstream = name
		}
	case rt.Upstream == "" && len(c.Upstreams) > 1:
		r.Errorf(rt.Pos, "route %q must name its upstream: there are %d", rt.Name, len(c.Upstreams))
	case c.Upstreams[rt.Upstream] == nil && len(c.Upstreams) > 0:
		r.Errorf(&rt.Upstream, "route %q names the upstream %q, which upstreams does not define", rt.Name, rt.Upstream)
	}
}

// Loopback tells whether host, without port, can only mean this machine.
func Loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.IsLoopback()
}
