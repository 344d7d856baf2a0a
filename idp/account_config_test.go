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

// Nothing takes a code that is sent to a phone, so a file must not promise it.
func TestRecoveryByPhoneIsRefused(t *testing.T) {
	const senders = "mail: { host: localhost, from: a@example.com }\n" +
		"sms: { url: 'https://sms.example.com/', secret: a-secret-of-24-characters-or-more }\n"
	for _, list := range []string{"[phone]", "[email, phone]"} {
		var c idp.Config
		_, err := conf.Parse("test.yaml", []byte("issuer: https://login.example.com\n"+senders+"account: { recovery: "+list+" }\n"), &c)
		if err == nil || !strings.Contains(err.Error(), `names "phone", want email`) {
			t.Errorf("recovery: %s: %v, want it refused", list, err)
		}
	}
}
