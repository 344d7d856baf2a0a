package mfa_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/idp/mfa"
	"gatehouse/internal/conf"
)

// section is a file with one section idp.mfa.
type section struct {
	MFA mfa.Config `yaml:"mfa"`
	// sendable is what CheckSenders is told.
	sendable []mfa.Kind
}

// Check checks the section as the provider's does.
func (s *section) Check(r *conf.Report) {
	s.MFA.CheckSenders(r, s.sendable...)
}

func TestDefaultsOfTheSection(t *testing.T) {
	var s section
	if _, err := conf.Parse("gatehouse.yaml", []byte("mfa: {}\n"), &s); err != nil {
		t.Fatal(err)
	}
	c := s.MFA
	if c.Mode != mfa.Optional || !slices.Equal(c.Groups, []string{"admins"}) || !slices.Equal(c.Factors, []mfa.Kind{mfa.TOTP, mfa.Passkey, mfa.Recovery}) ||
		!c.PasskeySignIn || c.CodeLifetime != 10*time.Minute || c.CodeTries != 5 || c.AccountTries != 10 ||
		c.Devices != (mfa.DeviceConfig{Remember: mfa.RememberOff, Lifetime: 720 * time.Hour, Max: 10}) {
		t.Errorf("defaults = %+v", c)
	}
}

func TestSectionIsChecked(t *testing.T) {
	for text, want := range map[string]string{
		"mode: off":                                 "",
		"mode: required":                            "",
		"factors: [totp, email, recovery]":          "",
		"devices: { remember: always, max: 50 }":    "",
		"mode: sometimes":                           `idp.mfa.mode is "sometimes", want one of off, optional, required`,
		"factors: [totp, fingerprint]":              `"fingerprint" is none of totp`,
		"factors: [totp, totp]":                     "totp stands here twice",
		"factors: [recovery]":                       "recovery codes come beside one of them",
		"factors: [sms, totp]":                      "nothing is configured that could send sms codes",
		"code_lifetime: 2h":                         "want 1m to 1h",
		"code_tries: 0":                             "want 1 to 10",
		"account_tries: 1000":                       "want 1 to 100",
		"devices: { remember: ask }":                `idp.mfa.devices.remember is "ask"`,
		"devices: { lifetime: 400d }":               "want 1h to 366d",
		"devices: { max: 51 }":                      "want 1 to 50",
		"devices: { remember: true }":               "remember",
		"remember: off":                             "remember",
		"groups: { a: b }":                          "groups",
		"passkey_sign_in: maybe":                    "passkey_sign_in",
		"factors: [recovery, passkey, totp, email]": "",
	} {
		s := section{sendable: []mfa.Kind{mfa.Email}}
		_, err := conf.Parse("gatehouse.yaml", []byte("mfa: { "+text+" }\n"), &s)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: error = %v, want %q", text, err, want)
		case want != "" && !strings.HasSuffix(strings.TrimSpace(err.Error()), "\n1 error"):
			t.Errorf("%s is reported more than once:\n%v", text, err)
		}
	}
}
