package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckTellsEveryMistakeAtOnce(t *testing.T) {
	dir := t.TempDir()
	config := filepath.Join(dir, "gatehouse.yaml")
	text := `public_url: https://app.example.com
lisen: 8080
upstreams:
  app: http://127.0.0.1:3000
routes:
  - name: admin
    match: { path: /admin/** }
    alow: { groups: [admins] }
  - name: admin
    match: { path: [/x], methods: GET }
    allow: { gropus: [staff] }
idp:
  issuer: https://login.example.com
  client_secret: hunter2-do-not-print
`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := command(t, nil, "check", "--config", config)
	out := stdout + stderr
	if code != 1 {
		t.Errorf("check exits %d, want 1", code)
	}
	for _, want := range []string{
		"gatehouse.yaml:2:1", `"listen"`,
		"gatehouse.yaml:8:5", `"allow"`,
		"gatehouse.yaml:11:14", `"groups"`,
		"^^^^", "did you mean",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("check does not say %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "hunter2") {
		t.Errorf("check prints a secret:\n%s", out)
	}
	stdout, stderr, code = command(t, nil, "serve", "--config", config)
	if code == 0 || !strings.Contains(stdout+stderr, "gatehouse.yaml:2:1") {
		t.Errorf("serve with a broken file exits %d: %s%s", code, stdout, stderr)
	}
}

func TestServeWithoutConfigurationSaysWhatToDo(t *testing.T) {
	t.Chdir(t.TempDir())
	stdout, stderr, code := command(t, nil, "serve")
	if out := stdout + stderr; code != 2 || !strings.Contains(out, "--config") || !strings.Contains(out, "demo") {
		t.Errorf("serve without a configuration exits %d: %s, want 2 and a hint at --config and demo", code, out)
	}
}
