package e2e

import (
	"fmt"
	"testing"
)

// browse runs a script that drives Chromium against the shared demo.
func browse(t *testing.T, script string, env ...string) {
	t.Helper()
	env = append(env, "CHROMIUM", chromium(t), "PASSWORD", demoPassword, "GATEHOUSE_URL", sharedDemo(t).url)
	runScript(t, script, env...)
}

func TestChromiumSignsInAndOut(t *testing.T) { browse(t, "browser-signin.mjs") }

func TestChromiumSignsInWithoutScripts(t *testing.T) { browse(t, "browser-nojs.mjs") }

func TestChromiumSignsInInTenTabsAtOnce(t *testing.T) { browse(t, "browser-tabs.mjs") }

func TestChromiumSocketAndEvents(t *testing.T) { browse(t, "browser-streams.mjs") }

func TestChromiumPagesAreAccessible(t *testing.T) {
	chromium(t) // before a demo is started for nothing
	broken := startDemo(t, "--upstream", fmt.Sprintf("http://127.0.0.1:%d", freePort(t)))
	browse(t, "browser-axe.mjs", "BROKEN_URL", broken.url)
}

func TestChromiumUsesPasskeys(t *testing.T) {
	executable := chromium(t)
	node(t)
	// The issuer has a name: at an address there are no passkeys.
	port, dir := freePort(t), t.TempDir()
	public, issuer := fmt.Sprintf("http://127.0.0.1:%d", port), fmt.Sprintf("http://localhost:%d", port)
	g := startServe(t, dir, public, file{
		public: public, dir: dir, upstream: application(t), routes: stepUpRoutes, parts: []string{provider(issuer, usualTTL)},
	}.String())
	runScript(t, "browser-passkey.mjs", "CHROMIUM", executable, "PASSWORD", demoPassword, "GATEHOUSE_URL", g.url, "ISSUER", issuer)
}
