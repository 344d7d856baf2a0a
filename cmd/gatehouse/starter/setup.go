package starter

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"golang.org/x/net/publicsuffix"

	"gatehouse/proxy"
)

// Provider is who signs people in.
type Provider string

// The providers.
const (
	// Pool is the built-in provider with its own user pool.
	Pool Provider = "pool"
	// OIDC is another OpenID Connect issuer.
	OIDC Provider = "oidc"
)

// Setup is what differs between two gateways.
type Setup struct {
	// Upstream is the application's URL: scheme, host and port.
	Upstream string
	// PublicURL is what people type: https, or http on this machine.
	PublicURL string
	// Provider is pool or oidc.
	Provider Provider
	// Issuer is where people sign in: for Pool a host of its own, for OIDC the
	// other issuer's URL, exactly as its tokens spell it.
	Issuer string
	// ClientID is our registration at the other issuer; "" for Pool.
	ClientID string
	// Listen are the addresses to listen on. Default: what ListenOn returns.
	Listen []string
}

// The answers that most people give.
const (
	DefaultUpstream  = "http://127.0.0.1:3000"
	DefaultPublicURL = "http://app.localhost:8080"
)

// CheckUpstream says what is wrong with the URL of an application.
func CheckUpstream(text string) error {
	u, err := plainURL(text)
	switch {
	case err != nil:
		return err
	case u.Scheme != "http" && u.Scheme != "https" && u.Scheme != "h2c":
		return fmt.Errorf("%q must begin with http://, https:// or h2c://", text)
	}
	return nil
}

// CheckPublicURL says what is wrong with a public URL.
func CheckPublicURL(text string) error {
	u, err := plainURL(text)
	switch {
	case err != nil:
		return err
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && proxy.Loopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("%q must be https, or http on this machine such as %s", text, DefaultPublicURL)
}

// CheckIssuer says what is wrong with the URL of an issuer; what it must be
// beyond that is the configuration's to say.
func CheckIssuer(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("%q is no URL such as https://login.example.com", text)
	}
	return nil
}

var errNoURL = errors.New("want scheme, host and perhaps port, such as http://127.0.0.1:3000")

// plainURL parses a URL without path, query and user.
func plainURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return nil, fmt.Errorf("%q is no plain URL: %w", text, errNoURL)
	}
	return u, nil
}

// Local tells whether the gateway is for this machine alone.
func (s Setup) Local() bool {
	u, err := url.Parse(s.PublicURL)
	return err == nil && u.Scheme == "http"
}

// IssuerFor returns where people sign in at the built-in provider unless told
// otherwise: login beside the host of publicURL, login.example.com for
// app.example.com. It is "" where no such host can be made up: for an IP
// address with https.
func IssuerFor(publicURL string) string {
	u, err := plainURL(publicURL)
	if err != nil {
		return ""
	}
	host := strings.ToLower(u.Hostname())
	port := ""
	if u.Port() != "" && !(u.Scheme == "http" && u.Port() == "80") && !(u.Scheme == "https" && u.Port() == "443") {
		port = ":" + u.Port()
	}
	if u.Scheme == "http" {
		return "http://" + beside("login", host, "localhost") + port
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return ""
	}
	parent := domain
	if host != domain {
		_, parent, _ = strings.Cut(host, ".")
	}
	return "https://" + beside("login", host, parent) + port
}

// beside returns name.parent, or another one where that is host.
func beside(name, host, parent string) string {
	if name+"."+parent == host {
		name = "id"
	}
	return name + "." + parent
}

// ListenOn returns the addresses to listen on for a public URL: those of this
// machine's own names and addresses, both where a name may mean either; with
// https port 8080, behind whatever ends TLS. ipv6 tells whether this machine has
// [::1].
func ListenOn(publicURL string, ipv6 func() bool) []string {
	u, err := url.Parse(publicURL)
	if err != nil || u.Scheme == "https" {
		return []string{"8080"}
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	switch host := u.Hostname(); {
	case strings.Contains(host, ":"):
		return []string{"[" + host + "]:" + port}
	case strings.Trim(host, "0123456789.") == "":
		return []string{host + ":" + port}
	}
	// Whoever listened on the other one could answer for the name.
	addrs := []string{"127.0.0.1:" + port}
	if ipv6() {
		addrs = append(addrs, "[::1]:"+port)
	}
	return addrs
}
