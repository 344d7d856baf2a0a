package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/conf"
)

// toA and toB lead the same path to one upstream each.
const (
	toA = "routes: [{ name: page, match: { path: /page }, allow: anyone, upstream: a }]\n"
	toB = "routes: [{ name: page, match: { path: /page }, allow: anyone, upstream: b }]\n"
)

func TestAChangedFileTakesEffect(t *testing.T) {
	g := newGate(t, toA, Options{})
	before := g.app.Summary().Revision
	g.wants("at the start", "/page", 200, "a")
	g.configure(strings.Replace(toB, "routes: [", "routes: [{ name: more, match: { path: /more }, allow: nobody, upstream: a }, ", 1))
	line := g.logs.next(t, reloaded)
	g.wants("after the change", "/page", 200, "b")
	g.wants("after the change", "/more", 403, "")
	after := g.app.Summary().Revision
	for _, want := range []string{
		`"revision":"` + after, `"revision_before":"` + before, `"routes_added":["more"]`, `"routes_changed":["page"]`,
	} {
		if !strings.Contains(line, want) {
			t.Errorf("the log does not tell %s:\n%s", want, line)
		}
	}
	g.configure("# moved down\n\n" + toB)
	if line := g.logs.next(t, reloaded); !strings.Contains(line, `"routes_removed":["more"]`) || strings.Contains(line, "routes_changed") {
		t.Errorf("the log should tell that one route is gone and none is changed:\n%s", line)
	}
}

func TestReloadWithoutWatchingWaitsToBeAsked(t *testing.T) {
	g := newGate(t, toA, Options{NoWatch: true})
	g.configure(toB)
	g.wants("before anybody asks", "/page", 200, "a")
	g.app.Reload()
	g.logs.next(t, reloaded)
	g.wants("after that", "/page", 200, "b")
}

// TestWhatIsBrokenChangesNothing breaks the configuration and what it names in
// every way, and mends it.
func TestWhatIsBrokenChangesNothing(t *testing.T) {
	custom := "policy: { custom: [orders.rego], data: { tenants: tenants.json }, shadow: shadow.yaml }\n"
	rego := func(body string) string { return "package orders\n\nallow if " + body + "\n" }
	for name, c := range map[string]struct {
		harm func(g *gate)
		told []string
	}{
		"deleted":      {func(g *gate) { g.remove("gatehouse.yaml") }, []string{"gatehouse.yaml: no such file"}},
		"half written": {func(g *gate) { write(g.t, g.path(), (g.head + toB + custom)[:len(g.head)+40]) }, []string{"gatehouse.yaml:"}},
		"no YAML":      {func(g *gate) { g.configure("routes: [}\n") }, []string{"not YAML"}},
		"two mistakes": {
			func(g *gate) {
				g.configure(strings.ReplaceAll(toB, "allow: anyone", "alow: anyone, on_unauthenticated: maybe") + custom)
			},
			[]string{"alow", `on_unauthenticated is \"maybe\"`, "^^^^"},
		},
		"broken Rego":    {func(g *gate) { g.configure(toB + custom); g.file("orders.rego", rego("input.")) }, []string{"orders.rego:4"}},
		"missing Rego":   {func(g *gate) { g.configure(toB + custom); g.remove("orders.rego") }, []string{"orders.rego"}},
		"missing data":   {func(g *gate) { g.configure(toB + custom); g.remove("tenants.json") }, []string{"tenants.json"}},
		"broken data":    {func(g *gate) { g.configure(toB + custom); g.file("tenants.json", "{") }, []string{"tenants.json"}},
		"missing shadow": {func(g *gate) { g.configure(toB + custom); g.remove("shadow.yaml") }, []string{"policy.shadow", "shadow.yaml"}},
		"broken shadow":  {func(g *gate) { g.configure(toB + custom); g.file("shadow.yaml", "nothing: here\n") }, []string{"policy.shadow", "unknown key"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := placeGate(t)
			mend := func() {
				g.file("orders.rego", rego("input.request.method == \"GET\""))
				g.file("tenants.json", `{"acme": 1}`)
				g.file("shadow.yaml", g.head+toA)
			}
			mend()
			g.configure(toA + custom)
			g.open(Options{})
			g.run()
			c.harm(g)
			line := g.logs.next(t, refused)
			for _, want := range c.told {
				if !strings.Contains(line, want) {
					t.Errorf("the log does not tell %s:\n%s", want, line)
				}
			}
			g.wants("broken", "/page", 200, "a")
			mend()
			g.configure(toB + custom)
			g.logs.next(t, reloaded)
			g.wants("mended", "/page", 200, "b")
		})
	}
}

func (g *gate) remove(name string) {
	g.t.Helper()
	if err := os.Remove(filepath.Join(g.dir, name)); err != nil {
		g.t.Fatal(err)
	}
}

func TestFilesThatTheConfigurationNamesAreWatched(t *testing.T) {
	g := placeGate(t)
	g.file("where.txt", named(t, "here"))
	g.file("orders/a.rego", "package orders\n\nallow := false\n")
	g.file("tenants.json", `{"acme": 1}`)
	g.file("shadow.yaml", g.head+toA)
	g.head = strings.Replace(g.head, "upstreams: {", "upstreams: { c: \"${file:where.txt}\",", 1)
	g.configure(strings.Replace(toA, "upstream: a", "upstream: c", 1) + "policy: { custom: [orders], data: { tenants: tenants.json }, shadow: shadow.yaml }\n")
	g.open(Options{})
	g.run()
	g.wants("at the start", "/page", 200, "here")
	for name, text := range map[string]string{
		"where.txt": named(t, "there"), "orders/a.rego": "package orders\n\nallow := true\n", "orders/b.rego": "package orders.more\n\nallow := true\n",
		"tenants.json": `{"acme": 2}`, "shadow.yaml": g.head + toB,
	} {
		g.file(name, text)
		g.logs.next(t, reloaded)
	}
	g.wants("after the file changed", "/page", 200, "there")
}

// TestAConfigMapIsReadAgain keeps the configuration where Kubernetes puts it.
func TestAConfigMapIsReadAgain(t *testing.T) {
	g := placeGate(t)
	link := func(to, name string) {
		t.Helper()
		if err := errors.Join(os.Symlink(to, filepath.Join(g.dir, name+".new")), os.Rename(filepath.Join(g.dir, name+".new"), filepath.Join(g.dir, name))); err != nil {
			t.Fatal(err)
		}
	}
	g.file("..2026_1/gatehouse.yaml", g.head+toA)
	link("..2026_1", "..data")
	link("..data/gatehouse.yaml", "gatehouse.yaml")
	g.open(Options{})
	g.run()
	g.file("..2026_2/gatehouse.yaml", g.head+toB)
	link("..2026_2", "..data")
	if err := os.RemoveAll(filepath.Join(g.dir, "..2026_1")); err != nil {
		t.Fatal(err)
	}
	g.logs.next(t, reloaded)
	g.wants("after the swap", "/page", 200, "b")
}

func TestSomeKeysChangeByRestartOnly(t *testing.T) {
	g := newGate(t, toA, Options{})
	for key, rest := range map[string]string{
		"listen":           toB,
		"data_dir":         toB + "data_dir: elsewhere\n",
		"secrets_dir":      toB + "secrets_dir: elsewhere\n",
		"telemetry.listen": toB + "telemetry: { listen: \"127.0.0.1:1\" }\n",
		"idp":              toB + "idp: { issuer: \"http://login.localhost\" }\n",
		"tls":              toB + "tls: { cert: a.pem, key: b.pem }\n",
	} {
		head := g.head
		if key == "listen" {
			g.head = strings.Replace(g.head, "listen: 127.0.0.1", "listen: 127.0.0.2", 1)
		}
		g.configure(rest)
		g.head = head
		if line := g.logs.next(t, refused); !strings.Contains(line, `"keys":["`+key+`"]`) {
			t.Errorf("a change of %s is refused with %s", key, line)
		}
		g.wants("with another "+key, "/page", 200, "a")
	}
	g.configure(toB)
	g.logs.next(t, reloaded)
	g.wants("with all as it was", "/page", 200, "b")
}

func TestAskingOftenIsFewReloads(t *testing.T) {
	g := newGate(t, toA, Options{NoWatch: true})
	g.configure(toB)
	for range 1000 {
		g.app.Reload()
	}
	g.logs.next(t, reloaded)
	g.wants("after that", "/page", 200, "b")
	if n := g.logs.count(reloaded); n > 100 {
		t.Errorf("a thousand calls gave %d reloads, want few", n)
	}
}

func TestRevisionIsOfWhatDecides(t *testing.T) {
	g := placeGate(t)
	revision := func(rest, rego string) string {
		t.Helper()
		g.file("orders.rego", "package orders\n\nallow if "+rego+"\n")
		g.configure(rest)
		plan, err := Load(g.path())
		if err != nil {
			t.Fatal(err)
		}
		return plan.Summary().Revision
	}
	const custom = "policy: { custom: [orders.rego] }\n"
	base := revision(toA+custom, "true")
	if len(base) != 12 {
		t.Errorf("revision = %q, want 12 digits", base)
	}
	if again := revision("# a comment\n"+toA+custom, "true"); again != base {
		t.Error("a comment changes the revision")
	}
	if other := revision(toB+custom, "true"); other == base {
		t.Error("another route does not change the revision")
	}
	if other := revision(toA+custom, "false"); other == base {
		t.Error("another rule of the operator does not change the revision")
	}
	other := placeGate(t)
	other.head = g.head
	other.file("orders.rego", "package orders\n\nallow if true\n")
	other.configure(toA + custom)
	if plan, err := Load(other.path()); err != nil || plan.Summary().Revision != base {
		t.Errorf("the same files elsewhere have another revision (%v)", err)
	}
}

func TestTelemetryMayNotSpeakOnTheGatesAddress(t *testing.T) {
	for addr, fine := range map[string]bool{"127.0.0.1:8080": false, "127.0.0.1:9464": true} {
		_, err := Parse("gatehouse.yaml", []byte("public_url: http://app.localhost\nlisten: 8080\nupstreams: { app: http://127.0.0.1:9 }\n"+
			"routes: [{ name: all, match: { path: /public/** }, allow: anyone }]\ntelemetry: { listen: \""+addr+"\" }\n"))
		var list *conf.Problems
		if fine != (err == nil) || err != nil && !errors.As(err, &list) {
			t.Errorf("telemetry on %s beside listen: 8080 gives %v; fine should be %v", addr, err, fine)
		}
	}
}
