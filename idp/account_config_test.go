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
		{"account: { recovery: [email] }", "nothing goes out by email, since there is no idp.mail"},
		{mail + "account: { recovery: [email, phone] }", "nothing goes out by phone, since there is no idp.sms"},
		{mail + "sms: { url: 'https://sms.example.com/', secret: a-secret-of-24-characters-or-more }\naccount: { recovery: [phone] }", "offer no way back"},
	} {
		var c idp.Config
		f, err := conf.Parse("test.yaml", []byte("issuer: https://login.example.com\n"+try.text), &c)
		if err != nil {
			t.Fatalf("%s: %v", try.text, err)
		}
		var got []string
		for _, w := range f.Problems().Warnings() {
			got = append(got, w.Message)
		}
		if try.want == "" && len(got) > 0 || !strings.Contains(strings.Join(got, "\n"), try.want) {
			t.Errorf("%s: warnings %q, want %q", try.text, got, try.want)
		}
	}
}
