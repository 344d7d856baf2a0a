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
	// Scopes are asked for at the built-in provider besides openid, profile and
	// email, by their full names; those granted count in rules of the kind
	// `scopes`. One that is tied to groups is granted to their members. Whoever
	// is signed in already gets one that is added here at their next sign-in.
	// Default none. For another issuer, see providers.NAME.scopes.
	Scopes []string `yaml:"scopes"`
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
	// MFAACR are the acr values by which this issuer says that a second factor
	// was used, the preferred one first; `require: {mfa: true}` asks for them.
	// The amr value mfa (RFC 8176 §2) says so too. Default the REFEDS MFA
	// profile, https://refeds.org/profile/mfa.
	MFAACR []string `yaml:"mfa_acr"`

	own bool
}

// refedsMFA is the acr value of the REFEDS MFA profile.
const refedsMFA = "https://refeds.org/profile/mfa"

// standardScopes are asked for at every issuer unless told otherwise.
func standardScopes() []string { return []string{"openid", "profile", "email"} }

// Own is the embedded provider as a Provider. scopes are asked for besides
// openid, profile and email.
func Own(issuer, clientID string, secret conf.Secret, scopes ...string) *Provider {
	return &Provider{
		Issuer: issuer, ClientID: clientID, ClientSecret: secret,
		Scopes: append(standardScopes(), scopes...), MFAACR: []string{refedsMFA},
		GroupsClaim: "cognito:groups", UsernameClaim: "cognito:username", own: true,
	}
}

// Defaults sets what absent keys mean.
func (p *Provider) Defaults() { p.Scopes, p.MFAACR = standardScopes(), []string{refedsMFA} }

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
	for _, acr := range p.MFAACR {
		if !word255.MatchString(acr) {
			r.Errorf(&p.MFAACR, "mfa_acr names %q, want 1 to 255 printable characters without a space", acr)
		}
	}
}

// word255 is what fits into a list with spaces between (RFC 6749 §3.3).
var word255 = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]{1,255}$`)

// userAdmin is the scope with which a token changes its own user's account.
const userAdmin = "aws.cognito.signin.user.admin"

// maxScopes is how many scopes may be asked for besides the standard ones.
const maxScopes = 40

// checkScopes reports scopes that are never asked for.
func (c *Config) checkScopes(r *conf.Report) {
	if len(c.Scopes) > 0 && len(c.Providers) > 0 {
		r.Errorf(&c.Scopes, "login.scopes is for the built-in provider, and people sign in at login.providers here: write scopes there")
	}
	if len(c.Scopes) > maxScopes {
		r.Errorf(&c.Scopes, "login.scopes names %d scopes, want at most %d", len(c.Scopes), maxScopes)
	}
	for i, name := range c.Scopes {
		switch {
		case name == userAdmin:
			r.Errorf(&c.Scopes[i], "login.scopes may not name %s: an application that is passed the token could change the person's account", name)
		case !word255.MatchString(name):
			r.Errorf(&c.Scopes[i], "login.scopes names %q, want 1 to 255 printable characters without space, quote and backslash", name)
		case slices.Contains(c.Scopes[:i], name) || slices.Contains(standardScopes(), name):
			r.Errorf(&c.Scopes[i], "login.scopes names %s twice; openid, profile and email are asked for anyway", name)
		}
	}
}

// Check reports a missing or unknown default, and scopes that cannot be.
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
	c.checkScopes(r)
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && addr.IsLoopback()
}
