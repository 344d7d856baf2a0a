package bearer

import (
	"strings"
	"testing"

	"gatehouse/internal/conf"
)

func TestConfig(t *testing.T) {
	read := func(text string) (Config, error) {
		var c struct {
			Bearer Config `yaml:"bearer"`
		}
		_, err := conf.Parse("gatehouse.yaml", []byte(text), &c)
		return c.Bearer, err
	}
	c, err := read(`
bearer:
  clients: web
  issuers:
    - issuer: https://login.example.com/realm
      audiences: [api]
      machine: { gty: client-credentials }
      jwks_url: https://keys.example.com/jwks
`)
	if err != nil || len(c.Clients) != 1 || c.Issuers[0].Leeway != defaultLeeway || c.Issuers[0].Machine["gty"] == "" || c.Issuers[0].JWKSURL == nil {
		t.Errorf("%+v, %v", c, err)
	}
	for entry, want := range map[string]string{
		`{audiences: [api]}`: "issuer: it is missing",
		`{issuer: "http://login.example.com", audiences: [api]}`:                "must be https",
		`{issuer: "http://127.evil.test", audiences: [api]}`:                    "must be https",
		`{issuer: "https://a"}`:                                                 "audiences is missing",
		`{issuer: "https://a", audiences: [""]}`:                                "audiences is missing",
		`{issuer: "https://a", audiences: [x], algorithms: [HS256]}`:            "HS256",
		`{issuer: "https://a", audiences: [x], algorithms: [none]}`:             "none",
		`{issuer: "https://a", audiences: [x], leeway: 5m}`:                     "leeway",
		`{issuer: "https://a", audiences: [x], jwks_url: "http://a.test/jwks"}`: "jwks_url",
		`{issuer: "https://u:p@a", audiences: [x]}`:                             "is not a URL",
		`{issuer: "https://a", audience: [x]}`:                                  "audience",
	} {
		if _, err := read("bearer: {issuers: [" + entry + "]}"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", entry, err, want)
		}
	}
	if _, err := read(`bearer: {issuers: [{issuer: "https://a", audiences: [x]}, {issuer: "https://a", audiences: [y]}]}`); err == nil {
		t.Error("one issuer twice")
	}
}
