package app

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"gatehouse/session"
)

// shelf is a server of one bundle, which can be changed and taken away.
type shelf struct {
	*httptest.Server
	mu     sync.Mutex
	bundle []byte // nil: away
}

func newShelf(t *testing.T, rego string) *shelf {
	s := &shelf{bundle: pack(t, rego)}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.bundle == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write(s.bundle)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *shelf) put(bundle []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bundle = bundle
}

// pack is a bundle of one module.
func pack(t *testing.T, rego string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: "orders.rego", Mode: 0o600, Size: int64(len(rego))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(rego)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bundled is a configuration whose one rule is in a bundle of the shelf.
func (g *gate) bundled(s *shelf) string {
	g.file("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	return "routes: [{ name: page, match: { path: /page }, allow: { opa: { rule: data.orders.allow } }, upstream: a }]\n" +
		"policy: { custom: [{ bundle: \"" + s.URL + "/b.tar.gz\", ca: ca.pem, every: 1s }] }\n"
}

// withShelf is a gateway whose one rule is in a bundle.
func withShelf(t *testing.T) (*gate, *shelf) {
	t.Helper()
	s := newShelf(t, allows)
	g := placeGate(t)
	g.configure(g.bundled(s))
	return g, s
}

const (
	allows = "package orders\n\nallow := true\n"
	denies = "package orders\n\nallow := false\n"
	other  = "package orders\n\npermit := true\n"
)

// decides asks the policy of now about the one route, as somebody.
func (g *gate) decides() string {
	g.t.Helper()
	now := g.app.now.Load()
	return now.plan.policy.Decide(g.t.Context(), policyQuery(somebody())).Outcome.String()
}

func somebody() *session.Identity {
	return &session.Identity{Credential: session.Cookie, Issuer: "x", Subject: "y", Person: true, Listed: true}
}

func (g *gate) wantsDecision(when, want string) {
	g.t.Helper()
	if got := g.decides(); got != want {
		g.t.Errorf("%s the policy says %s, want %s", when, got, want)
	}
}

func TestABundleIsFetchedBeforeAnybodyIsServed(t *testing.T) {
	g, _ := withShelf(t)
	g.open(Options{})
	defer g.app.Close()
	g.wantsDecision("with the bundle", "allow")
	if w := g.app.Summary().Warnings; strings.Contains(fmt.Sprint(w), "not fetched") {
		t.Errorf("it is warned of a bundle that is there: %q", w)
	}
}

func TestCheckTellsOfABundleItDidNotFetch(t *testing.T) {
	g, s := withShelf(t)
	plan, err := Load(g.path())
	if err != nil {
		t.Fatal(err)
	}
	if w := fmt.Sprint(plan.Summary().Warnings); !strings.Contains(w, "the bundle "+s.URL+"/b.tar.gz was not fetched") {
		t.Errorf("warnings = %q, want one of the bundle", w)
	}
}

func TestCheckUsesTheBundleThatServeKept(t *testing.T) {
	g, s := withShelf(t)
	g.open(Options{})
	if err := g.app.Close(); err != nil {
		t.Fatal(err)
	}
	s.put(nil)
	plan, err := Load(g.path())
	if err != nil {
		t.Fatal(err)
	}
	if w := fmt.Sprint(plan.Summary().Warnings); strings.Contains(w, "not fetched") {
		t.Errorf("it is warned of a bundle that is on disk: %s", w)
	}
	// The rules have moved on, and the server's bundle may have as well.
	g.configure(strings.Replace(g.bundled(s), "orders.allow", "orders.permit", 1))
	plan, err = Load(g.path())
	if err != nil {
		t.Fatalf("an old copy on disk makes the file wrong: %v", err)
	}
	if w := fmt.Sprint(plan.Summary().Warnings); !strings.Contains(w, "not fetched") {
		t.Errorf("warnings = %q, want one of the bundle", w)
	}
	s.put(pack(t, other))
	g.open(Options{})
	defer g.app.Close()
	g.wantsDecision("with the server's bundle", "allow")
}

func TestWithoutItsBundleNothingStarts(t *testing.T) {
	g, s := withShelf(t)
	s.put(nil)
	plan, err := Load(g.path())
	if err != nil {
		t.Fatal(err)
	}
	a, err := Open(t.Context(), plan, Options{Log: discard()})
	if err == nil || !strings.Contains(err.Error(), "b.tar.gz") {
		t.Fatalf("Open() = %v, %v, want an error that names the bundle", a, err)
	}
	s.put(pack(t, allows))
	g.open(Options{})
	if err := g.app.Close(); err != nil {
		t.Fatal(err)
	}
	// Now one is kept.
	s.put(nil)
	g.open(Options{})
	defer g.app.Close()
	g.wantsDecision("from the copy on disk", "allow")
}

func TestANewerBundleTakesEffect(t *testing.T) {
	g, s := withShelf(t)
	g.open(Options{NoWatch: true})
	g.run()
	s.put(pack(t, denies))
	g.logs.next(t, reloaded)
	g.wantsDecision("with the newer bundle", "deny")
	s.put(pack(t, other))
	g.logs.next(t, "does not fit")
	s.put([]byte("no bundle"))
	g.logs.next(t, "bundle not taken")
	g.wantsDecision("after two bad ones", "deny")
	s.put(pack(t, allows))
	g.logs.next(t, reloaded)
	g.wantsDecision("with a good one", "allow")
}

func TestABrokenFileDoesNotKeepNewerBundlesAway(t *testing.T) {
	g, s := withShelf(t)
	g.open(Options{NoWatch: true})
	g.run()
	g.configure("routes: [}\n")
	s.put(pack(t, denies))
	g.logs.next(t, refused)
	g.logs.next(t, reloaded)
	g.wantsDecision("with a broken file and a newer bundle", "deny")
}

// TestRulesAndBundleMayChangeTogether changes the name of a rule in both, one
// after the other: neither fits the other's old form.
func TestRulesAndBundleMayChangeTogether(t *testing.T) {
	g, s := withShelf(t)
	g.open(Options{NoWatch: true})
	g.run()
	g.configure(strings.Replace(g.bundled(s), "orders.allow", "orders.permit", 1))
	g.app.Reload()
	g.logs.next(t, refused)
	g.wantsDecision("while the bundle has the old name", "allow")
	s.put(pack(t, other))
	g.logs.next(t, reloaded)
	g.wantsDecision("when both have the new name", "allow")
}

func TestABundleThatIsAFileIsReadAgain(t *testing.T) {
	g := placeGate(t)
	g.file("b.tar.gz", string(pack(t, allows)))
	g.configure("routes: [{ name: page, match: { path: /page }, allow: { opa: { rule: data.orders.allow } }, upstream: a }]\n" +
		"policy: { custom: [{ bundle: b.tar.gz }] }\n")
	g.open(Options{})
	g.run()
	g.wantsDecision("at the start", "allow")
	g.file("b.tar.gz", string(pack(t, denies)))
	g.logs.next(t, reloaded)
	g.wantsDecision("after a change", "deny")
	g.remove("b.tar.gz")
	g.app.Reload()
	g.logs.next(t, "bundle not taken")
	g.wantsDecision("after it was deleted", "deny")
}

// TestANewerBundleBringsNothingOfARefusedReload changes routes and files of
// operators in one go, with a mistake in the routes: the old routes were never
// meant to be asked beside the new files.
func TestANewerBundleBringsNothingOfARefusedReload(t *testing.T) {
	const files = "policy: { custom: [orders.rego, { bundle: \"URL\", ca: ca.pem, every: 1s }], data: { open: open.json }, shadow: shadow.yaml }\n"
	const asks = "allow: { opa: { rule: data.orders.allow } }"
	const byData = "package orders\n\nallow if data.open.all\n"
	for name, change := range map[string]map[string]string{
		"other Rego":  {"orders.rego": allows, "shadow.rego": allows},
		"other data":  {"open.json": `{"all": true}`},
		"broken Rego": {"orders.rego": "package orders\n\nallow if {\n", "shadow.rego": "package"},
		"no files":    {"orders.rego": "", "shadow.rego": "", "open.json": ""},
		"another CA":  {"ca.pem": "nobody\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShelf(t, "package extra\n\nx := 1\n")
			g := placeGate(t)
			_ = g.bundled(s)
			rest := "routes: [{ name: page, match: { path: /page }, " + asks + ", upstream: a }]\n" + strings.Replace(files, "URL", s.URL+"/b.tar.gz", 1)
			g.file("shadow.yaml", g.head+strings.NewReplacer("orders.rego", "shadow.rego", ", shadow: shadow.yaml", "").Replace(rest))
			g.file("orders.rego", byData)
			g.file("shadow.rego", byData)
			g.file("open.json", `{"all": false}`)
			g.configure(rest)
			g.open(Options{NoWatch: true})
			g.run()
			for file, text := range change {
				if text == "" {
					g.remove(file)
					continue
				}
				g.file(file, text)
			}
			g.configure(strings.Replace(rest, asks+", upstream: a", "allow: { all_of: [{ groups: [admins] }, { opa: { rule: data.orders.allow } }] }, upstream: nope", 1))
			g.app.Reload()
			g.logs.next(t, refused)
			before := g.app.now.Load().plan
			s.put(pack(t, "package extra\n\nx := 2\n"))
			g.logs.next(t, reloaded)
			g.wantsDecision("after a refused reload and a newer bundle", "deny")
			now := g.app.now.Load().plan
			if got := now.shadow.policy.Decide(t.Context(), policyQuery(somebody())).Outcome.String(); got != "deny" {
				t.Errorf("its shadow says %s, want deny", got)
			}
			if now.shadow.policy == before.shadow.policy || len(now.policy.Missing()) > 0 {
				t.Errorf("the newer bundle is missing (%v), or not in the shadow", now.policy.Missing())
			}
		})
	}
}
