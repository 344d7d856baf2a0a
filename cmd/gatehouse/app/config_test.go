package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is of our provider needs one.
func TestKeysOfTheProviderNeedIt(t *testing.T) {
	const rest = "public_url: https://app.example.com\ntrusted_proxies: [127.0.0.1]\nupstreams: { app: http://127.0.0.1:3000 }\n" +
		"routes: [{ name: all, match: { path: /api/** }, allow: { scopes: [read] } }]\n"
	for text, want := range map[string]string{
		"bearer: { clients: [mobile-app], issuers: [{ issuer: https://i.example.com, audiences: [a] }] }\n":     "bearer.clients",
		"bearer: { issuers: [{ issuer: https://i.example.com, audiences: [a] }] }\nlogin: { scopes: [read] }\n": "login.scopes",
	} {
		path := filepath.Join(t.TempDir(), "gatehouse.yaml")
		if err := os.WriteFile(path, []byte(rest+text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), want+" is for the built-in provider, and there is none") {
			t.Errorf("%s gives %v", text, err)
		}
	}
}
