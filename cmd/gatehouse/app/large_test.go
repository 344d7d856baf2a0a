package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"gatehouse/proxy/identity"
)

// manyRoutes is a configuration of n routes with so many different conditions, to
// two upstreams.
func manyRoutes(n, conditions int) []byte {
	var b strings.Builder
	b.WriteString("public_url: http://app.localhost\nlisten: 127.0.0.1:0\nupstreams: { a: http://127.0.0.1:9, b: http://127.0.0.1:10 }\n" +
		"bearer: { issuers: [{ issuer: http://127.0.0.1:9, audiences: [x], groups_claim: groups }] }\nroutes:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - { name: r%d, match: { path: /s%d/**, methods: [GET] }, allow: { groups: [g%d, admins], users: [root] }, upstream: %s }\n",
			i, i, i%conditions, []string{"a", "b"}[i%2])
	}
	return []byte(b.String())
}

func compileMany(t *testing.T, n, conditions int) *Plan {
	t.Helper()
	p, err := Parse(filepath.Join(t.TempDir(), "gatehouse.yaml"), manyRoutes(n, conditions))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// memory returns how many bytes f takes in all, and how many of them live on.
func memory(f func() any) (all, live uint64) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	kept := f()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(kept)
	return after.TotalAlloc - before.TotalAlloc, max(after.HeapAlloc, before.HeapAlloc) - before.HeapAlloc
}

func TestCompilingGrowsLinearly(t *testing.T) {
	compileMany(t, 10, 10) // what is made once
	small, _ := memory(func() any { return compileMany(t, 1_000, 20) })
	large, live := memory(func() any { return compileMany(t, 4_000, 20) })
	if large > 5*small {
		t.Errorf("four times the routes take %d bytes, %.1f times those of a quarter; want at most five times", large, float64(large)/float64(small))
	}
	if each := live / 4_000; each > 5<<10 {
		t.Errorf("a plan keeps %d bytes a route, want at most 5 KiB: does it keep the text of its file?", each)
	}
}

func TestEqualConditionsCompileOnce(t *testing.T) {
	p := compileMany(t, 1_000, 20)
	allows, conditions := map[string]bool{}, 0
	for line := range strings.Lines(p.policy.Module()) {
		switch name, _, _ := strings.Cut(line, " "); {
		case strings.HasPrefix(name, "allow["):
			allows[name] = true
		case strings.HasPrefix(name, "groups_") || strings.HasPrefix(name, "groups"):
			conditions++
		}
	}
	if len(allows) != 20 || conditions > 20 {
		t.Errorf("1000 routes with 20 conditions give %d rules for routes and %d for groups, want 20 of each", len(allows), conditions)
	}
}

func TestRoutesShareHeadersOfTheirUpstream(t *testing.T) {
	text := string(manyRoutes(100, 5)) +
		"  - { name: own, match: { path: /own }, allow: signed-in, upstream: a, identity_headers: none }\n"
	p, err := Parse(filepath.Join(t.TempDir(), "gatehouse.yaml"), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	a, err := Open(context.Background(), p, Options{Log: slog.New(slog.NewTextHandler(io.Discard, nil)), NoWatch: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	headers := a.now.Load().Headers
	distinct := map[*identity.Plan]bool{}
	for _, h := range headers {
		distinct[h] = true
	}
	if len(headers) != 101 || len(distinct) != 3 {
		t.Errorf("%d routes have %d plans of headers, want 101 and 3: one for each upstream, and one of its own", len(headers), len(distinct))
	}
	if own := headers[100]; len(own.Names()) != 0 || len(headers[0].Names()) == 0 || headers[0] != headers[2] || headers[0] == headers[1] {
		t.Errorf("names: own %v, first %v; want none and the default's, shared by every second route", own.Names(), headers[0].Names())
	}
}

func TestSameIsAsFingerprintsAre(t *testing.T) {
	routes := func(text string) *Config {
		p, err := Parse(filepath.Join(t.TempDir(), "gatehouse.yaml"), []byte("public_url: http://app.localhost\nupstreams: { app: http://127.0.0.1:9 }\n"+
			"bearer: { issuers: [{ issuer: http://127.0.0.1:9, audiences: [x], groups_claim: groups }] }\nroutes: ["+text+"]\n"))
		if err != nil {
			t.Fatal(err)
		}
		return p.Config
	}
	texts := []string{
		"{ name: a, match: { path: /a }, allow: signed-in }",
		"{ allow: signed-in, match: { path: [/a] },    name: a }",
		"{ name: a, match: { path: /a }, allow: anyone }",
		"{ name: a, match: { path: /a, websocket: true }, allow: signed-in }",
		"{ name: a, match: { path: /a, websocket: false }, allow: signed-in }",
		"{ name: a, match: { path: /a }, allow: { groups: [x], users: [y] } }",
		"{ name: a, match: { path: /a }, allow: { users: [y], groups: [x] } }",
		"{ name: a, match: { path: /a }, allow: { users: [y, z], groups: [x] } }",
		"{ name: a, match: { path: /a }, allow: { claims: { b: 1, c: [d, true] } } }",
		"{ name: a, match: { path: /a }, allow: { claims: { c: [d, true], b: 1 } } }",
		"{ name: a, match: { path: /a }, allow: { claims: { c: [d, true], b: '1' } } }",
		"{ name: a, match: { path: /a }, allow: { ip: 10.0.0.0/8, not: { groups: x } }, require: { signed_in_within: 1h } }",
		"{ name: a, match: { path: /a }, allow: { ip: 10.0.0.0/8, not: { groups: x } }, require: { signed_in_within: 2h } }",
		"{ name: a, match: { path: /a }, allow: signed-in, identity_headers: none }",
	}
	alike := 0
	for i, x := range texts {
		for j, y := range texts {
			a, b := routes(x), routes(y)
			got, want := same(a.Routes, b.Routes), fingerprint(a.Routes) == fingerprint(b.Routes)
			if got != want {
				t.Errorf("same = %t, and the fingerprints say %t:\n%s\n%s", got, want, x, y)
			}
			if got && i != j {
				alike++
			}
		}
	}
	if alike != 6 {
		t.Errorf("%d pairs say the same, want 3 in both orders", alike)
	}
}
