package session

import (
	"time"

	"gatehouse/internal/conf"
)

// Config is the `session` section: how long a browser stays signed in.
type Config struct {
	// Idle ends a session this long after its last request. Default 1h; at
	// least 2m and at most Lifetime. The cookie is rewritten no more than once
	// a minute, so the end may come up to a minute early.
	Idle time.Duration `yaml:"idle"`
	// Lifetime ends a session this long after signing in, however busy it is.
	// Default 12h; at most 30d.
	Lifetime time.Duration `yaml:"lifetime"`
}

// Defaults sets what an absent key means.
func (c *Config) Defaults() {
	c.Idle = time.Hour
	c.Lifetime = 12 * time.Hour
}

const (
	minIdle     = 2 * time.Minute
	maxLifetime = 30 * 24 * time.Hour
)

// Check reports limits that contradict each other.
func (c *Config) Check(r *conf.Report) {
	if c.Idle < minIdle {
		r.Errorf(&c.Idle, "session.idle is %s, want at least %s: the cookie is rewritten only once a minute", c.Idle, minIdle)
	}
	if c.Lifetime < c.Idle {
		r.Errorf(&c.Lifetime, "session.lifetime is %s, shorter than session.idle %s", c.Lifetime, c.Idle)
	}
	if c.Lifetime > maxLifetime {
		r.Errorf(&c.Lifetime, "session.lifetime is %s, want at most 30d", c.Lifetime)
	}
}
