package idp

import (
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"gatehouse/idp/account"
	"gatehouse/idp/admin"
	"gatehouse/idp/mfa"
	"gatehouse/idp/notify"
	"gatehouse/idp/password"
	"gatehouse/idp/pool"
	"gatehouse/idp/signin"
	"gatehouse/idp/sso"
	"gatehouse/idp/store"
	"gatehouse/internal/conf"
)

// Config is the `idp` section: the embedded provider.
type Config struct {
	Pos conf.Pos `yaml:"-"`
	// Issuer is the URL that stands in every token as `iss` and decides where
	// the provider is: https://login.example.com takes that host, and
	// http://localhost:8080/_gatehouse/idp that path of that host. No slash at
	// the end, no query, no default port. Mandatory. Changing it makes every
	// token and session of before worthless.
	Issuer *url.URL `yaml:"issuer"`
	// InsecureSharedOrigin accepts an issuer whose host also serves
	// applications. What an application's scripts can do on that origin
	// includes reading what people type into the sign-in page: for
	// demonstrations. Default false.
	InsecureSharedOrigin bool `yaml:"insecure_shared_origin"`
	// Store is where the user pool is kept.
	Store store.Config `yaml:"store"`
	// SSO is how long a sign-in at the provider lasts, and with it the silent
	// sign-in to further applications.
	SSO sso.Config `yaml:"sso"`
	// SignIn bounds the sign-in page and the tries it takes.
	SignIn signin.Config `yaml:"signin"`
	// Pool says what is known of people and what they sign in with.
	Pool pool.Config `yaml:"pool"`
	// Password says what a password must be and what checking one may cost.
	Password password.Config `yaml:"password"`
	// MFA says who needs a second factor and which there are.
	MFA mfa.Config `yaml:"mfa"`
	// Account says how people get in and out of an account by themselves.
	Account account.Config `yaml:"account"`
	// GatewayTokenTTL is how long the tokens of the gateway's own client live,
	// and so how old the groups of a signed-in person may be: 1s to 1h.
	// Default 10m.
	GatewayTokenTTL time.Duration `yaml:"gateway_token_ttl"`
	// Admin says who may use the REST interface below /admin/v1 of the issuer.
	// Default: there is none.
	Admin *admin.Config `yaml:"admin"`
	// Mail says which server takes our mail; absent, no mail is sent, and what
	// needs it is not offered.
	Mail *notify.MailConfig `yaml:"mail"`
	// SMS says which program sends text messages; absent, none are sent.
	SMS *notify.SMSConfig `yaml:"sms"`
	// Bootstrap is what the store holds after a start, at least.
	Bootstrap Bootstrap `yaml:"bootstrap"`
}

// Defaults sets what absent keys mean.
func (c *Config) Defaults() { c.GatewayTokenTTL = 10 * time.Minute }

// Shared tells whether applications may live on the issuer's origin.
func (c *Config) Shared() bool { return c.InsecureSharedOrigin || c.Issuer.Path != "" }

// Check reports what is wrong with the section.
func (c *Config) Check(r *conf.Report) {
	c.checkIssuer(r)
	switch {
	case c.SSO.Idle <= 0:
		r.Errorf(&c.SSO.Idle, "idp.sso.idle must be more than 0")
	case c.SSO.Lifetime < c.SSO.Idle:
		r.Errorf(&c.SSO.Lifetime, "idp.sso.lifetime is shorter than idp.sso.idle")
	}
	if c.SignIn.Lifetime <= 0 || c.SignIn.MaxWait <= 0 || c.SignIn.AddressWindow <= 0 {
		r.Errorf(&c.SignIn.Lifetime, "idp.signin: lifetime, max_wait and address_window must be more than 0")
	}
	if c.SignIn.FlowTries < 1 || c.SignIn.AccountTries < 1 || c.SignIn.AddressTries < 1 || c.SignIn.AddressStarts < 1 {
		r.Errorf(&c.SignIn.FlowTries, "idp.signin: flow_tries, account_tries, address_tries and address_starts must be at least 1")
	}
	if c.GatewayTokenTTL < time.Second || c.GatewayTokenTTL > time.Hour {
		r.Errorf(&c.GatewayTokenTTL, "idp.gateway_token_ttl is %s, want 1s to 1h", c.GatewayTokenTTL)
	}
	c.Pool.Check(r)
	c.MFA.CheckSenders(r, c.sendable()...)
	c.Account.Check(r, c.Pool, c.accountChannels())
	c.checkRecovery(r)
	if c.Admin != nil {
		c.Admin.Check(r)
	}
	c.Bootstrap.checkAttributes(r, pool.NewSchema(c.Pool))
	c.Bootstrap.check(r, c)
	c.checkNames(r)
}

// checkNames warns of groups and clients that have a say here and that nobody has, as
// far as the file tells: it declares all, or one that is spelled almost alike.
func (c *Config) checkNames(r *conf.Report) {
	var groups []string
	clients := []string{GatewayClient}
	for _, g := range c.Bootstrap.Groups {
		groups = append(groups, g.Name)
	}
	for _, seed := range c.Bootstrap.Clients {
		clients = append(clients, seed.ID)
	}
	warn := func(at any, what, name string, known []string) {
		near := conf.Suggest(name, known)
		switch {
		case slices.Contains(known, name):
		case near != "":
			r.Warnf(at, "%s %q is declared nowhere in this file; did you mean %s?", what, name, near)
		case c.Bootstrap.Prune:
			r.Warnf(at, "%s %q is declared nowhere in this file, and idp.bootstrap.prune removes all others", what, name)
		}
	}
	for i, name := range c.MFA.Groups {
		if r.Has(&c.MFA.Groups) {
			warn(&c.MFA.Groups[i], "group", name, groups)
		}
	}
	if c.Admin == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.Admin.Groups)) {
		warn(&c.Admin.Groups, "group", name, groups)
	}
	for i, name := range c.Admin.Clients {
		warn(&c.Admin.Clients[i], "client", name, clients)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Admin.Machines)) {
		warn(&c.Admin.Machines, "client", name, clients)
	}
}

// accountChannels are the ways to reach people that are configured.
func (c *Config) accountChannels() []account.Channel {
	var all []account.Channel
	if c.Mail != nil {
		all = append(all, account.Email)
	}
	if c.SMS != nil {
		all = append(all, account.Phone)
	}
	return all
}

// checkRecovery reports second factors that close the way back to a password:
// whoever holds the one mailbox or phone would have both.
func (c *Config) checkRecovery(r *conf.Report) {
	var ways []mfa.Kind
	for _, channel := range c.Account.Recovery {
		if slices.Contains(c.accountChannels(), channel) {
			ways = append(ways, factorOver[channel])
		}
	}
	stuck := c.MFA.Mode == mfa.Required && len(ways) > 0
	for i, kind := range c.MFA.Factors {
		if kind == mfa.Recovery {
			continue
		}
		if c.MFA.Mode != mfa.Off && slices.Contains(ways, kind) {
			r.Warnf(&c.MFA.Factors[i], "%s is a second factor, and the way back into an account as well (idp.account.recovery)\n"+
				"Who sets it up is sent no new password that way, since one mailbox or phone would be both factors.", kind)
		}
		stuck = stuck && !slices.ContainsFunc(ways, func(way mfa.Kind) bool { return way != kind })
	}
	if stuck {
		r.Errorf(&c.Account.Recovery, "idp.account.recovery reaches nobody: everybody needs a second factor, and the only one goes the same way")
	}
}

// checkIssuer demands the one spelling of an issuer: clients compare it byte by
// byte (OpenID Connect Discovery §4.3), and we mount by it.
func (c *Config) checkIssuer(r *conf.Report) {
	if c.Issuer == nil {
		r.Errorf(&c.Issuer, "idp has no issuer: the URL people sign in at, such as https://login.example.com")
		return
	}
	u := c.Issuer
	var why string
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		why = "must begin with https:// (or http:// on this machine)"
	case u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "":
		why = "must be a scheme, a host and perhaps a path, nothing else"
	case u.Host != strings.ToLower(u.Host) || strings.HasSuffix(u.Hostname(), "."):
		why = "must have its host in lower case, without a dot at the end"
	case u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80":
		why = "must not name the default port"
	case strings.HasSuffix(u.Path, "/"):
		why = "must not end with a slash"
	case u.Path != "" && (path.Clean(u.Path) != u.Path || u.EscapedPath() != u.Path):
		why = "must have a plain path"
	}
	if why != "" {
		r.Errorf(&c.Issuer, "idp.issuer %s", why)
	}
}

// twice returns the indexes of names that stood there before.
func twice(names []string) []int {
	var again []int
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			again = append(again, i)
		}
	}
	return again
}
