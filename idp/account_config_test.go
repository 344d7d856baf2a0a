package idp_test

import (
	"strings"
	"testing"

	"gatehouse/idp"
	"gatehouse/internal/conf"
)

// A file that leaves people without a way back is warned of.
func TestRecoveryThatReachesNobodyIsWarnedOf(t *testing.T) {
	const mail = "mail: { host: localhost, from: a@example.com }\n"
	for _, try := range []struct{ text, want string }{
		{"", ""},
		{"account: { recovery: [] }", ""},
		{mail + "account: { recovery: [email] }", ""},
		{"account: { recovery: [email] }", "test.yaml:2:23: idp.account.recovery names email, and nothing goes out by email without idp.mail"},
	} {
		var c idp.Config
		f, err := conf.Parse("test.yaml", []byte("issuer: https://login.example.com\n"+try.text), &c)
		if err != nil {
			t.Fatalf("%s: %v", try.text, err)
		}
		var got []string
		for _, w := range f.Problems().Warnings() {
			got = append(got, w.String())
		}
		if try.want == "" && len(got) > 0 || !strings.Contains(strings.Join(got, "\n"), try.want) {
			t.Errorf("%s: warnings %q, want %q", try.text, got, try.want)
		}
	}
}

const senders = "mail: { host: localhost, from: a@example.com }\n" +
	"sms: { url: 'https://sms.example.com/', secret: a-secret-of-24-characters-or-more }\n"

func TestRecoveryIsAList(t *testing.T) {
	const mail = "mail: { host: localhost, from: a@example.com }\n"
	for _, try := range []struct{ text, want string }{
		{senders + "account: { recovery: [phone] }", ""},
		{senders + "account: { recovery: [phone, email] }", ""},
		{mail + "account: { recovery: [email, phone] }", "phone needs idp.sms"},
		{senders + "account: { recovery: [sms] }", `names "sms", want email or phone`},
		{senders + "account: { recovery: [phone, email, phone] }", "names phone twice"},
	} {
		var c idp.Config
		_, err := conf.Parse("test.yaml", []byte("issuer: https://login.example.com\n"+try.text), &c)
		if try.want == "" && err != nil || try.want != "" && (err == nil || !strings.Contains(err.Error(), try.want)) {
			t.Errorf("%s: %v, want %q", try.text, err, try.want)
		}
	}
}

// One mailbox or phone must not be both factors. Who would have it so is sent
// nothing there; a file in which that is everybody is refused.
func TestRecoveryByTheSecondFactorIsToldOf(t *testing.T) {
	const (
		by     = "is a second factor, and the way back"
		nobody = "reaches nobody"
	)
	for _, try := range []struct{ mfa, recovery, warning, refusal string }{
		{"factors: [totp, sms]", "[phone]", "sms " + by, ""},
		{"factors: [totp, email]", "[email]", "email " + by, ""},
		{"factors: [totp, email]", "[email, phone]", "email " + by, ""},
		{"factors: [totp, email]", "[phone]", "", ""},
		{"factors: [totp, sms]", "[]", "", ""},
		{"mode: off, factors: [sms]", "[phone]", "", ""},
		{"mode: required, factors: [sms, recovery]", "[phone]", "", nobody},
		{"mode: required, factors: [sms, email]", "[phone]", "sms " + by, ""},
		{"mode: required, factors: [sms, email]", "[phone, email]", "email " + by, ""},
		{"mode: required, factors: [sms, totp]", "[phone]", "sms " + by, ""},
		{"mode: required, factors: [sms]", "[]", "", ""},
	} {
		var c idp.Config
		text := "issuer: https://login.example.com\n" + senders + "mfa: { " + try.mfa + " }\naccount: { recovery: " + try.recovery + " }\n"
		f, err := conf.Parse("test.yaml", []byte(text), &c)
		if try.refusal != "" {
			if err == nil || !strings.Contains(err.Error(), try.refusal) {
				t.Errorf("%s, recovery %s: %v, want %q", try.mfa, try.recovery, err, try.refusal)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s, recovery %s: %v", try.mfa, try.recovery, err)
			continue
		}
		var got []string
		for _, w := range f.Problems().Warnings() {
			got = append(got, w.Message)
		}
		if try.warning == "" && len(got) > 0 || !strings.Contains(strings.Join(got, "\n"), try.warning) {
			t.Errorf("%s, recovery %s: warnings %q, want %q", try.mfa, try.recovery, got, try.warning)
		}
	}
}
