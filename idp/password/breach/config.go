package breach

import (
	"net/netip"
	"net/url"
	"os"
	"slices"

	"gatehouse/internal/conf"
)

// Moment is when passwords are looked up.
type Moment string

const (
	// SignUp is an account's first password.
	SignUp Moment = "sign_up"
	// Change is every later one, a reset included.
	Change Moment = "change"
	// SignIn is each sign-in, once the password was right.
	SignIn Moment = "sign_in"
)

// Action is what follows when a password is listed.
type Action string

const (
	// Block refuses the password; at sign-in the account has to be reset by
	// mail first.
	Block Action = "block"
	// RequireChange refuses a new password like Block; at sign-in a new one must
	// be chosen, after a second factor or a mailed code.
	RequireChange Action = "require_change"
	// Report only records it.
	Report Action = "report"
)

// Config is the section `idp.password.breached`. Without filter and range_url
// nothing is looked up.
type Config struct {
	// Filter is a file made by `gatehouse breach build`. It is opened at the
	// start and may be replaced, by renaming, for the next one. Default none.
	Filter string `yaml:"filter"`
	// RangeURL is a service of the range protocol, such as
	// https://api.pwnedpasswords.com/range: five of the forty hexadecimal digits
	// of a password's SHA-1 are put behind it. https, or http on this machine.
	// When it does not answer within 1s, filter is asked. Default none.
	RangeURL *url.URL `yaml:"range_url"`
	// At is when passwords are looked up: sign_up, change, sign_in. Default
	// sign_up and change.
	At []Moment `yaml:"at"`
	// Action is what follows: block, require_change or report. Default block.
	Action Action `yaml:"action"`
	// MinCount is how often a password must have been seen for the service's
	// answer to count; a filter has its own, from when it was built. Default 1.
	MinCount int `yaml:"min_count"`
}

// Defaults sets what absent keys mean.
func (c *Config) Defaults() { *c = Config{At: []Moment{SignUp, Change}, Action: Block, MinCount: 1} }

// Check reports what is wrong with the section.
func (c *Config) Check(r *conf.Report) {
	if c.Filter != "" {
		c.Filter = r.Path(c.Filter)
		// To verify all of it takes seconds: that is for the start.
		if _, err := os.Stat(c.Filter); err != nil {
			r.Warnf(&c.Filter, "filter cannot be read, so `gatehouse serve` does not start: %v", err)
		}
	}
	if u := c.RangeURL; u != nil {
		switch {
		case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
			r.Errorf(&c.RangeURL, "range_url must begin with https:// (or http:// on this machine)")
		case u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Opaque != "":
			r.Errorf(&c.RangeURL, "range_url must be a scheme, a host and a path, nothing else")
		}
	}
	for i, m := range c.At {
		switch {
		case m != SignUp && m != Change && m != SignIn:
			r.Errorf(&c.At[i], "at is %q, want sign_up, change or sign_in", m)
		case slices.Contains(c.At[:i], m):
			r.Errorf(&c.At[i], "%s stands here twice", m)
		}
	}
	if c.Action != Block && c.Action != RequireChange && c.Action != Report {
		r.Errorf(&c.Action, "action is %q, want block, require_change or report", c.Action)
	}
	if c.MinCount < 1 {
		r.Errorf(&c.MinCount, "min_count must be at least 1")
	}
	if c.Action == RequireChange && !slices.Contains(c.At, SignIn) {
		r.Warnf(&c.Action, "action is require_change, and at does not name sign_in: nobody is asked to change, and elsewhere it is block")
	}
	if c.Filter == "" && c.RangeURL == nil {
		for _, field := range []any{&c.At, &c.Action, &c.MinCount} {
			if r.Has(field) {
				r.Warnf(field, "nothing is looked up: idp.password.breached has neither filter nor range_url")
				return
			}
		}
	}
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
