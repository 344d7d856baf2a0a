package account

import (
	"slices"
	"time"

	"gatehouse/idp/pool"
	"gatehouse/internal/conf"
)

// SignUpMode says who may make an account.
type SignUpMode string

// The ways to get an account.
const (
	// Open lets everybody sign up.
	Open SignUpMode = "open"
	// InviteOnly lets operators invite people by e-mail.
	InviteOnly SignUpMode = "invite"
	// Off does neither: operators make users and tell them.
	Off SignUpMode = "off"
)

// Config is the section `idp.account`: the ways in and out of an account.
type Config struct {
	// SignUp is open, invite or off. The first two need a way to send messages.
	// Default off.
	SignUp SignUpMode `yaml:"sign_up"`
	// ConfirmWithin is how long a sign-up waits for its confirmation, 10m to
	// 72h. It reserves nothing. Default 24h.
	ConfirmWithin time.Duration `yaml:"confirm_within"`
	// ResetWithin is how long the link or the code for somebody who has forgotten
	// the password works, 1m to 24h. Default 15m.
	ResetWithin time.Duration `yaml:"reset_within"`
	// VerifyWithin is how long the code to a new e-mail address or phone number
	// works, 10m to 72h. Default 24h.
	VerifyWithin time.Duration `yaml:"verify_within"`
	// InviteWithin is how long the link of an invitation works, 1h to 2160h.
	// Default 168h.
	InviteWithin time.Duration `yaml:"invite_within"`
	// Recovery says how people get back who have forgotten their password: by a
	// link, which goes by email, or by a code, which goes by phone. The first that
	// the person has verified is used, but none that brings codes of their second
	// factor. An empty list offers nothing. Default email, where mail can be sent.
	Recovery []Channel `yaml:"recovery"`
	// Delete lets people delete their own account. Default true.
	Delete bool `yaml:"delete"`
	// Attributes are what people fill in of themselves, and change later, on the
	// pages of the provider, besides e-mail address and phone number. Default
	// name.
	Attributes []string `yaml:"attributes"`
	// PerHour is how many messages of one sort an account, or an address that is
	// nobody's yet, gets in an hour; the rest is not sent, without a word.
	// Default 5.
	PerHour int `yaml:"per_hour"`
	// NetworkPerHour is how often one IPv4 address, or one IPv6 /64, may sign up,
	// and how often it may ask for a new password, in an hour. Default 20.
	NetworkPerHour int `yaml:"network_per_hour"`
}

// Defaults sets what absent keys mean.
func (c *Config) Defaults() {
	*c = Config{
		SignUp: Off, ConfirmWithin: 24 * time.Hour, ResetWithin: 15 * time.Minute, VerifyWithin: 24 * time.Hour,
		InviteWithin: 7 * 24 * time.Hour, Recovery: []Channel{Email}, Delete: true, Attributes: []string{"name"},
		PerHour: 5, NetworkPerHour: 20,
	}
}

// Check reports what is wrong with the section; people is the section idp.pool,
// and can are the channels that messages can be sent over.
func (c *Config) Check(r *conf.Report, people pool.Config, can []Channel) {
	switch {
	case c.SignUp != Open && c.SignUp != InviteOnly && c.SignUp != Off:
		r.Errorf(&c.SignUp, "idp.account.sign_up is %q, want open, invite or off", c.SignUp)
	case c.SignUp != Off && !slices.Contains(can, Email):
		r.Errorf(&c.SignUp, "idp.account.sign_up: %s needs idp.mail, for what is sent to confirm that an address is somebody's", c.SignUp)
	}
	for _, d := range []struct {
		value          *time.Duration
		name           string
		least, longest time.Duration
	}{
		{&c.ConfirmWithin, "confirm_within", 10 * time.Minute, 72 * time.Hour},
		{&c.ResetWithin, "reset_within", time.Minute, 24 * time.Hour},
		{&c.VerifyWithin, "verify_within", 10 * time.Minute, 72 * time.Hour},
		{&c.InviteWithin, "invite_within", time.Hour, 90 * 24 * time.Hour},
	} {
		if *d.value < d.least || *d.value > d.longest {
			r.Errorf(d.value, "idp.account.%s is %s, want %s to %s", d.name, *d.value, d.least, d.longest)
		}
	}
	c.checkRecovery(r, can)
	names := pool.NewSchema(people).Names()
	for i, name := range c.Attributes {
		switch {
		case name == "email" || name == "phone_number":
			r.Errorf(&c.Attributes[i], "idp.account.attributes names %s, which has a page of its own", name)
		case !slices.Contains(names, name):
			r.Errorf(&c.Attributes[i], "idp.account.attributes names %q, which is neither a standard nor a custom attribute", name)
		}
	}
	if c.PerHour < 1 || c.NetworkPerHour < 1 {
		r.Errorf(&c.PerHour, "idp.account: per_hour and network_per_hour must be at least 1")
	}
}

// checkRecovery also warns of what leaves people without a way back.
func (c *Config) checkRecovery(r *conf.Report, can []Channel) {
	for i, channel := range c.Recovery {
		switch {
		case channel != Email && channel != Phone:
			r.Errorf(&c.Recovery[i], "idp.account.recovery names %q, want email or phone", channel)
		case slices.Contains(c.Recovery[:i], channel):
			r.Errorf(&c.Recovery[i], "idp.account.recovery names %s twice", channel)
		case channel == Phone && !slices.Contains(can, Phone):
			r.Errorf(&c.Recovery[i], "idp.account.recovery: phone needs idp.sms, for the codes that are sent")
		case r.Has(&c.Recovery) && !slices.Contains(can, channel):
			r.Warnf(&c.Recovery[i], "idp.account.recovery names email, and nothing goes out by email without idp.mail")
		}
	}
}
