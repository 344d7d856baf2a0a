package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// missing skips the test with a sentence; where everything was promised to be
// there (GATEHOUSE_E2E=1), it fails it.
func missing(t *testing.T, sentence string) {
	t.Helper()
	if os.Getenv("GATEHOUSE_E2E") == "1" {
		t.Fatal(sentence)
	}
	t.Skip(sentence)
}

// node finds the Node that is pinned beside the clients, or else the system's.
func node(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat("node_modules/openid-client"); err != nil {
		missing(t, "the npm clients are not installed: run `npm ci --ignore-scripts` in e2e/")
	}
	// Not by node_modules/.bin, which older versions of npm leave empty.
	for _, arch := range []string{"x64", "arm64"} {
		path, err := filepath.Abs("node_modules/node-linux-" + arch + "/bin/node")
		if err != nil {
			continue
		}
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	path, err := exec.LookPath("node")
	if err != nil {
		missing(t, "there is no Node.js: run `npm ci --ignore-scripts` in e2e/ on linux x64 or arm64, or install Node 22")
	}
	return path
}

// chromium finds the system's browser.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	missing(t, "there is no Chromium: apt-get install chromium")
	return ""
}

// runScript runs a script of node/ to its end; it must exit with 0. env are
// pairs of name and value.
func runScript(t *testing.T, script string, env ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, node(t), filepath.Join("node", script))
	cmd.Env = append(os.Environ(), pairs(env)...)
	// A browser is a family of processes: give it time to end it itself.
	cmd.WaitDelay = 10 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", script, err, out)
	}
}

func pairs(env []string) []string {
	var out []string
	for i := 0; i+1 < len(env); i += 2 {
		out = append(out, env[i]+"="+env[i+1])
	}
	return out
}
