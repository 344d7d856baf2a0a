package password

import (
	"slices"
	"time"

	"gatehouse/idp/password/breach"
	"gatehouse/internal/conf"
)

// Class is a kind of character that a password can be required to have.
type Class string

// The classes of `idp.password.require`.
const (
	Upper  Class = "upper"
	Lower  Class = "lower"
	Digit  Class = "digit"
	Symbol Class = "symbol"
)

// minLeast is the least min_length, and the default (NIST SP 800-63B §3.1.1.2
// for passwords that are not the only factor; Cognito's default).
const minLeast = 8

// Config is the section `idp.password`: what a new password must be, and what
// checking one may cost.
type Config struct {
	// MinLength is the least number of characters of a new password: 8 to 256.
	// Default 8.
	MinLength int `yaml:"min_length"`
	// Require are kinds of characters a new password must have: upper, lower,
	// digit, symbol. Default none: such rules make passwords alike, and strength
	// does more.
	Require []Class `yaml:"require"`
	// Strength is the least score of zxcvbn, 0 (off) to 4. Default 3: more than
	// 10^8 guesses, which a service that slows guessing down holds off for ever
	// and a stolen database for months. It refuses the usual lists of bad
	// passwords, and those made of the person's own names.
	Strength int `yaml:"strength"`
	// History is how many of the last passwords of a person, today's first, may
	// not be chosen again: 0 to 24. Default 0.
	History int `yaml:"history"`
	// TemporaryTTL is how long a password works that somebody else chose: 1h to
	// 365d. Default 7d.
	TemporaryTTL time.Duration `yaml:"temporary_ttl"`
	// Breached looks passwords up in lists of stolen ones.
	Breached breach.Config `yaml:"breached"`
	// Parallel is how many passwords are checked at once. Default: one for
	// each CPU that the process may use.
	Parallel int `yaml:"parallel"`
	// Memory is what all checks together may use; one takes 19 MiB, one of an
	// imported hash up to 128 MiB, which is the least. Default 256MiB.
	Memory conf.Size `yaml:"memory"`
	// Queue is how many sign-ins may wait for a check; the next one is answered
	// 503. A quarter of the places is kept for known devices. Default 64.
	Queue int `yaml:"queue"`
}

// Defaults sets what absent keys mean.
func (c *Config) Defaults() {
	*c = Config{
		MinLength: minLeast, Require: []Class{}, Strength: 3, TemporaryTTL: 7 * 24 * time.Hour,
		Memory: 256 << 20, Queue: 64,
	}
}

// Check reports what is wrong with the section.
func (c *Config) Check(r *conf.Report) {
	if c.MinLength < minLeast || c.MinLength > MaxRunes {
		r.Errorf(&c.MinLength, "idp.password.min_length must be %d to %d", minLeast, MaxRunes)
	}
	for i, class := range c.Require {
		switch {
		case !slices.Contains([]Class{Upper, Lower, Digit, Symbol}, class):
			r.Errorf(&c.Require[i], "idp.password.require is %q, want upper, lower, digit or symbol", class)
		case slices.Contains(c.Require[:i], class):
			r.Errorf(&c.Require[i], "%s stands here twice", class)
		}
	}
	if c.Strength < 0 || c.Strength > 4 {
		r.Errorf(&c.Strength, "idp.password.strength must be 0 (off) to 4")
	}
	if c.History < 0 || c.History > 24 {
		r.Errorf(&c.History, "idp.password.history must be 0 to 24")
	}
	if c.TemporaryTTL < time.Hour || c.TemporaryTTL > 365*24*time.Hour {
		r.Errorf(&c.TemporaryTTL, "idp.password.temporary_ttl is %s, want 1h to 365d", c.TemporaryTTL)
	}
	if c.Parallel < 0 || c.Queue < 0 || c.Memory < 0 {
		r.Errorf(&c.Parallel, "idp.password: parallel, queue and memory must not be negative")
	}
}

// Options returns what a Hasher takes of c.
func (c *Config) Options() Options {
	return Options{Parallel: c.Parallel, MemoryKiB: int64(c.Memory >> 10), Queue: int64(c.Queue)}
}
