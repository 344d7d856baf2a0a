package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"gatehouse/idp"
	"gatehouse/idp/client"
	"gatehouse/internal/conf"
	"gatehouse/internal/telemetry"
	"gatehouse/policy"
	"gatehouse/proxy"
	"gatehouse/session"
	"gatehouse/session/bearer"
	"gatehouse/session/login"
)

// Config is the whole configuration file.
type Config struct {
	proxy.Config `yaml:",inline"`
	// Session is how long a session lives.
	Session session.Config `yaml:"session"`
	// Login names the foreign issuers people sign in at. Without one, they
	// sign in at the embedded provider.
	Login login.Config `yaml:"login"`
	// Bearer says whose access tokens count, and for what.
	Bearer bearer.Config `yaml:"bearer"`
	// Policy adds operators' own Rego modules and data.
	Policy policy.Config `yaml:"policy"`
	// Telemetry tells other programs how the gateway does.
	Telemetry telemetry.Config `yaml:"telemetry"`
	// IDP configures the embedded provider; absent, there is none.
	IDP *idp.Config `yaml:"idp"`
	// DataDir holds what gatehouse stores: the user pool, or the journal of
	// revocations. Relative paths start at the configuration file. Default data.
	DataDir string `yaml:"data_dir"`
	// SecretsDir holds the keys; it must not lie in data_dir, so that a copy
	// of the data is not a copy of its keys. Default: secrets, beside data_dir.
	SecretsDir string `yaml:"secrets_dir"`
}

// Defaults sets what absent keys mean.
func (c *Config) Defaults() { c.DataDir = "data" }

// Check reports what is wrong between the parts.
func (c *Config) Check(r *conf.Report) {
	if c.IDP == nil && len(c.Login.Providers) == 0 && c.needsSignIn() {
		r.Errorf(&c.Routes, "some route is not for anyone, but nobody can sign in: configure idp (the built-in provider) or login.providers")
	}
	if c.IDP == nil && len(c.Bearer.Clients) > 0 {
		r.Errorf(&c.Bearer.Clients, "bearer.clients is for the built-in provider, and there is none (idp); those of other issuers stand at bearer.issuers")
	}
	if c.IDP == nil && len(c.Login.Scopes) > 0 && len(c.Login.Providers) == 0 {
		r.Errorf(&c.Login.Scopes, "login.scopes is for the built-in provider, and there is none (idp)")
	}
	if c.DataDir == "" {
		r.Errorf(&c.DataDir, "data_dir is empty; leave it out for ./data")
	}
	if c.SecretsDir != "" && within(c.SecretsDir, c.DataDir) {
		r.Errorf(&c.SecretsDir, "secrets_dir lies in data_dir: a copy of the data would be a copy of its keys")
	}
	c.checkTelemetry(r)
}

// checkTelemetry refuses to tell on the gate's own address what is for the
// operator alone.
func (c *Config) checkTelemetry(r *conf.Report) {
	for _, addr := range c.Listen.Addrs {
		if c.Telemetry.Meets(addr) {
			r.Errorf(&c.Telemetry.Listen, "telemetry.listen is the address of the gate (listen: %s); choose another port", addr)
			return
		}
	}
}

func (c *Config) needsSignIn() bool {
	for _, rt := range c.Routes {
		if rt.Allow.Given() && !rt.Allow.Anyone() {
			return len(c.Bearer.Issuers) == 0
		}
	}
	return false
}

func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && (rel == "." || filepath.IsLocal(rel))
}

// revocationLife is how long a revocation counts that says nothing itself:
// longer than any session or token can live.
func (c *Config) revocationLife() time.Duration {
	return max(c.Session.Lifetime, client.MaxTTL) + time.Hour
}

// place makes relative directories relative to the configuration file.
func (c *Config) place(configFile string) error {
	base, err := filepath.Abs(filepath.Dir(configFile))
	if err != nil {
		return fmt.Errorf("place data directory: %w", err)
	}
	if !filepath.IsAbs(c.DataDir) {
		c.DataDir = filepath.Join(base, c.DataDir)
	}
	switch {
	case c.SecretsDir == "":
		c.SecretsDir = filepath.Join(filepath.Dir(c.DataDir), "secrets")
	case !filepath.IsAbs(c.SecretsDir):
		c.SecretsDir = filepath.Join(base, c.SecretsDir)
	}
	return nil
}

// ErrNoConfig is returned by FindConfig when no configuration file exists.
var ErrNoConfig = errors.New("no configuration: there is no ./gatehouse.yaml and no /etc/gatehouse/gatehouse.yaml; name one with --config, write one with `gatehouse init`, or try `gatehouse demo` first")

// FindConfig returns the path of the configuration: the given one, else
// ./gatehouse.yaml, else /etc/gatehouse/gatehouse.yaml.
func FindConfig(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	for _, path := range []string{"gatehouse.yaml", "/etc/gatehouse/gatehouse.yaml"} {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", ErrNoConfig
}
