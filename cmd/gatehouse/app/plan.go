package app

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/accesslog"
	"gatehouse/internal/conf"
	"gatehouse/internal/telemetry"
	"gatehouse/policy"
	"gatehouse/proxy"
	"gatehouse/proxy/route"
	"gatehouse/session"
)

// Plan is a configuration that has been read, checked and compiled; nothing of
// it has had an effect yet.
type Plan struct {
	// Config is what the file says, with defaults filled in.
	Config *Config

	draft    *draft
	sites    []session.Site
	routes   *route.Table
	policy   *policy.Policy
	bundles  bundles // that policy was compiled with
	shadow   *Plan   // of policy.shadow; nil for none
	revision string
	warnings []conf.Problem
}

// Summary is what `gatehouse check` tells of a plan.
type Summary struct {
	// Revision names the configuration with all rules and data of its policy.
	Revision   string   `json:"revision"`
	PublicURLs []string `json:"public_urls"`
	Routes     int      `json:"routes"`
	Upstreams  int      `json:"upstreams"`
	Issuer     string   `json:"issuer,omitempty"`
	// Warnings are of the file, and of bundles that neither it nor policy.shadow
	// could be compiled with.
	Warnings []conf.Problem `json:"-"`
}

// Summary describes the plan.
func (p *Plan) Summary() Summary {
	s := Summary{Revision: p.revision, Routes: len(p.Config.Routes), Upstreams: len(p.Config.Upstreams)}
	s.Warnings = slices.Clone(p.warnings)
	s.Warnings = append(s.Warnings, p.missing()...)
	for _, site := range p.sites {
		s.PublicURLs = append(s.PublicURLs, site.Origin)
	}
	if p.Config.IDP != nil {
		s.Issuer = p.Config.IDP.Issuer.String()
	}
	return s
}

// Origin is the first public URL.
func (p *Plan) Origin() string { return p.sites[0].Origin }

// Revision names what the plan would do: 12 hexadecimal digits of a hash over
// what the configuration file says, secrets aside, and the policy's revision. It
// is the same wherever the files lie.
func (p *Plan) Revision() string { return p.revision }

// revise computes the revision.
func (p *Plan) revise() {
	h := sha256.New()
	digest := p.draft.file.Digest()
	h.Write(digest[:]) // a hash never returns an error
	h.Write([]byte(p.policy.Revision()))
	if p.shadow != nil {
		h.Write([]byte(p.shadow.revision))
	}
	p.revision = hex.EncodeToString(h.Sum(nil))[:12]
}

// compile fills the plan in from a decoded configuration.
func (p *Plan) compile(file *conf.File, have bundles) error {
	r := file.Report()
	for i, u := range p.Config.PublicURL {
		site, err := session.NewSite(u)
		if err != nil {
			r.Errorf(&p.Config.PublicURL[i], "%v", err)
			continue
		}
		p.sites = append(p.sites, site)
	}
	if err := file.Err(); err != nil {
		return err
	}
	p.checkFront(r)
	p.checkAccessLog(r, file)
	// The policy is half of the work, and looks at nothing that the other half
	// changes.
	policed := make(chan error, 1)
	go func() {
		var err error
		p.policy, err = p.draft.compilePolicy(context.Background(), have)
		policed <- err
	}()
	var linted []policy.Warning
	var err error
	if p.routes, err = p.table(); err == nil {
		linted = p.lint(p.routes, p.names(time.Time{}))
	}
	file.Digest()
	p.blameRoutes(r, err)
	p.blamePolicy(r, <-policed)
	p.checkIssuer(r)
	if err := file.Err(); err != nil {
		return err
	}
	warnLint(r, linted)
	return nil
}

// warn keeps what the file was warned of.
func (p *Plan) warn(file *conf.File) {
	p.warnings = append(p.warnings, file.Problems().Warnings()...)
}

// checkFront warns of a proxy in front that is not trusted: all people would
// then come from its one address, and share its limits.
func (p *Plan) checkFront(r *conf.Report) {
	c := p.Config
	if p.sites[0].Secure && c.TLS == nil && len(c.TrustedProxies) == 0 {
		r.Warnf(&c.PublicURL[0], "public_url is https, but neither tls nor trusted_proxies is set\n"+
			"Somebody else ends TLS in front of this gateway. Name their address in trusted_proxies, or everybody seems to come\n"+
			"from it: twenty wrong passwords of one person then keep everybody from signing in.")
	}
}

// checkAccessLog refuses a place where each line would be a change of the
// configuration, or would damage something.
func (p *Plan) checkAccessLog(r *conf.Report, file *conf.File) {
	place := p.Config.Telemetry.AccessLog
	switch place {
	case accesslog.Stdout, accesslog.Stderr, telemetry.Off:
		return
	}
	for _, watched := range append(p.Config.files(file), p.draft.path) {
		if watched != "" && lies(place, watched) {
			r.Errorf(&p.Config.Telemetry.AccessLog, "telemetry.access_log is or lies in %s, which is read as configuration: each line would be a change of it", watched)
			return
		}
	}
	if lies(place, p.Config.SecretsDir) {
		r.Errorf(&p.Config.Telemetry.AccessLog, "telemetry.access_log lies in secrets_dir, among the keys")
	}
}

// lies tells whether path is dir or below it; either may be relative to where the
// program runs. What cannot be told is taken to be.
func lies(path, dir string) bool {
	p, err := filepath.Abs(path)
	d, err2 := filepath.Abs(dir)
	return err != nil || err2 != nil || within(p, d)
}

// table compiles the table of routes.
func (p *Plan) table() (*route.Table, error) {
	cfg := p.Config
	matches := make([]route.Match, len(cfg.Routes))
	for i, rt := range cfg.Routes {
		matches[i] = rt.Match
	}
	hosts := make([]string, len(p.sites))
	for i, s := range p.sites {
		hosts[i] = s.Host
	}
	return route.Compile(matches, hosts[0], hosts)
}

func (p *Plan) blameRoutes(r *conf.Report, err error) {
	for _, e := range flatten(err) {
		at, text := conf.Pos{}, e.Error()
		var bad *route.Error
		if errors.As(e, &bad) {
			at, text = p.Config.Routes[bad.Route].Pos, bad.Text
		}
		r.Errorf(at, "%s", text)
	}
}

func (p *Plan) blamePolicy(r *conf.Report, err error) {
	for _, e := range flatten(err) {
		at, text := p.Config.Policy.Pos, e.Error()
		var bad *policy.Error
		if errors.As(e, &bad) && bad.Pos.Line != 0 {
			at, text = bad.Pos, bad.Err.Error()
		}
		r.Errorf(at, "%s", text)
	}
}

// flatten returns the errors that errors.Join joined, in order; none for nil.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}

// checkIssuer decides whether the provider may live where its issuer says. On
// an origin that also serves an application, that application's scripts could
// read what people type into the sign-in page.
func (p *Plan) checkIssuer(r *conf.Report) {
	c := p.Config.IDP
	if c == nil {
		return
	}
	shared := p.sharedOrigin()
	for _, s := range p.sites {
		host, _, _ := strings.Cut(s.Host, ":")
		if !shared && host == strings.ToLower(c.Issuer.Hostname()) {
			r.Warnf(&c.Issuer, "idp.issuer differs from public_url by its port only, and cookies do not know ports: give the provider a host of its own")
		}
	}
	switch {
	case shared && !c.InsecureSharedOrigin:
		r.Errorf(&c.Issuer, "idp.issuer is on a host that serves an application\n"+
			"Its scripts could read what people type into the sign-in page. Give the provider a host of its own,\n"+
			"or accept that with idp.insecure_shared_origin: true.")
	case shared && !strings.HasPrefix(c.Issuer.Path, "/_gatehouse/"):
		r.Errorf(&c.Issuer, "on a shared host the path of idp.issuer begins with /_gatehouse/, so that it is no route's")
	case shared:
		r.Warnf(&c.InsecureSharedOrigin, "the sign-in page shares its origin with an application, which could read what is typed there")
	case c.Issuer.Scheme == "http" && !p.Config.AllowPlainHTTP && !proxy.Loopback(c.Issuer.Hostname()):
		r.Errorf(&c.Issuer, "idp.issuer is http and not loopback: passwords would travel unencrypted; set allow_plain_http: true to accept that")
	}
}

// mounts returns what takes requests before any route: the provider, answered
// by h.
func (p *Plan) mounts(h http.Handler) []proxy.Mount {
	if p.Config.IDP == nil {
		return nil
	}
	issuer := p.Config.IDP.Issuer
	return []proxy.Mount{{Host: strings.ToLower(issuer.Host), Prefix: issuer.Path, Handler: h}}
}

// sharedOrigin tells whether the issuer is on a host of a public URL.
func (p *Plan) sharedOrigin() bool {
	if p.Config.IDP == nil {
		return false
	}
	for _, s := range p.sites {
		if s.Host == strings.ToLower(p.Config.IDP.Issuer.Host) {
			return true
		}
	}
	return false
}
