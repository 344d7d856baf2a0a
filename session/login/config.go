package login

import (
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/conf"
)

// Config is the `login` section: where people sign in.
type Config struct {
	// Providers are the issuers people may sign in at, by a name of letters,
	// digits and dashes. Default: the embedded provider alone.
	Providers map[string]*Provider `yaml:"providers"`
	// Default is the name of the provider that is used when nobody chooses.
	// Mandatory when there are several.
	Default string `yaml:"default"`
}

// Provider is one issuer and our registration there. The redirect URI to
// register is each public URL followed by /oauth2/idpresponse, and
// /_gatehouse/sign-out for signing out.
type Provider struct {
	Pos conf.Pos `yaml:"-"`
	// Issuer is the issuer's URL exactly as its tokens spell it. https, or
	// http on loopback. Mandatory.
	Issuer string `yaml:"issuer"`
	// ClientID and ClientSecret are our registration. Without a secret we are
	// a public client; PKCE is used always.
	ClientID     string      `yaml:"client_id"`
	ClientSecret conf.Secret `yaml:"client_secret"`
	// Scopes are asked for. Default openid, profile, email; openid is added
	// when missing. Add offline_access where the issuer wants that for a
	// refresh token.
	Scopes []string `yaml:"scopes"`
	// GroupsClaim names the ID token claim with the list of groups. Default
	// none. Where none is named or a token lacks it, groups are unknown: neither
	// `groups` nor `not: {groups: …}` is met.
	GroupsClaim string `yaml:"groups_claim"`
	// UsernameClaim names the ID token claim with the user name. Default
	// none. Name only a claim that people cannot choose themselves.
	UsernameClaim string `yaml:"username_claim"`
	// ScopeClaim names the ID token claim with granted scopes. Default none.
	ScopeClaim string `yaml:"scope_claim"`

	own bool
}

// Own is the embedded provider as a Provider.
func Own(issuer, clientID string, secret conf.Secret) *Provider {
	return &Provider{
		Issuer: issuer, ClientID: clientID, ClientSecret: secret,
		Scopes:      []string{"openid", "profile", "email"},
		GroupsClaim: "cognito:groups", UsernameClaim: "cognito:username", own: true,
	}
}

// Defaults sets what an absent key means.
func (p *Provider) Defaults() { p.Scopes = []string{"openid", "profile", "email"} }

var providerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,31}$`)

// Check reports an entry that cannot work.
func (p *Provider) Check(r *conf.Report) {
	u, err := url.Parse(p.Issuer)
	switch {
	case p.Issuer == "":
		r.Errorf(&p.Issuer, "issuer is missing")
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		r.Errorf(&p.Issuer, "issuer %q is not a URL such as https://login.example.com", p.Issuer)
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		r.Errorf(&p.Issuer, "issuer %q must be https", p.Issuer)
	}
	if p.ClientID == "" {
		r.Errorf(&p.ClientID, "client_id is missing")
	}
}

// Check reports a missing or unknown default.
func (c *Config) Check(r *conf.Report) {
	for _, name := range slices.Sorted(maps.Keys(c.Providers)) {
		if !providerName.MatchString(name) {
			r.Errorf(c.Providers[name].Pos, "provider name %q: want at most 32 letters, digits and dashes", name)
		}
	}
	switch {
	case c.Default == "" && len(c.Providers) > 1:
		r.Errorf(&c.Default, "default is missing: there are %d providers", len(c.Providers))
	case c.Default != "" && c.Providers[c.Default] == nil:
		r.Errorf(&c.Default, "default names %q, which providers does not define", c.Default)
	}
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && addr.IsLoopback()
}
