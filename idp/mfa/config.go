package mfa

import (
	"slices"
	"strings"
	"time"

	"gatehouse/internal/conf"
)

// The modes of Config.Mode.
const (
	Off      = "off"
	Optional = "optional"
	Required = "required"
)

// The values of DeviceConfig.Remember.
const (
	RememberOff      = "off"
	RememberOptional = "optional"
	RememberAlways   = "always"
)

// Config is the section `idp.mfa`.
type Config struct {
	// Mode says who needs a second factor: off (nobody, and none can be set up),
	// optional (who has set one up), required (everybody; who has none sets one
	// up while signing in). Default optional.
	Mode string `yaml:"mode"`
	// Groups are the groups whose members need one though mode is optional.
	// With mode off they need none. Default admins.
	Groups []string `yaml:"groups"`
	// Factors are the kinds that can be set up and answered: totp, passkey,
	// email, sms, recovery. What somebody has set up of another kind is as if it
	// were not there. email and sms need a sender. Default totp, passkey and
	// recovery.
	Factors []Kind `yaml:"factors"`
	// PasskeySignIn lets people sign in with a passkey alone, which then must
	// have verified them (by PIN, finger or face) and counts as two factors.
	// Default true.
	PasskeySignIn bool `yaml:"passkey_sign_in"`
	// CodeLifetime is how long a code sent by e-mail or SMS, and a set-up or a
	// passkey challenge that was begun, may be answered. Default 10m; at most 1h.
	CodeLifetime time.Duration `yaml:"code_lifetime"`
	// CodeTries is how many answers one challenge takes for sent codes. Sending
	// another code does not reset it. Default 5; at most 10. A sign-in takes five
	// answers with second factors in all, so that more than five count where a
	// factor is set up.
	CodeTries int `yaml:"code_tries"`
	// AccountTries is how many answers in a row with a wrong code, of any kind,
	// an account takes; then it waits for an hour. A right one resets it.
	// Passkeys are not counted: they cannot be guessed. Default 10.
	AccountTries int `yaml:"account_tries"`
	// Devices says whether a device is remembered, on which a person need not
	// show a second factor again.
	Devices DeviceConfig `yaml:"devices"`
}

// Defaults sets what absent keys mean.
func (c *Config) Defaults() {
	*c = Config{
		Mode: Optional, Groups: []string{"admins"}, Factors: []Kind{TOTP, Passkey, Recovery}, PasskeySignIn: true,
		CodeLifetime: 10 * time.Minute, CodeTries: 5, AccountTries: 10,
	}
}

// DeviceConfig is the section `idp.mfa.devices`.
type DeviceConfig struct {
	// Remember says which devices are remembered after a second factor was
	// shown: off, optional (those of people who ask for it), always. A
	// remembered device satisfies no `require: { mfa: true }`. Default off.
	Remember string `yaml:"remember"`
	// Lifetime is how long after its last second factor a device is forgotten.
	// Default 30d.
	Lifetime time.Duration `yaml:"lifetime"`
	// Max is how many devices of one person are remembered; the one that was
	// not used for longest makes room. Default 10; at most 50.
	Max int `yaml:"max"`
}

// Defaults sets what absent keys mean.
func (c *DeviceConfig) Defaults() {
	*c = DeviceConfig{Remember: RememberOff, Lifetime: 30 * 24 * time.Hour, Max: 10}
}

// Check reports what is wrong with the section.
func (c *Config) Check(r *conf.Report) {
	oneOf(r, &c.Mode, "idp.mfa.mode", Off, Optional, Required)
	for i, k := range c.Factors {
		switch {
		case !slices.Contains(kinds, k):
			r.Errorf(&c.Factors[i], "idp.mfa.factors: %q is none of totp, passkey, email, sms, recovery", k)
		case slices.Contains(c.Factors[:i], k):
			r.Errorf(&c.Factors[i], "idp.mfa.factors: %s stands here twice", k)
		}
	}
	if c.Mode != Off && !slices.ContainsFunc(c.Factors, Kind.strong) {
		r.Errorf(&c.Factors, "idp.mfa.factors needs totp, passkey, email or sms: recovery codes come beside one of them")
	}
	if c.CodeLifetime < time.Minute || c.CodeLifetime > time.Hour {
		r.Errorf(&c.CodeLifetime, "idp.mfa.code_lifetime is %s, want 1m to 1h", c.CodeLifetime)
	}
	if c.CodeTries < 1 || c.CodeTries > 10 {
		r.Errorf(&c.CodeTries, "idp.mfa.code_tries is %d, want 1 to 10", c.CodeTries)
	}
	if c.AccountTries < 1 || c.AccountTries > 100 {
		r.Errorf(&c.AccountTries, "idp.mfa.account_tries is %d, want 1 to 100", c.AccountTries)
	}
	d := &c.Devices
	oneOf(r, &d.Remember, "idp.mfa.devices.remember", RememberOff, RememberOptional, RememberAlways)
	if d.Lifetime < time.Hour || d.Lifetime > 366*24*time.Hour {
		r.Errorf(&d.Lifetime, "idp.mfa.devices.lifetime is %s, want 1h to 366d", d.Lifetime)
	}
	if d.Max < 1 || d.Max > 50 {
		r.Errorf(&d.Max, "idp.mfa.devices.max is %d, want 1 to 50", d.Max)
	}
}

// CheckSenders reports the factors that need a sender and have none: sendable
// are the kinds for which there is one.
func (c *Config) CheckSenders(r *conf.Report, sendable ...Kind) {
	for i, k := range c.Factors {
		if k.sent() && !slices.Contains(sendable, k) {
			r.Errorf(&c.Factors[i], "idp.mfa.factors: nothing is configured that could send %s codes", k)
		}
	}
}

func oneOf(r *conf.Report, field *string, name string, words ...string) {
	if !slices.Contains(words, *field) {
		r.Errorf(field, "%s is %q, want one of %s", name, *field, strings.Join(words, ", "))
	}
}
