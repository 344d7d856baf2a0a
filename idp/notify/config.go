package notify

import (
	"crypto/x509"
	"fmt"
	"net/mail"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"gatehouse/internal/conf"
)

// TLS is how a connection to a mail server is kept from being read.
type TLS string

// The ways to use TLS.
const (
	StartTLS TLS = "starttls" // begins in clear, and goes no further without STARTTLS (RFC 3207)
	Implicit TLS = "implicit" // TLS from the first byte (RFC 8314)
	NoTLS    TLS = "none"     // in clear; to this machine only
)

// MailConfig is the section `idp.mail`: the server that takes our mail.
type MailConfig struct {
	// Host is the server's name, which its certificate must have, or its
	// address. Mandatory.
	Host string `yaml:"host"`
	// Port of the server. Default 587; 465 with tls: implicit, 25 with tls: none.
	Port int `yaml:"port"`
	// TLS is starttls, implicit or none; none is for a server on the loopback
	// only. Default starttls.
	TLS TLS `yaml:"tls"`
	// CA is a PEM file with what must have signed the server's certificate.
	// Default: what the system trusts.
	CA string `yaml:"ca"`
	// Username to authenticate with; default none: the server takes mail without.
	Username string `yaml:"username"`
	// Password to authenticate with; mandatory with Username.
	Password conf.Secret `yaml:"password"`
	// From is the sender, such as "Example <no-reply@example.com>". Mandatory.
	From string `yaml:"from"`
	// ReplyTo is where answers go. Default none: to From.
	ReplyTo string `yaml:"reply_to"`
	// Timeout bounds connecting, and again sending one message: 1s to 20s.
	// Default 10s.
	Timeout time.Duration `yaml:"timeout"`
	// HELO is how we introduce ourselves. Default: the machine's name.
	HELO string `yaml:"helo"`
	// Templates is a directory of texts in place of ours: KIND.subject.txt,
	// KIND.txt, KIND.html, KIND.sms.txt, in LANG/ or in itself. Default none.
	Templates string `yaml:"templates"`
}

// Defaults sets what absent keys mean.
func (c *MailConfig) Defaults() { c.TLS, c.Timeout = StartTLS, 10*time.Second }

// Check reports what is wrong with the section.
func (c *MailConfig) Check(r *conf.Report) {
	c.checkServer(r)
	if c.Port == 0 {
		c.Port = map[TLS]int{Implicit: 465, NoTLS: 25}[c.TLS]
		if c.Port == 0 {
			c.Port = 587
		}
	}
	if c.Port < 1 || c.Port > 65535 {
		r.Errorf(&c.Port, "idp.mail.port is %d, want 1 to 65535", c.Port)
	}
	if c.Timeout < time.Second || c.Timeout > 20*time.Second {
		r.Errorf(&c.Timeout, "idp.mail.timeout is %s, want 1s to 20s", c.Timeout)
	}
	if _, err := parseMailbox(c.From); err != nil {
		r.Errorf(&c.From, "idp.mail.from is %q, want an address such as Example <no-reply@example.com>", c.From)
	}
	if _, err := parseMailbox(c.ReplyTo); c.ReplyTo != "" && err != nil {
		r.Errorf(&c.ReplyTo, "idp.mail.reply_to is %q, want an address such as help@example.com", c.ReplyTo)
	}
	if c.CA != "" {
		c.CA = r.Path(c.CA)
		if _, err := authorities(c.CA); err != nil {
			r.Errorf(&c.CA, "idp.mail.ca cannot be used: %v", err)
		}
	}
	if c.Templates != "" {
		c.Templates = r.Path(c.Templates)
		if _, err := NewTemplates(c.Templates); err != nil {
			r.Errorf(&c.Templates, "idp.mail.templates cannot be used\n%v", err)
		}
	}
}

var (
	helo       = regexp.MustCompile(`^[A-Za-z0-9.:\[\]-]{1,255}$`)
	serverName = regexp.MustCompile(`^[A-Za-z0-9.:_-]{1,253}$`)
)

func (c *MailConfig) checkServer(r *conf.Report) {
	switch {
	case c.Host == "":
		r.Errorf(&c.Host, "idp.mail has no host: the server that takes our mail, such as smtp.example.com")
	case !serverName.MatchString(c.Host):
		r.Errorf(&c.Host, "idp.mail.host is %q, want a name or address without a port, such as smtp.example.com", c.Host)
	}
	switch c.TLS {
	case StartTLS, Implicit:
	case NoTLS:
		if !loopback(c.Host) {
			r.Errorf(&c.TLS, "idp.mail.tls is none, which is for a server on this machine only: codes and links would cross the network in clear")
		}
		if c.Username != "" {
			r.Errorf(&c.Username, "idp.mail.username needs TLS: the password would be sent in clear")
		}
		if c.CA != "" {
			r.Errorf(&c.CA, "idp.mail.ca needs TLS: with none there is no certificate")
		}
	default:
		r.Errorf(&c.TLS, "idp.mail.tls is %q, want starttls, implicit or none", c.TLS)
	}
	switch {
	case c.Username != "" && c.Password == "":
		r.Errorf(&c.Username, "idp.mail.username has no password")
	case c.Username == "" && c.Password != "":
		r.Errorf(&c.Password, "idp.mail.password has no username")
	}
	if c.HELO != "" && !helo.MatchString(c.HELO) {
		r.Errorf(&c.HELO, "idp.mail.helo is %q, want a host name", c.HELO)
	}
}

// parseMailbox reads an address with or without a name.
func parseMailbox(s string) (*mail.Address, error) {
	a, err := mail.ParseAddress(s)
	if err != nil {
		return nil, err
	}
	if !ValidAddress(a.Address) || a.Name != printable(a.Name) {
		return nil, fmt.Errorf("%w: no plain address", ErrInvalid)
	}
	return a, nil
}

func authorities(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return pool, nil
}

// SMSConfig is the section `idp.sms`: the program that sends text messages for
// us.
type SMSConfig struct {
	// URL gets each message by POST: https, or http on the loopback. Mandatory.
	URL *url.URL `yaml:"url"`
	// Secret signs each call with HMAC-SHA256: at least 24 characters. Mandatory.
	Secret conf.Secret `yaml:"secret"`
	// Timeout bounds one call: 100ms to 20s. Default 3s.
	Timeout time.Duration `yaml:"timeout"`
}

// Defaults sets what absent keys mean.
func (c *SMSConfig) Defaults() { c.Timeout = 3 * time.Second }

// minSecret is the least number of characters of a shared secret.
const minSecret = 24

// Check reports what is wrong with the section.
func (c *SMSConfig) Check(r *conf.Report) {
	u := c.URL
	switch {
	case u == nil:
		r.Errorf(&c.URL, "idp.sms has no url: what is to be called for each text message")
	case u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		r.Errorf(&c.URL, "idp.sms.url must be an https URL without user and fragment (http on the loopback)")
	}
	if len(strings.TrimSpace(c.Secret.Reveal())) < minSecret {
		r.Errorf(&c.Secret, "idp.sms.secret must have at least %d characters", minSecret)
	}
	if c.Timeout < 100*time.Millisecond || c.Timeout > 20*time.Second {
		r.Errorf(&c.Timeout, "idp.sms.timeout is %s, want 100ms to 20s", c.Timeout)
	}
}
