package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/session"
)

// remembering compiles text, beside modules, with and without memory.
func remembering(t testing.TB, text string, modules ...string) (with, without *Policy) {
	t.Helper()
	without = compile(t, text, modules...)
	with = compile(t, text, modules...)
	without.memory = nil
	with.memory = newMemory()
	return with, without
}

func wantStats(t testing.TB, p *Policy, hits, misses uint64) {
	t.Helper()
	if s := p.MemoryStats(); s.Hits != hits || s.Misses != misses {
		t.Errorf("MemoryStats = %+v, want %d hits and %d misses", s, hits, misses)
	}
}

const staffOnly = "routes: [{name: it, allow: {groups: [staff]}}, {name: same, allow: {groups: [staff]}}]\n"

func TestDecisionsAreRemembered(t *testing.T) {
	p, _ := remembering(t, staffOnly)
	for range 3 {
		allows(t, p, person(), GroupOK)
		denies(t, p, person(inGroups("guests")), GroupMissing)
	}
	wantStats(t, p, 4, 2)
	if n := p.MemoryStats().Entries; n != 2 {
		t.Errorf("Entries = %d, want 2: one allowed, one denied", n)
	}
	// What the rule does not read makes no difference, what reasons tell does.
	allows(t, p, person(func(id *session.Identity) { id.Username, id.Claims = "eve", nil }), GroupOK)
	wantStats(t, p, 5, 2)
	denies(t, p, person(func(id *session.Identity) { id.Listed = false }), BearerNotListed)
	denies(t, p, person(func(id *session.Identity) { id.Person = false }), PersonRequired)
	wantStats(t, p, 5, 4)
}

func TestMemoryCanBeSwitchedOff(t *testing.T) {
	p := compile(t, staffOnly+"policy: {memory: false}\n")
	allows(t, p, person(), GroupOK)
	allows(t, p, person(), GroupOK)
	if s := p.MemoryStats(); s != (MemoryStats{}) {
		t.Errorf("MemoryStats = %+v, want none", s)
	}
	if compile(t, staffOnly).memory == nil {
		t.Error("memory is off where the key is absent")
	}
}

func TestRoutesAreKeptApart(t *testing.T) {
	p, _ := remembering(t, staffOnly)
	for route := range 2 {
		d := p.Decide(context.Background(), Query{Route: route, Identity: person()})
		if d.Rule != p.routes[route].pos {
			t.Errorf("Decide of route %d tells of %v, want %v", route, d.Rule, p.routes[route].pos)
		}
	}
	wantStats(t, p, 0, 2)
}

func TestConstantsAreNotRemembered(t *testing.T) {
	p, _ := remembering(t, "routes: [{name: it, allow: anyone}, {name: none, allow: nobody}]\n")
	allows(t, p, person(), RouteOpen)
	denies(t, one(t, "signed-in"), nil, SignInRequired)
	wantStats(t, p, 0, 0)
}

func TestMemoryEndsAfterFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, _ := remembering(t, staffOnly)
		allows(t, p, person(), GroupOK)
		time.Sleep(memoryTTL - time.Nanosecond)
		allows(t, p, person(), GroupOK)
		wantStats(t, p, 1, 1)
		time.Sleep(time.Nanosecond)
		allows(t, p, person(), GroupOK)
		wantStats(t, p, 1, 2)
		allows(t, p, person(), GroupOK)
		wantStats(t, p, 2, 2)
	})
}

func TestMemoryGoesByTheTimeOfTheQuery(t *testing.T) {
	p, _ := remembering(t, staffOnly)
	at := time.Unix(1700000000, 0)
	for _, c := range []struct {
		after time.Duration
		hits  uint64
	}{{0, 0}, {4 * time.Second, 1}, {-4 * time.Second, 2}, {5 * time.Second, 2}, {-5 * time.Second, 2}, {-time.Hour, 2}} {
		p.Decide(context.Background(), Query{Identity: person(), Time: at.Add(c.after)})
		if s := p.MemoryStats(); s.Hits != c.hits {
			t.Errorf("%s after the first: %d hits, want %d", c.after, s.Hits, c.hits)
		}
	}
}

func TestErrorsAreNotRemembered(t *testing.T) {
	p, _ := remembering(t, askOperator, "rego/orders.rego", "package orders\n\nallow if to_number(input.user.username) == 1\n")
	for range 3 {
		denies(t, p, person(), OPAError)
	}
	wantStats(t, p, 0, 3)
	// An input that is too big is an error as well, and its key is not kept.
	big := person(func(id *session.Identity) { id.Username = string(make([]byte, maxInput+1)) })
	denies(t, p, big, OPAError)
	if s := p.MemoryStats(); s.Entries != 0 {
		t.Errorf("MemoryStats = %+v, want no entries", s)
	}
}

func TestWhatIsTooLongIsNotRemembered(t *testing.T) {
	p, _ := remembering(t, staffOnly)
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprint("group", i)
	}
	denies(t, p, person(inGroups(many...)), GroupMissing)
	denies(t, p, person(inGroups(many...)), GroupMissing)
	wantStats(t, p, 0, 0)
	p, _ = remembering(t, "routes: [{name: it, allow: {claims: {tenant: acme}}}]\n")
	nested := person(func(id *session.Identity) { id.Claims = map[string]any{"tenant": map[string]any{"a": 1}} })
	denies(t, p, nested, ClaimMismatch)
	wantStats(t, p, 0, 0)
}

func TestMemoryIsBounded(t *testing.T) {
	m := newMemory()
	at := time.Unix(1700000000, 0)
	put := func(key string) {
		s := &m.shards[len(key)%memoryShards]
		s.keep(key, recollection{Decision{Outcome: OutcomeAllow}, at})
		if _, ok := s.find([]byte(key), at); !ok {
			t.Fatal("what was just kept is not found")
		}
	}
	for i := range 4 * memoryEntries {
		put(fmt.Sprintf("%0*d", 8+i%memoryShards, i))
	}
	p := &Policy{memory: m}
	if n := p.MemoryStats().Entries; n > memoryEntries || n < memoryEntries/4 {
		t.Errorf("Entries = %d, want at most %d and not few", n, memoryEntries)
	}
	for i := range 4 * memoryBytes / memoryKey {
		put(fmt.Sprintf("%0*d", memoryKey-i%memoryShards, i))
	}
	bytes := 0
	for i := range m.shards {
		for _, generation := range []map[string]recollection{m.shards[i].young, m.shards[i].old} {
			for key := range generation {
				bytes += len(key)
			}
		}
	}
	if bytes > memoryBytes || bytes < memoryBytes/4 {
		t.Errorf("keys of %d bytes are kept, want at most %d and not few", bytes, memoryBytes)
	}
}

func TestRememberedDecisionsDoNotAllocate(t *testing.T) {
	p, _ := remembering(t, "routes: [{name: it, allow: {any_of: [{groups: [admins]}, {scopes: [a]}, {claims: {department: sales}}, {users: [x]}, {email_domains: [example.com]}]}}]\n")
	ctx, q := context.Background(), Query{Identity: person()}
	q.Identity.Claims["roles"] = []any{"a", json.Number("1"), true}
	p.Decide(ctx, q)
	if n := testing.AllocsPerRun(100, func() { p.Decide(ctx, q) }); n != 0 {
		t.Errorf("a remembered decision makes %v allocations, want none", n)
	}
	if p.MemoryStats().Hits < 100 {
		t.Errorf("MemoryStats = %+v, want hits", p.MemoryStats())
	}
}

func TestMemoryIsSafeForManyAtOnce(t *testing.T) {
	p, _ := remembering(t, "routes: [{name: it, allow: {opa: {rule: data.orders.allow}}}]\npolicy: {custom: [rego]}\n",
		"rego/orders.rego", "package orders\n\nallow if input.user.username in {\"u1\", \"u3\"}\n")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 200 {
				name := fmt.Sprint("u", i%5)
				d := p.Decide(context.Background(), Query{Identity: person(func(id *session.Identity) { id.Username = name })})
				if (d.Outcome == OutcomeAllow) != (i%5 == 1 || i%5 == 3) {
					t.Errorf("Decide(%s) = %s %v", name, d.Outcome, d.Err)
				}
				p.MemoryStats()
			}
		})
	}
	all.Wait()
	if s := p.MemoryStats(); s.Hits+s.Misses != 1600 || s.Entries != 5 {
		t.Errorf("MemoryStats = %+v, want 1600 decisions on 5 people", s)
	}
}

// varied are queries that differ in what no listed leaf tells.
func varied() []Query {
	var all []Query
	for i := range 8 {
		q := Query{Identity: person(), Method: "GET", Host: "app.example.com", Path: "/x", Time: time.Unix(1700000000, int64(i))}
		q.Path += []string{"", "y"}[i%2]
		q.RawQuery = []string{"x", "a"}[i/2%2]
		q.ClientIP = netip.MustParseAddr([]string{"10.1.2.3", "203.0.113.9"}[i/4%2])
		all = append(all, q, q)
	}
	return all
}

func TestBreakersAreEvaluatedEachTime(t *testing.T) {
	byChance := map[string]bool{"chance": true, "the clock": true, "the clock by a function": true}
	for name, module := range breakers {
		with, without := remembering(t, askOperator, "rego/orders.rego", "package orders\n\n"+module+"\n")
		for _, q := range varied() {
			got, want := with.Decide(context.Background(), q), without.Decide(context.Background(), q)
			if !byChance[name] && (got.Outcome != want.Outcome || got.Reason != want.Reason) {
				t.Errorf("%s: Decide = %s %s, without memory %s %s", name, got.Outcome, got.Reason, want.Outcome, want.Reason)
			}
		}
		if s := with.MemoryStats(); s != (MemoryStats{}) {
			t.Errorf("%s: MemoryStats = %+v, want nothing remembered", name, s)
		}
	}
}

func TestOperatorsRulesAreRememberedByWhatTheyRead(t *testing.T) {
	p, _ := remembering(t, askOperator, "rego/orders.rego", "package orders\n\nallow if \"staff\" in input.user.groups\n")
	for range 2 {
		allows(t, p, person(), OPAAllow)
		allows(t, p, person(func(id *session.Identity) { id.Username = "eve" }), OPAAllow)
		denies(t, p, person(inGroups("guests")), OPADeny)
		denies(t, p, person(byToken()), OPADeny)
	}
	wantStats(t, p, 5, 3)
}

// A rule that is remembered is cut off like any other.
func TestASlowRuleIsCutOffThoughItsReadsAreKnown(t *testing.T) {
	p, _ := remembering(t, askOperator, "rego/orders.rego", `package orders

allow if {
	input.user.username
	some a in numbers.range(1, 100000)
	some b in numbers.range(1, 100000)
	a + b < 0
}
`)
	if !p.routes[0].memorable() {
		t.Fatal("the rule is not remembered: this test sees nothing")
	}
	p.timeout = timeout
	denies(t, p, person(), OPAError)
	if d := decide(t, p, person()); d.Err == nil || errors.Is(d.Err, errTooBig) {
		t.Errorf("Err = %v, want that it took too long", d.Err)
	}
	if n := p.MemoryStats().Entries; n != 0 {
		t.Errorf("Entries = %d, want none", n)
	}
}
