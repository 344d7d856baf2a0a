package app

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/proxy/upstream"
)

// again reloads a gateway that was opened and does not run.
func (g *gate) again() (*generation, error) {
	g.t.Helper()
	_, err := g.app.reload(g.t.Context())
	return g.app.now.Load(), err
}

// idle is a gateway that was opened and does not run.
func idle(t *testing.T, rest string) *gate {
	t.Helper()
	g := placeGate(t)
	g.configure(rest)
	g.open(Options{})
	t.Cleanup(func() {
		if err := g.app.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
		if n := len(g.app.parts.all); n > 0 {
			t.Errorf("%d parts are left after Close", n)
		}
	})
	return g
}

func TestPartsWithTheSameConfigurationAreShared(t *testing.T) {
	g := idle(t, toA)
	first := g.app.now.Load()
	g.head = "# moved\n\n" + strings.Replace(g.head, "upstreams: {", "upstreams: { c: http://127.0.0.1:9,", 1)
	g.configure(toB)
	second, err := g.again()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b"} {
		if first.Upstreams[name] != second.Upstreams[name] {
			t.Errorf("the connections of upstream %s were made anew", name)
		}
	}
	if first.Tokens != second.Tokens || first.signer != second.signer {
		t.Error("the verifier of tokens or the signer was made anew")
	}
	g.head = strings.Replace(g.head, "audiences: [x]", "audiences: [y]", 1)
	g.head = strings.Replace(g.head, "upstreams: {", "upstreams: { d: http://127.0.0.1:9,", 1)
	g.head = strings.Replace(g.head, "{ d:", "{ d: { url: \"http://127.0.0.1:9\", response_timeout: 7s }, e:", 1)
	g.configure(toB)
	third, err := g.again()
	if err != nil {
		t.Fatal(err)
	}
	if second.Tokens == third.Tokens {
		t.Error("a verifier outlives its audiences")
	}
}

func TestAnUpstreamWithAnotherCertificateAuthorityIsAnother(t *testing.T) {
	first, second := newAuthority(t), newAuthority(t)
	g := placeGate(t)
	g.file("ca.pem", first)
	g.head = strings.Replace(g.head, "upstreams: {", "upstreams: { c: { url: \"https://127.0.0.1:9\", ca: ca.pem },", 1)
	g.configure(toA)
	g.open(Options{})
	defer g.app.Close()
	before := g.app.now.Load().Upstreams["c"]
	g.file("ca.pem", second)
	after, err := g.again()
	if err != nil {
		t.Fatal(err)
	}
	if before == after.Upstreams["c"] {
		t.Error("connections outlive the certificates that were trusted")
	}
	g.file("ca.pem", "nothing")
	if last, err := g.again(); err == nil || last != after {
		t.Errorf("a file without certificates gives %v, want an error and the generation before", err)
	}
}

func TestPartsEndWhenNoGenerationHoldsThem(t *testing.T) {
	g := idle(t, toA)
	count := func() (n int) {
		for _, p := range g.app.parts.all {
			if _, is := p.value.(*upstream.Upstream); is {
				n++
			}
		}
		return n
	}
	for _, url := range []string{"http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"} {
		head := g.head
		g.head = strings.Replace(g.head, "upstreams: {", "upstreams: { c: \""+url+"\",", 1)
		g.configure(toA)
		g.head = head
		if _, err := g.again(); err != nil {
			t.Fatal(err)
		}
	}
	if got := count(); got != 5 {
		t.Errorf("%d upstreams are held during the grace of their generations, want 5", got)
	}
	g.app.tidy(time.Now())
	if got := count(); got != 5 {
		t.Errorf("%d upstreams are held before the grace is over, want 5", got)
	}
	g.app.tidy(time.Now().Add(2 * grace))
	if got := count(); got != 3 {
		t.Errorf("%d upstreams are held after it, want 3", got)
	}
	g.configure("routes: [}\n")
	if _, err := g.again(); err == nil {
		t.Error("a broken file was taken")
	}
	if got := count(); got != 3 {
		t.Errorf("%d upstreams are held after a refused reload, want 3", got)
	}
}

func TestALogOfDecisionsIsClosedWithItsGeneration(t *testing.T) {
	logged := func(g *gate) string {
		return toA + "policy: { log: { file: \"" + filepath.Join(g.dir, "decisions.log") + "\" } }\n"
	}
	g := idle(t, toA)
	g.configure(logged(g))
	with, err := g.again()
	if err != nil || with.record.log == nil {
		t.Fatalf("a log of decisions gives %v", err)
	}
	g.configure(toB)
	if without, err := g.again(); err != nil || without.record.log != nil || without.Recorder != nil {
		t.Errorf("without policy.log something records still (%v)", err)
	}
	g.app.tidy(time.Now().Add(2 * grace))
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return // only Linux tells
	}
	for _, fd := range open {
		if at, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasSuffix(at, "decisions.log") {
			t.Error("the log of decisions is still open")
		}
	}
}

func TestALongerSessionNeedsARestartWhereRevocationsAreForgotten(t *testing.T) {
	p := func(rest string) *Config {
		t.Helper()
		plan, err := Parse("gatehouse.yaml", []byte("public_url: http://app.localhost\nupstreams: { app: http://127.0.0.1:9 }\n"+
			"routes: [{ name: all, match: { path: /x }, allow: signed-in }]\nidp: { issuer: \"http://login.localhost\" }\n"+rest))
		if err != nil {
			t.Fatal(err)
		}
		return plan.Config
	}
	if got := fixed(p(""), p("session: { lifetime: 24h }\n")); len(got) > 0 {
		t.Errorf("24h after 12h needs a restart for %q; revocations outlive it", got)
	}
	if got := fixed(p(""), p("session: { lifetime: 30d }\n")); len(got) != 1 || got[0] != "session.lifetime" {
		t.Errorf("30d after 12h needs a restart for %q, want session.lifetime: a disabled person's session would come back", got)
	}
	if got := fixed(p("session: { lifetime: 30d }\n"), p("")); len(got) > 0 {
		t.Errorf("12h after 30d needs a restart for %q", got)
	}
}

func TestRefusedReloadsLeaveNothingBehind(t *testing.T) {
	g := idle(t, toA)
	before := len(g.app.parts.all)
	// The last upstream cannot be made when the first two have been.
	head := g.head
	g.head = strings.Replace(head, "upstreams: {", "upstreams: { aa: http://127.0.0.1:1, zz: { url: \"https://127.0.0.1:9\", ca: gone.pem },", 1)
	for range 3 {
		g.configure(toB)
		if _, err := g.again(); err == nil {
			t.Fatal("an upstream without its certificates was taken")
		}
	}
	g.head = head
	if got := len(g.app.parts.all); got != before {
		t.Errorf("there are %d parts after refused reloads, want %d as before", got, before)
	}
	if len(g.app.retired) > 0 {
		t.Error("a refused reload has retired the generation that stays")
	}
	ended, end := context.WithCancel(t.Context())
	end()
	g.configure(toB)
	if _, err := g.app.reload(ended); err == nil && g.app.now.Load() == nil {
		t.Error("a reload at the end of the program took the last generation away")
	}
}
