package notify_test

import (
	"strings"
	"testing"

	"gatehouse/idp/notify"
)

func TestSectionsAreChecked(t *testing.T) {
	for text, want := range map[string]string{
		"mail: { from: a@example.com }":                                                         "has no host",
		"mail: { host: smtp.example.com }":                                                      "mail.from",
		"mail: { host: 'smtp.example.com/x', from: a@example.com }":                             "mail.host",
		"mail: { host: smtp.example.com, from: 'a@example.com, b@example.com' }":                "mail.from",
		"mail: { host: smtp.example.com, from: a@example.com, reply_to: nobody }":               "mail.reply_to",
		"mail: { host: smtp.example.com, from: a@example.com, tls: none }":                      "in clear",
		"mail: { host: localhost, from: a@example.com, tls: none, username: u, password: p }":   "needs TLS",
		"mail: { host: localhost, from: a@example.com, tls: none, ca: absent.pem }":             "needs TLS",
		"mail: { host: smtp.example.com, from: a@example.com, tls: tls }":                       "want starttls",
		"mail: { host: smtp.example.com, from: a@example.com, username: u }":                    "has no password",
		"mail: { host: smtp.example.com, from: a@example.com, password: p }":                    "has no username",
		"mail: { host: smtp.example.com, from: a@example.com, port: 70000 }":                    "mail.port",
		"mail: { host: smtp.example.com, from: a@example.com, timeout: 1m }":                    "mail.timeout",
		"mail: { host: smtp.example.com, from: a@example.com, ca: absent.pem }":                 "mail.ca",
		"mail: { host: smtp.example.com, from: a@example.com, helo: 'a b' }":                    "mail.helo",
		"mail: { host: smtp.example.com, from: a@example.com, templates: absent }":              "mail.templates",
		"sms: { secret: 0123456789-0123456789-0123456789 }":                                     "has no url",
		"sms: { url: 'http://sms.example.com', secret: 0123456789-0123456789-0123456789 }":      "must be an https URL",
		"sms: { url: 'https://sms.example.com/#x', secret: 0123456789-0123456789-0123456789 }":  "must be an https URL",
		"sms: { url: 'https://sms.example.com', secret: short }":                                "at least 24",
		"sms: { url: 'https://sms.example.com', secret: 0123456789-0123456789-0, timeout: 1h }": "sms.timeout",
	} {
		if _, err := parse(text + "\n"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a mistake about %q", text, err, want)
		}
	}
	for text, port := range map[string]int{"": 587, ", tls: implicit": 465, ", tls: none": 25, ", port: 2525": 2525} {
		s, err := parse("mail: { host: 127.0.0.1, from: 'Us <a@example.com>'" + text + " }\n")
		if err != nil || s.Mail.Port != port {
			t.Errorf("%q: port %d, %v, want %d", text, s.Mail.Port, err, port)
		}
	}
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"a@example.com", "a@b, c@d", "a@b\r\nBcc: c@d", "<a@b>", `"a b"@c`, "ä@ö.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if notify.ValidAddress(s) && (strings.ContainsAny(s, "\r\n\x00 <>,;\"") || strings.Count(s, "@") < 1 || len(s) > 254) {
			t.Errorf("ValidAddress(%q)", s)
		}
	})
}
