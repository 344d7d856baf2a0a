package principal

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/policy"
	"gatehouse/proxy/identity"
	"gatehouse/session"
)

func never(*session.Identity) bool { return false }

func moment(now time.Time) Moment { return Moment{Now: now} }

func alice(now time.Time) *session.Identity {
	return &session.Identity{
		Credential: session.Bearer, Issuer: "https://login.test", Subject: "alice", Username: "alice", Expires: now.Add(time.Hour),
		Claims: map[string]any{"team": "blue", "roles": []any{"a", "b"}},
	}
}

func TestOnlyTheWholeCredentialOfTheScopeIsFound(t *testing.T) {
	c, now := New(1<<20, never), time.Now()
	one, other := c.Scope("bearer one"), c.Scope("bearer other")
	if one == other || c.Scope("bearer one") != one {
		t.Fatal("scopes are not told apart by their names")
	}
	e := c.Keep(one.Key("header.payload.signature"), moment(now), alice(now), nil)
	if got := c.Find(Bearer, one.Key("header.payload.signature"), moment(now)); got != e || got.Identity.Subject != "alice" {
		t.Errorf("found %v, want what was kept", got)
	}
	for _, text := range []string{"", "header.payload.signatur", "header.payload.signaturf", "header.payload.signature ", "Header.payload.signature"} {
		if c.Find(Bearer, one.Key(text), moment(now)) != nil {
			t.Errorf("%q was found", text)
		}
	}
	if c.Find(Bearer, other.Key("header.payload.signature"), moment(now)) != nil {
		t.Error("found in another scope")
	}
	if s := c.Stats(); s.Hits[Bearer] != 1 || s.Misses[Bearer] != 6 || s.Hits[Session]+s.Misses[Session] != 0 || s.Entries != 1 {
		t.Errorf("counted %+v", s)
	}
}

func TestEntriesEnd(t *testing.T) {
	now := time.Now()
	short, long := alice(now), alice(now)
	short.Expires = now.Add(time.Minute)
	for _, c := range []struct {
		name  string
		id    *session.Identity
		at    Moment
		found bool
	}{
		{"at once", short, moment(now), true},
		{"before the credential ends", short, moment(now.Add(time.Minute - 1)), true},
		{"when the credential ends", short, moment(now.Add(time.Minute)), false},
		{"before its life ends", long, moment(now.Add(Life - 1)), true},
		{"when its life ends", long, moment(now.Add(Life)), false},
		{"when the clock was set back", long, moment(now.Add(-time.Minute)), false},
		{"with other keys", long, Moment{Now: now, Keys: 1}, false},
	} {
		cache := New(1<<20, never)
		k := cache.Scope("bearer").Key("token")
		cache.Keep(k, moment(now), c.id, nil)
		if got := cache.Find(Bearer, k, c.at) != nil; got != c.found {
			t.Errorf("%s: found %t, want %t", c.name, got, c.found)
		}
		if !c.found && cache.Stats().Entries != 0 {
			t.Errorf("%s: it is kept", c.name)
		}
	}
}

func TestWhatHasEndedIsNotKept(t *testing.T) {
	c, now := New(1<<20, never), time.Now()
	id := alice(now)
	id.Expires = now
	if e := c.Keep(c.Scope("bearer").Key("token"), moment(now), id, nil); e.Identity != id || c.Stats().Entries != 0 {
		t.Error("a credential that has ended is kept")
	}
}

// A revocation is looked at once; what it does not name stays.
func TestRevocationsAreLookedAtOnce(t *testing.T) {
	asked, revoked := 0, ""
	c := New(1<<20, func(id *session.Identity) bool { asked++; return id.Subject == revoked })
	now := time.Now()
	k := c.Scope("bearer").Key("token")
	c.Keep(k, moment(now), alice(now), nil)
	revoked = "bob"
	for range 3 {
		if c.Find(Bearer, k, Moment{Now: now, Revocations: 1}) == nil {
			t.Fatal("somebody else's revocation ended it")
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times about one change, want once", asked)
	}
	revoked = "alice"
	if c.Find(Bearer, k, Moment{Now: now, Revocations: 2}) != nil || c.Stats().Entries != 0 {
		t.Error("a revoked credential is remembered")
	}
}

// What was verified before a change is looked at after it, although it is kept
// later.
func TestAChangeWhileVerifyingIsNoticed(t *testing.T) {
	var generation atomic.Uint64
	c := New(1<<20, func(*session.Identity) bool { return generation.Load() > 0 })
	now := time.Now()
	k := c.Scope("bearer").Key("token")
	before := Moment{Now: now, Revocations: generation.Load()}
	generation.Add(1) // revoked while the signature is checked
	c.Keep(k, before, alice(now), nil)
	if c.Find(Bearer, k, Moment{Now: now, Revocations: generation.Load()}) != nil {
		t.Error("a credential that was revoked while it was verified is remembered")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	const limit = 4 << 20
	c, now := New(limit, never), time.Now()
	scope := c.Scope("bearer")
	for i := range 20_000 {
		k := scope.Key(fmt.Sprint("token ", i))
		id := alice(now)
		id.Name = strings.Repeat("n", i%2000)
		c.Keep(k, moment(now), id, nil)
		if c.Find(Bearer, k, moment(now)) == nil {
			t.Fatalf("entry %d is forgotten at once", i)
		}
		if i%1000 == 0 {
			if s := c.Stats(); s.Bytes > limit {
				t.Fatalf("%d bytes after %d entries, want at most %d", s.Bytes, i, limit)
			}
		}
	}
	s := c.Stats()
	if gone := s.Evictions[Bearer]; gone == 0 || s.Entries == 0 || s.Entries+int(gone) != 20_000 {
		t.Errorf("%d entries and %d evictions, want 20,000 together", s.Entries, gone)
	}
}

// What is worked out for entries later counts too, and what is too large to be
// counted is not kept.
func TestMemoryIsBoundedByWhatIsWorkedOutLater(t *testing.T) {
	const limit = 1 << 20
	c, now := New(limit, never), time.Now()
	scope := c.Scope("bearer")
	headers, err := identity.Preset("default")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := headers.Compile(nil, "app")
	if err != nil {
		t.Fatal(err)
	}
	var entries []*Entry
	for i := range 400 {
		id := alice(now)
		id.Groups, id.Listed = []string{strings.Repeat("g", 4000)}, true
		entries = append(entries, c.Keep(scope.Key(fmt.Sprint("token ", i)), moment(now), id, nil))
	}
	for _, e := range entries {
		if _, err := e.Headers(plan, now); err != nil {
			t.Fatal(err)
		}
		if s := c.Stats(); s.Bytes > limit {
			t.Fatalf("%d bytes once headers are made, want at most %d", s.Bytes, limit)
		}
	}
	checkBooks(t, c)
	large := alice(now)
	var objects []any
	for range 700 {
		objects = append(objects, map[string]any{"a": "b"})
	}
	large.Claims = map[string]any{"objects": objects}
	k := scope.Key("large")
	if e := c.Keep(k, moment(now), large, nil); e.Identity != large || c.Find(Bearer, k, moment(now)) != nil {
		t.Error("an entry of hundreds of KiB is kept")
	}
}

// Who comes back again and again stays, however many come once.
func TestFrequentGuestsStay(t *testing.T) {
	c, now := New(1<<20, never), time.Now()
	scope := c.Scope("bearer")
	guest := scope.Key("guest")
	c.Keep(guest, moment(now), alice(now), nil)
	for i := range 10_000 {
		c.Keep(scope.Key(fmt.Sprint("once ", i)), moment(now), alice(now), nil)
		if c.Find(Bearer, guest, moment(now)) == nil {
			t.Fatalf("forgotten after %d others", i)
		}
	}
}

func TestEndedEntriesGoAlthoughThereIsRoom(t *testing.T) {
	c, now := New(1<<20, never), time.Now()
	scope := c.Scope("bearer")
	for i := range 100 {
		c.Keep(scope.Key(fmt.Sprint("early ", i)), moment(now), alice(now), nil)
	}
	later := now.Add(Life)
	for i := range 1000 {
		c.Keep(scope.Key(fmt.Sprint("late ", i%50)), moment(later), alice(later), nil)
	}
	if n := c.Stats().Entries; n > 50 {
		t.Errorf("%d entries, of which 50 have not ended", n)
	}
}

func TestDecisionsAreRemembered(t *testing.T) {
	c, now := New(1<<20, never), time.Now()
	e := c.Keep(c.Scope("bearer").Key("token"), moment(now), alice(now), nil)
	before := c.Stats().Bytes
	e.Decided(7, 3, now, policy.Decision{Outcome: policy.OutcomeAllow, Reason: policy.GroupOK})
	if d := e.Decision(7, 3, now); d == nil || d.Outcome != policy.OutcomeAllow || d.Reason != policy.GroupOK {
		t.Errorf("remembered %+v", d)
	}
	if c.Stats().Bytes <= before {
		t.Error("a decision costs nothing")
	}
	for name, d := range map[string]*policy.Decision{
		"another epoch": e.Decision(8, 3, now), "another route": e.Decision(7, 3+decisionSlots, now), "no route": e.Decision(7, 4, now),
		"later": e.Decision(7, 3, now.Add(decisionTTL)), "much earlier": e.Decision(7, 3, now.Add(-decisionTTL)),
	} {
		if d != nil {
			t.Errorf("%s: %+v", name, d)
		}
	}
	e.Decided(7, 3+decisionSlots, now, policy.Decision{Reason: policy.GroupMissing})
	if e.Decision(7, 3, now) != nil || e.Decision(7, 3+decisionSlots, now) == nil {
		t.Error("two routes of one slot are mixed up")
	}
	e.Decided(7, 1, now, policy.Decision{Reason: policy.OPAError, Err: fmt.Errorf("broken")})
	if e.Decision(7, 1, now) != nil {
		t.Error("an error is remembered")
	}
}

func TestHeadersAreRememberedForEachPlan(t *testing.T) {
	c, now := New(1<<20, never), time.Now()
	e := c.Keep(c.Scope("bearer").Key("token"), moment(now), alice(now), nil)
	var plans []*identity.Plan
	for range headerSlots + 1 {
		h, err := identity.Preset("default")
		if err != nil {
			t.Fatal(err)
		}
		plan, err := h.Compile(nil, "app")
		if err != nil {
			t.Fatal(err)
		}
		plans = append(plans, plan)
	}
	first, err := e.Headers(plans[0], now)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := e.Headers(plans[0], now); again != first {
		t.Error("made twice")
	}
	for range 3 {
		for _, plan := range plans {
			if told, err := e.Headers(plan, now); err != nil || !told.Of(plan) {
				t.Errorf("headers of another plan, %v", err)
			}
		}
	}
}

// Everything works without a cache.
func TestNothingIsRememberedWithoutACache(t *testing.T) {
	c, now := New(0, never), time.Now()
	if c != nil {
		t.Fatal("a cache of no bytes")
	}
	k := c.Scope("x").Key("token")
	e := c.Keep(k, moment(now), alice(now), nil)
	e.Decided(c.Epoch(), 0, now, policy.Decision{})
	if e != nil || c.Find(Bearer, k, moment(now)) != nil || e.Decision(0, 0, now) != nil || e.Who() != nil || c.Stats() != (Stats{}) {
		t.Error("something is remembered")
	}
	if !e.Rewrite(now) {
		t.Error("a cookie is not rewritten")
	}
}

func TestACookieIsRewrittenOnceInAWhile(t *testing.T) {
	c, now := New(1<<20, never), time.Now()
	e := c.Keep(c.Scope("session").Key("sealed"), moment(now), alice(now), &session.Session{})
	for _, at := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {time.Second, false}, {rewriteApart - 1, false}, {rewriteApart, true}, {rewriteApart + 1, false}} {
		if got := e.Rewrite(now.Add(at.after)); got != at.want {
			t.Errorf("after %v: %t, want %t", at.after, got, at.want)
		}
	}
}

// Many at once find, keep and work things out; run with the race detector.
func TestManyAtOnce(t *testing.T) {
	var generation atomic.Uint64
	c, now := New(64<<10, func(id *session.Identity) bool { return id.JTI == "5" }), time.Now()
	scope := c.Scope("bearer")
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 2000 {
				name := fmt.Sprint((i*7 + worker) % 200)
				k, at := scope.Key(name), Moment{Now: now, Revocations: generation.Load()}
				e := c.Find(Bearer, k, at)
				if e == nil {
					id := alice(now)
					id.JTI = name
					e = c.Keep(k, at, id, nil)
				}
				if e.Identity.JTI != name {
					t.Errorf("%s got the entry of %s", name, e.Identity.JTI)
				}
				e.Decided(1, i%20, now, policy.Decision{Outcome: policy.OutcomeAllow})
				e.Decision(1, i%20, now)
				if i%100 == 0 {
					generation.Add(1)
					c.Stats()
				}
			}
		})
	}
	all.Wait()
	checkBooks(t, c)
}

// What entries are said to take is about what they take: the bound is on bytes.
func TestCostIsAboutTheMemoryTaken(t *testing.T) {
	const people = 4000
	u, err := url.Parse("https://app.test")
	if err != nil {
		t.Fatal(err)
	}
	site, err := session.NewSite(u)
	if err != nil {
		t.Fatal(err)
	}
	key := session.CookieKey{Hash: []byte(strings.Repeat("h", 64)), Block: []byte(strings.Repeat("b", 32))}
	cookies, err := session.NewCookies(session.Config{Idle: time.Hour, Lifetime: 12 * time.Hour}, []session.CookieKey{key}, session.Options{})
	if err != nil {
		t.Fatal(err)
	}
	headers, err := identity.Preset("default")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := headers.Compile(nil, "app")
	if err != nil {
		t.Fatal(err)
	}
	requests := make([]*http.Request, people)
	for i := range requests {
		requests[i] = signedIn(t, cookies, site, fmt.Sprint("person-", i))
	}
	c, now := New(1<<30, never), time.Now()
	scope := c.Scope("session")
	before := live()
	for _, r := range requests {
		found, _ := cookies.Find(site, r)
		s, ok := cookies.Unseal(site, found)
		if !ok {
			t.Fatal("a cookie does not open")
		}
		e := c.Keep(scope.Key(found.Value), moment(now), s.Identity(), s)
		e.Decided(1, 0, now, policy.Decision{Outcome: policy.OutcomeAllow})
		if _, err := e.Headers(plan, now); err != nil {
			t.Fatal(err)
		}
	}
	taken, said := live()-before, c.Stats().Bytes
	runtime.KeepAlive(requests)
	t.Logf("%d bytes an entry, said to be %d", taken/people, said/people)
	if said < taken*2/3 || said > taken*3/2 {
		t.Errorf("%d entries take %d bytes, and are said to take %d", people, taken, said)
	}
}

// signedIn returns a request with the cookie of somebody.
func signedIn(t testing.TB, cookies *session.Cookies, site session.Site, name string) *http.Request {
	t.Helper()
	now := time.Now()
	sealed, err := cookies.Seal(site, &session.Session{
		ID: session.NewID(), Host: site.Host, Provider: "gatehouse", Issuer: "https://login.test", ClientID: "gatehouse",
		Subject: "0b7ad9a2-1c0f-4e11-9d5e-" + name, Username: name, Email: name + "@example.com", EmailVerified: true, Name: "Somebody",
		Groups: []string{"staff", "admins"}, Scopes: []string{"openid", "email"}, Created: now, Expires: now.Add(time.Hour),
		RefreshToken: strings.Repeat("r", 43), IssuerSID: session.NewID(), OriginJTI: session.NewID(),
		Claims: map[string]any{"cognito:username": name, "cognito:groups": []any{"staff", "admins"}, "locale": "en", "team": "blue"},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, cookie := range sealed {
		r.AddCookie(cookie)
	}
	return r
}

// live returns how many bytes are in use.
func live() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what a pool held goes with the second
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// checkBooks counts anew what the shards count as they go.
func checkBooks(t *testing.T, c *Cache) {
	t.Helper()
	for i := range c.shards {
		s := &c.shards[i]
		var sum int64
		for at, e := range s.ring {
			sum += e.cost
			if e.at != at || !e.kept || s.entries[e.key] != e {
				t.Errorf("entry %d of shard %d is out of place", at, i)
			}
		}
		if sum != s.bytes || len(s.ring) != len(s.entries) {
			t.Errorf("shard %d counts %d bytes and %d entries; there are %d and %d", i, s.bytes, len(s.entries), sum, len(s.ring))
		}
	}
}

func TestLookingUpAllocatesNothing(t *testing.T) {
	c, now := New(1<<20, never), time.Now()
	scope, token := c.Scope("bearer"), strings.Repeat("t", 963)
	e := c.Keep(scope.Key(token), moment(now), alice(now), nil)
	e.Decided(1, 1, now, policy.Decision{})
	if n := testing.AllocsPerRun(100, func() {
		e := c.Find(Bearer, scope.Key(token), moment(now))
		if e.Decision(1, 1, now) == nil {
			t.Error("nothing is remembered")
		}
	}); n > 0 {
		t.Errorf("a look-up allocates %v times", n)
	}
}

func BenchmarkFind(b *testing.B) {
	for _, entries := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprint(entries), func(b *testing.B) {
			c, now := New(512<<20, never), time.Now()
			scope := c.Scope("bearer")
			tokens := make([]string, entries)
			for i := range tokens {
				tokens[i] = fmt.Sprintf("%0963d", i)
				c.Keep(scope.Key(tokens[i]), moment(now), alice(now), nil)
			}
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				if c.Find(Bearer, scope.Key(tokens[i%entries]), moment(now)) == nil {
					b.Fatal("forgotten")
				}
				i += 7919
			}
		})
	}
}
