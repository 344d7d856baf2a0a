package bearer

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/conf"
	"gatehouse/internal/jose"
)

// Config is the `bearer` section: whose access tokens are taken.
type Config struct {
	// Clients are the ids of app clients of the embedded provider whose tokens
	// may satisfy groups, users and signed-in. Default none; rules by scopes,
	// clients and claims need no list.
	Clients []string `yaml:"clients"`
	// Issuers are the foreign issuers whose access tokens are taken. Default
	// none. The embedded provider needs no entry.
	Issuers []*Issuer `yaml:"issuers"`
}

// Issuer says how to judge the access tokens of one issuer.
type Issuer struct {
	Pos conf.Pos `yaml:"-"`
	// Issuer is the issuer's URL, exactly as in the iss claim: every character
	// counts, a trailing slash too. https, or http on loopback. Mandatory.
	Issuer string `yaml:"issuer"`
	// Audiences are the aud values that mean this gateway; one must be in the
	// token. Mandatory: without it every token of the issuer would do,
	// whomever it was made for.
	Audiences []string `yaml:"audiences"`
	// Clients are the issuer's clients (client_id, or else azp) whose tokens
	// may satisfy groups, users, signed-in and clients. Default none.
	Clients []string `yaml:"clients"`
	// TokenUse, when given, is what the token_use claim must say.
	TokenUse string `yaml:"token_use"`
	// Algorithms are the signature algorithms taken, of RS256, ES256 and
	// EdDSA. Default all three.
	Algorithms []string `yaml:"algorithms"`
	// GroupsClaim names the claim that holds groups: a list of strings. Default
	// none. Where none is named or a token lacks it, groups are unknown: neither
	// `groups` nor `not: {groups: …}` is met.
	GroupsClaim string `yaml:"groups_claim"`
	// ScopeClaim names the claim that holds scopes: a list of strings or one
	// string with spaces between. Default none: then its tokens have no scopes.
	ScopeClaim string `yaml:"scope_claim"`
	// UsernameClaim names the claim that holds the user name. Default none.
	UsernameClaim string `yaml:"username_claim"`
	// TrustACR lets acr, amr and auth_time of its tokens meet a route's require.
	// Default false: they are unknown.
	TrustACR bool `yaml:"trust_acr"`
	// Machine tells machines from people: a token that holds any of these
	// claims with this value, as a string, is a machine's. One whose sub is
	// its own client is a machine's always.
	Machine map[string]string `yaml:"machine"`
	// JWKSURL is where the keys are. Default: what the issuer's discovery
	// document says.
	JWKSURL *url.URL `yaml:"jwks_url"`
	// Leeway is how far clocks may differ: a token is believed until so long
	// after its exp, and the identity ends then. Default 30s, at most 60s.
	Leeway time.Duration `yaml:"leeway"`

	own bool
}

const (
	defaultLeeway = 30 * time.Second
	maxLeeway     = 60 * time.Second
)

// Defaults sets what an absent key means.
func (i *Issuer) Defaults() { i.Leeway = defaultLeeway }

// Check reports an entry that cannot work or would take too much.
func (i *Issuer) Check(r *conf.Report) {
	if err := checkURL(i.Issuer); err != nil {
		r.Errorf(&i.Issuer, "issuer: %v", err)
	}
	if len(i.Audiences) == 0 || slices.Contains(i.Audiences, "") {
		r.Errorf(&i.Audiences, "audiences is missing: name the aud values that mean this gateway, or tokens made for other applications would be taken")
	}
	for _, a := range i.Algorithms {
		if !jose.Alg(a).Valid() {
			r.Errorf(&i.Algorithms, "algorithms names %q, want RS256, ES256 or EdDSA", a)
		}
	}
	if i.Leeway < 0 || i.Leeway > maxLeeway {
		r.Errorf(&i.Leeway, "leeway is %s, want 0 to %s", i.Leeway, maxLeeway)
	}
	if i.JWKSURL != nil {
		if err := checkURL(i.JWKSURL.String()); err != nil {
			r.Errorf(&i.JWKSURL, "jwks_url: %v", err)
		}
	}
}

// Check reports an issuer that is configured twice.
func (c *Config) Check(r *conf.Report) {
	seen := map[string]bool{}
	for _, i := range c.Issuers {
		if seen[i.Issuer] {
			r.Errorf(&i.Issuer, "issuer %s is configured twice", i.Issuer)
		}
		seen[i.Issuer] = true
	}
}

// checkURL tells what is wrong with the URL of an issuer or a key set: what is
// fetched in clear could be anybody's.
func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return errors.New("it is missing")
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return fmt.Errorf("%q is not a URL such as https://login.example.com", s)
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("%q must be https", s)
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && addr.IsLoopback()
}

// Own returns the rules for access tokens of the embedded provider: Cognito's
// shape. Such a token needs no aud; one made for another resource server (RFC
// 8707) is refused unless audiences names it.
func Own(issuer string, audiences ...string) *Issuer {
	return &Issuer{
		Issuer: issuer, Audiences: audiences, TokenUse: "access",
		GroupsClaim: "cognito:groups", ScopeClaim: "scope", UsernameClaim: "username",
		Leeway: defaultLeeway, own: true,
	}
}
