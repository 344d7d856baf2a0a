package proxy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/proxy/principal"
	"gatehouse/session"
)

const memoryRoutes = `
  - { name: admin, match: { path: "/admin/**" }, allow: { groups: [admins] } }
  - { name: api, match: { path: "/api/**" }, allow: { scopes: [orders.read] } }
  - { name: own, match: { path: "/own/{who}/**" }, allow: { users: ["{who}"] } }
  - { name: reads, match: { path: "/reads/**" }, allow: { method: [GET], groups: [staff] } }
  - { name: others, match: { path: "/others/**" }, allow: { not: { groups: [admins] } } }
  - { name: recent, match: { path: "/recent/**" }, allow: signed-in, require: { signed_in_within: 10m } }
  - { name: rest, match: { path: "/**" }, allow: signed-in }
`

// Answers with memory and without are the same, whatever is revoked, rotated,
// replaced or outlived between two requests, and in whatever order.
func TestMemoryChangesNoVerdict(t *testing.T) {
	hits := uint64(0)
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			m := newMemoryModel(t, rand.New(rand.NewPCG(seed, 1)))
			ctx, stop := context.WithCancel(t.Context())
			var feed sync.WaitGroup
			feed.Go(func() { m.feed.Run(ctx) })
			for range 600 {
				m.step()
			}
			stop()
			feed.Wait()
			s := m.world.principals.Stats()
			hits += s.Hits[principal.Session] + s.Hits[principal.Bearer]
		})
	}
	if hits < 2000 {
		t.Errorf("%d hits: the memory was hardly asked", hits)
	}
}

// memoryModel asks two gates that differ only in their memory.
type memoryModel struct {
	*world
	rand        *rand.Rand
	cfgs        []*Config
	with, sans  *Gate
	credentials []string // header lines
	people      []*session.Session
	tokens      []string
}

func newMemoryModel(t *testing.T, r *rand.Rand) *memoryModel {
	w := &world{t: t, app: &application{url: "http://127.0.0.1:1"}, tokens: &fakeTokens{}}
	w.public = "http://localhost"
	cfg := w.parse(memoryRoutes)
	var err error
	if w.site, err = session.NewSite(cfg.PublicURL[0]); err != nil {
		t.Fatal(err)
	}
	w.openSessions()
	m := &memoryModel{world: w, rand: r, cfgs: []*Config{cfg, w.parse(allowing(1, "{ groups: [staff] }")), w.parse(allowing(2, "signed-in"))}}
	m.swap()
	for range 4 {
		m.signUp()
	}
	m.tokens = []string{"scope:orders.read", "scope:other", "alice", "nobody"}
	return m
}

// swap puts new gates in place.
func (m *memoryModel) swap() {
	cfg := m.cfgs[m.rand.IntN(len(m.cfgs))]
	m.setup.forgetful = false
	m.with = m.gate(cfg)
	m.setup.forgetful = true
	m.sans = m.gate(cfg)
}

// signUp makes a session of somebody, and a cookie of it.
func (m *memoryModel) signUp() {
	groups := [][]string{{"admins"}, {"staff"}, {}, {"admins", "staff"}}[m.rand.IntN(4)]
	name := fmt.Sprint("user", m.rand.IntN(3))
	m.credentials = append(m.credentials, "Cookie: "+m.sessionWith(name, func(s *session.Session) {
		s.Groups, s.AuthTime = groups, time.Now().Add(-time.Duration(m.rand.IntN(600))*time.Second)
		s.Expires = time.Now().Add(time.Duration(1+m.rand.IntN(3*3600)) * time.Second)
		m.people = append(m.people, s)
	}))
}

// step does one thing, and then asks.
func (m *memoryModel) step() {
	switch m.rand.IntN(40) {
	case 0:
		m.swap()
	case 1:
		m.signUp()
	case 2:
		m.revoke()
	case 3:
		scope := fmt.Sprint("orders.", []string{"read", "write"}[m.rand.IntN(2)])
		m.world.tokens.believe(func(id *session.Identity) { id.Scopes = []string{scope}; id.Listed = true })
	case 4, 6:
		time.Sleep(time.Duration(m.rand.IntN(400)) * time.Second)
	case 5:
		m.stale.Store(m.rand.IntN(3) == 0)
	}
	m.compare()
}

func (m *memoryModel) revoke() {
	who := m.people[m.rand.IntN(len(m.people))]
	r := session.Revocation{Kind: session.RevokeSID, Value: who.ID, Expires: time.Now().Add(24 * time.Hour)}
	switch m.rand.IntN(3) {
	case 0:
		r.Kind, r.Issuer, r.Value, r.NotBefore = session.RevokeSubject, who.Issuer, who.Subject, time.Now()
	case 1:
		r.Kind, r.Issuer, r.Value = session.RevokeJTI, "https://issuer.test", m.tokens[m.rand.IntN(len(m.tokens))]
	}
	if err := m.feed.Revoke(context.Background(), r); err != nil {
		m.t.Fatal(err)
	}
}

func (m *memoryModel) compare() {
	method := []string{"GET", "POST"}[m.rand.IntN(2)]
	path := []string{"/admin/x", "/api/x", "/own/user1/x", "/own/user2/x", "/reads/x", "/others/x", "/recent/x", "/x"}[m.rand.IntN(8)]
	line := m.credentials[m.rand.IntN(len(m.credentials))]
	if m.rand.IntN(3) == 0 {
		line = "Authorization: Bearer " + m.tokens[m.rand.IntN(len(m.tokens))]
	}
	if m.rand.IntN(10) == 0 {
		line = line[:len(line)-1] + string("ABC"[m.rand.IntN(3)]) // a byte is another
	}
	with, sans := m.verdict(m.with, method, path, line), m.verdict(m.sans, method, path, line)
	if with != sans {
		m.t.Fatalf("%s %s with %.60s\nwith memory:    %s\nwithout memory: %s", method, path, line, with, sans)
	}
}

// verdict is all of a verdict that does not depend on chance.
func (m *memoryModel) verdict(g *Gate, method, path, line string) string {
	r := m.request(method, path)
	name, value := line[:len("Cookie")], line[len("Cookie: "):]
	if line[0] == 'A' {
		name, value = "Authorization", line[len("Authorization: "):]
	}
	r.Header = http.Header{name: {value}}
	v := g.Check(r)
	who, cleared := "nobody", 0
	if v.Identity != nil {
		who = fmt.Sprint(v.Identity.Subject, v.Identity.Groups, v.Identity.Scopes, v.Identity.SID)
	}
	for _, c := range v.Cookies {
		if c.MaxAge < 0 {
			cleared++
		}
	}
	return fmt.Sprint(v.Action, v.Status, v.Reason, v.Challenge, v.Route, v.Rule, who, cleared)
}

// What a request costs the gate when its credential, route and decision are known.
func TestAKnownCredentialAllocatesNothing(t *testing.T) {
	w := newWorld(t, memoryRoutes)
	g := w.handler.gate()
	for name, line := range map[string]string{
		"session": "Cookie " + w.session("alice", "admins"), "bearer": "Authorization Bearer scope:orders.read",
	} {
		path := map[string]string{"session": "/admin/x", "bearer": "/api/x"}[name]
		r := w.request("GET", path)
		header, value, _ := strings.Cut(line, " ")
		r.Header[header] = []string{value}
		ask := func() {
			var v Verdict
			if !g.locate(r, &v) {
				t.Fatal("not located")
			}
			if g.decide(nil, r, &v); v.Action != Forward {
				t.Fatalf("%s: %v %s", name, v.Status, v.Reason)
			}
		}
		ask()
		if n := testing.AllocsPerRun(100, ask); n > 1 {
			t.Errorf("%s: authenticate, route and decide allocate %v times, want once at most", name, n)
		}
	}
}

func BenchmarkGate(b *testing.B) {
	for _, forgetful := range []string{"", "forgetful"} {
		w := newWorldWith(b, memoryRoutes, setup{forgetful: forgetful != ""})
		g := w.handler.gate()
		for name, line := range map[string]string{
			"session": "Cookie " + w.session("alice", "admins"), "bearer": "Authorization Bearer scope:orders.read",
		} {
			r := w.request("GET", map[string]string{"session": "/admin/x", "bearer": "/api/x"}[name])
			header, value, _ := strings.Cut(line, " ")
			r.Header[header] = []string{value}
			b.Run(name+forgetful, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					var v Verdict
					if !g.locate(r, &v) {
						b.Fatal("not located")
					}
					if g.decide(nil, r, &v); v.Action != Forward {
						b.Fatal(v.Reason)
					}
				}
			})
		}
	}
}
