package client

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"gatehouse/idp/pool"
)

var (
	// ErrNotFound means that there is no such client, secret, server or scope.
	ErrNotFound = errors.New("app client not found")
	// ErrExists means that the id or the name of the scope is taken.
	ErrExists = errors.New("app client already exists")
	// ErrInvalid means that a field is not what it must be; the text says which.
	ErrInvalid = errors.New("invalid app client")
	// ErrAuthentication means: no such client, wrong secret, a secret where none
	// belongs, or none where one does (RFC 6749 §5.2 invalid_client).
	ErrAuthentication = errors.New("client authentication failed")
	// ErrManaged means that the gateway itself keeps this client in step with
	// its configuration, and nobody else may change it.
	ErrManaged = errors.New("app client is managed by the gateway's configuration")
	// ErrTooManySecrets means that the client has two secrets already.
	ErrTooManySecrets = errors.New("app client has two secrets already: remove one first")
)

// The grants that a client may be allowed (RFC 6749).
const (
	AuthorizationCode = "authorization_code"
	RefreshToken      = "refresh_token"
	ClientCredentials = "client_credentials"
)

// The lifetimes' defaults and bounds. MaxTTL also bounds how long a retired
// signing key is kept.
const (
	DefaultTTL        = time.Hour
	DefaultRefreshTTL = 30 * 24 * time.Hour
	DefaultGrace      = 30 * time.Second
	MinTTL            = 5 * time.Minute
	MaxTTL            = 24 * time.Hour
	MinRefreshTTL     = time.Hour
	MaxRefreshTTL     = 3650 * 24 * time.Hour
	MaxGrace          = time.Minute
)

// Client is an app client.
type Client struct {
	// ID is the client_id: 1 to 128 of letters, digits, - and _.
	ID string
	// Name is for people to read.
	Name string
	// Public marks a client that cannot keep a secret (a browser, a phone). It
	// has none and must use PKCE; all others are confidential.
	Public bool
	// Secrets are at most two, so that one can be replaced without a gap.
	Secrets []Secret
	// RedirectURIs and SignOutURIs are compared byte for byte.
	RedirectURIs []string
	SignOutURIs  []string
	// Scopes are the full names of the scopes it may ask for.
	Scopes []string
	// Grants are the grants it may use.
	Grants []string
	// AccessTTL and IDTTL are how long its tokens live: 5m to 24h, default 1h.
	AccessTTL, IDTTL time.Duration
	// RefreshTTL is the absolute life of a refresh family: 1h to 3650 days,
	// default 30 days.
	RefreshTTL time.Duration
	// RefreshGrace is how long a rotated refresh token is accepted again, with
	// the same successor: 0 to 60s. Nil means 30s for a confidential and 0 for
	// a public client.
	RefreshGrace *time.Duration
	// ReadAttributes and WriteAttributes are the attributes of a person that the
	// client is told, and that a person who signs up on the way to it may set;
	// custom ones with their prefix. Nil means all standard ones and no custom one.
	ReadAttributes, WriteAttributes []string
	// NoRevocation turns the revocation endpoint off for the client's tokens
	// (Cognito's EnableTokenRevocation is its reverse). What a person or an
	// operator ends is ended all the same.
	NoRevocation bool
	// Managed marks the gateway's own client: only Put changes it.
	Managed bool
	// Created and Updated are set by Clients.
	Created, Updated time.Time
}

// Grace returns the client's grace for a rotated refresh token.
func (c Client) Grace() time.Duration {
	switch {
	case c.RefreshGrace != nil:
		return *c.RefreshGrace
	case c.Public:
		return 0
	}
	return DefaultGrace
}

// AllowsRedirect reports whether uri is one of the redirect URIs, exactly.
func (c Client) AllowsRedirect(uri string) bool {
	return uri != "" && slices.Contains(c.RedirectURIs, uri)
}

// AllowsSignOut reports whether uri is one of the sign-out URIs, exactly.
func (c Client) AllowsSignOut(uri string) bool {
	return uri != "" && slices.Contains(c.SignOutURIs, uri)
}

// AllowsGrant reports whether the client may use grant.
func (c Client) AllowsGrant(grant string) bool { return slices.Contains(c.Grants, grant) }

// Reads reports whether the client is told the attribute of that name.
func (c Client) Reads(attribute string) bool { return listed(c.ReadAttributes, attribute) }

// Writes reports whether a person who signs up on the way to the client may set the
// attribute of that name.
func (c Client) Writes(attribute string) bool { return listed(c.WriteAttributes, attribute) }

func listed(attributes []string, name string) bool {
	if attributes == nil {
		return !strings.HasPrefix(name, pool.CustomPrefix)
	}
	return slices.Contains(attributes, name)
}

// withDefaults fills in the lifetimes that are zero.
func (c Client) withDefaults() Client {
	if c.AccessTTL == 0 {
		c.AccessTTL = DefaultTTL
	}
	if c.IDTTL == 0 {
		c.IDTTL = DefaultTTL
	}
	if c.RefreshTTL == 0 {
		c.RefreshTTL = DefaultRefreshTTL
	}
	return c
}

// Check returns ErrInvalid with a reason when c could not be registered, with
// lifetimes that are zero taken as their defaults.
func (c Client) Check() error { return c.withDefaults().check() }

var attributePattern = regexp.MustCompile(`^(?:custom:[A-Za-z0-9_-]{1,20}|[a-z_]{1,32})$`)

var idPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// check returns ErrInvalid with a reason when c may not be stored.
func (c Client) check() error {
	bad := func(format string, a ...any) error {
		return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, a...))
	}
	if !idPattern.MatchString(c.ID) {
		return bad("id has 1 to 128 letters, digits, - or _")
	}
	if len(c.Name) > 128 || strings.ContainsAny(c.Name, "\x00\r\n") {
		return bad("name has at most 128 bytes and no line break")
	}
	if c.Public && len(c.Secrets) > 0 {
		return bad("a public client has no secret")
	}
	for _, g := range c.Grants {
		if g != AuthorizationCode && g != RefreshToken && g != ClientCredentials {
			return bad("grant %q is none of authorization_code, refresh_token, client_credentials", g)
		}
	}
	if c.Public && c.AllowsGrant(ClientCredentials) {
		return bad("client_credentials needs a secret, and a public client has none")
	}
	if c.AllowsGrant(AuthorizationCode) && len(c.RedirectURIs) == 0 {
		return bad("authorization_code needs a redirect URI")
	}
	if err := c.checkTimes(); err != nil {
		return err
	}
	return c.checkLists()
}

// checkTimes bounds the lifetimes. The gateway's own tokens may be shorter:
// nobody but it waits for them.
func (c Client) checkTimes() error {
	least := MinTTL
	if c.Managed {
		least = time.Second
	}
	for name, d := range map[string]time.Duration{"access": c.AccessTTL, "ID": c.IDTTL} {
		if d < least || d > MaxTTL {
			return fmt.Errorf("%w: %s tokens live %v to %v", ErrInvalid, name, least, MaxTTL)
		}
	}
	if c.RefreshTTL < MinRefreshTTL || c.RefreshTTL > MaxRefreshTTL {
		return fmt.Errorf("%w: refresh tokens live 1h to 3650 days", ErrInvalid)
	}
	if g := c.Grace(); g < 0 || g > MaxGrace {
		return fmt.Errorf("%w: the refresh grace is 0 to %v", ErrInvalid, MaxGrace)
	}
	return nil
}

func (c Client) checkLists() error {
	if len(c.RedirectURIs) > 100 || len(c.SignOutURIs) > 100 || len(c.Scopes) > 50 {
		return fmt.Errorf("%w: at most 100 URIs of a kind and 50 scopes", ErrInvalid)
	}
	if len(c.ReadAttributes) > 100 || len(c.WriteAttributes) > 100 {
		return fmt.Errorf("%w: at most 100 attributes of a kind", ErrInvalid)
	}
	for _, name := range slices.Concat(c.ReadAttributes, c.WriteAttributes) {
		if !attributePattern.MatchString(name) {
			return fmt.Errorf("%w: %q is not the name of an attribute, such as email or custom:team", ErrInvalid, name)
		}
	}
	for _, uri := range slices.Concat(c.RedirectURIs, c.SignOutURIs) {
		if err := checkURI(uri, c.Managed); err != nil {
			return err
		}
	}
	for _, s := range c.Scopes {
		if err := CheckScope(s); err != nil {
			return err
		}
		// The gateway passes its access token on to applications where a route
		// asks for it; with this scope they could change the person's account.
		if c.Managed && s == UserAdmin {
			return fmt.Errorf("%w: the gateway's own client may not have scope %s", ErrInvalid, UserAdmin)
		}
	}
	return nil
}

// CheckAttributes returns ErrInvalid when a list of c names an attribute that is
// none of known: the name would change nothing.
func (c Client) CheckAttributes(known []string) error {
	for _, l := range []struct {
		field string
		names []string
	}{{"read_attributes", c.ReadAttributes}, {"write_attributes", c.WriteAttributes}} {
		for _, name := range l.names {
			if !slices.Contains(known, name) {
				return fmt.Errorf("%w: %s names %q, which is neither a standard nor a custom attribute", ErrInvalid, l.field, name)
			}
		}
	}
	return nil
}

// checkURI demands an absolute URI without fragment, user info or wildcard:
// https, http on a loopback, or a private-use scheme (RFC 8252 §7). A managed
// client's URIs come from public_url, which has its own rule for plain http.
func checkURI(raw string, managed bool) error {
	bad := func(why string) error { return fmt.Errorf("%w: redirect or sign-out URI %q %s", ErrInvalid, raw, why) }
	u, err := url.Parse(raw)
	switch {
	case err != nil || len(raw) > 1024 || strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' || r == '*' }):
		return bad("is not a plain URI of at most 1,024 characters")
	case u.Scheme == "":
		return bad("is not absolute")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return bad("has a fragment")
	case u.User != nil:
		return bad("has a user name")
	}
	switch strings.ToLower(u.Scheme) {
	case "https":
		if u.Hostname() == "" {
			return bad("has no host")
		}
		return nil
	case "http":
		if !managed && !loopback(u.Hostname()) {
			return bad("is plain http, which is for localhost only")
		}
		return nil
	case "javascript", "data", "vbscript", "file", "blob", "about", "ws", "wss", "mailto", "filesystem", "view-source":
		return bad("has a scheme that is never redirected to")
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
