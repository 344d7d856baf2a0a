package login

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/conf"
)

func TestConfig(t *testing.T) {
	read := func(text string) (Config, error) {
		var c struct {
			Login Config `yaml:"login"`
		}
		_, err := conf.Parse("gatehouse.yaml", []byte(text), &c)
		return c.Login, err
	}
	c, err := read(`
login:
  providers:
    corp: { issuer: "https://login.example.com", client_id: gate, client_secret: hunter2, groups_claim: roles }
`)
	if err != nil || c.Providers["corp"].ClientSecret.Reveal() != "hunter2" || !slices.Contains(c.Providers["corp"].Scopes, "openid") {
		t.Errorf("%+v, %v", c, err)
	}
	if got := c.Providers["corp"].MFAACR; !slices.Equal(got, []string{"https://refeds.org/profile/mfa"}) {
		t.Errorf("mfa_acr = %q by default", got)
	}
	c, err = read("login: { scopes: [reports.read, orders/write] }")
	if err != nil || !slices.Equal(c.Scopes, []string{"reports.read", "orders/write"}) {
		t.Errorf("%+v, %v", c, err)
	}
	for text, want := range map[string]string{
		`{scopes: [aws.cognito.signin.user.admin]}`:                                                     "may not name",
		`{scopes: [reports.read, reports.read]}`:                                                        "twice",
		`{scopes: [openid]}`:                                                                            "asked for anyway",
		`{scopes: ["a b"]}`:                                                                             "without space",
		`{scopes: [""]}`:                                                                                "1 to 255",
		`{scopes: [` + strings.Repeat("x, ", 41) + `]}`:                                                 "at most 40",
		`{scopes: [a], providers: {a: {issuer: "https://a", client_id: x}}}`:                            "is for the built-in provider",
		`{providers: {a: {issuer: "https://a", client_id: x, mfa_acr: ["a b"]}}}`:                       "mfa_acr names",
		`{providers: {a: {client_id: x}}}`:                                                              "issuer is missing",
		`{providers: {a: {issuer: "https://a"}}}`:                                                       "client_id is missing",
		`{providers: {a: {issuer: "http://login.example.com", client_id: x}}}`:                          "must be https",
		`{providers: {a: {issuer: "login.example.com", client_id: x}}}`:                                 "is not a URL",
		`{providers: {"a b": {issuer: "https://a", client_id: x}}}`:                                     "provider name",
		`{providers: {a: {issuer: "https://a", client_id: x}, b: {issuer: "https://b", client_id: x}}}`: "default is missing",
		`{default: c, providers: {a: {issuer: "https://a", client_id: x}}}`:                             `default names "c"`,
		`{providers: {a: {issuer: "https://a", client_id: x, client_secrets: hunter2}}}`:                "client_secret",
	} {
		_, err := read("login: " + text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the secret is shown", text)
		}
	}
	if _, err := read(`{providers: {a: {issuer: "http://localhost:8080/x", client_id: y}}}`); err == nil {
		t.Error("a section at the wrong place")
	}
}
