package whatif_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/policy"
	"gatehouse/policy/declog"
	"gatehouse/proxy/whatif"
	"gatehouse/session"
)

var replayStart = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// recorded is one event of a log, as one line of JSON.
func recorded(t testing.TB, q policy.Query, then whatif.Answered, edit ...func(*declog.Event)) string {
	t.Helper()
	ev := declog.Event{
		Labels: map[string]string{"app": "gatehouse"}, DecisionID: "0", Path: "gatehouse/routes/allow", Input: policy.Record(q),
		Result:    declog.Result{Allow: then.Outcome == "allow", Outcome: then.Outcome, Reason: then.Reason, Route: then.Route},
		Timestamp: q.Time,
	}
	for _, f := range edit {
		f(&ev)
	}
	line, err := json.Marshal(ev)
	if err != nil {
		t.Fatal(err)
	}
	return string(line)
}

func replay(t testing.TB, s *whatif.Suite, log io.Reader) *whatif.ReplayReport {
	t.Helper()
	report, err := whatif.Replay(t.Context(), log, whatif.Candidate{Gate: s.Gate, Policy: s.Policy})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

const replayConfig = `public_url: https://app.example.com
trusted_proxies: [127.0.0.1]
upstreams: { app: http://127.0.0.1:9 }
bearer: { issuers: [{ issuer: https://tokens.example.org, audiences: [app] }] }
routes:
  - { name: admin, match: { path: /admin/** }, allow: { groups: [admins, ops] } }
  - { name: orders, match: { path: /api/orders/** }, allow: { scopes: [orders.write] }, on_unauthenticated: deny }
  - { name: claims, match: { path: /claims/** }, allow: { claims: { level: 3 } } }
  - { name: staff, match: { path: /rest/staff/** }, allow: { groups: [staff] } }
  - { name: rest, match: { path: /** }, allow: signed-in }
`

// somebody is a person in groups; machine one with scopes.
func somebody(name string, groups ...string) *session.Identity {
	return &session.Identity{
		Credential: session.Cookie, Issuer: issuer, Subject: "sub-" + name, Username: name, Person: true, Listed: true,
		ClientID: "gateway", ClientNamed: true, Groups: append([]string{}, groups...), Claims: map[string]any{},
	}
}

func machine(name string, scopes ...string) *session.Identity {
	return &session.Identity{
		Credential: session.Bearer, Issuer: "https://tokens.example.org", Subject: name, ClientID: name, ClientNamed: true, Scopes: scopes,
	}
}

func asked(id *session.Identity, path string, after time.Duration) policy.Query {
	return policy.Query{Identity: id, Method: "GET", Host: "app.example.com", Path: path, Time: replayStart.Add(after)}
}

func TestReplayTellsWhatFlipsForWhom(t *testing.T) {
	s := suiteOf(t, replayConfig)
	deny := whatif.Answered{Outcome: "deny", Reason: "group_missing", Route: "admin"}
	allow := whatif.Answered{Outcome: "allow", Reason: "signed_in", Route: "rest"}
	log := strings.Join([]string{
		recorded(t, asked(somebody("olga", "ops"), "/admin/x", time.Hour), deny),
		recorded(t, asked(somebody("olga", "ops"), "/admin/y", 3*time.Hour), deny),
		recorded(t, asked(somebody("olga", "ops"), "/admin/", 2*time.Hour), deny),
		recorded(t, asked(somebody("bob"), "/admin/x", time.Hour), deny),
		recorded(t, asked(somebody("bob"), "/rest/staff/1", time.Hour), allow),
		recorded(t, asked(somebody("bob"), "/rest/1", time.Hour), allow),
		recorded(t, asked(somebody("sam", "staff"), "/rest/staff/1", time.Hour), allow),
		recorded(t, asked(nil, "/admin/x", 0), whatif.Answered{Outcome: "deny", Reason: "sign_in_required", Route: "admin"}),
		recorded(t, asked(machine("job", "orders.read"), "/api/orders/7", time.Minute), whatif.Answered{Outcome: "allow", Reason: "scope_ok", Route: "orders"}),
	}, "\n")
	got := replay(t, s, strings.NewReader(log))
	want := &whatif.ReplayReport{
		Events: 9, Same: 3, Otherwise: 1, Flipped: 5, Unjudged: []whatif.Unjudged{}, CorruptLines: []whatif.CorruptLine{},
		Flips: []whatif.Flip{
			{
				Then: deny, Now: whatif.Answered{Outcome: "allow", Reason: "group_ok", Route: "admin"}, Who: "olga",
				Count: 3, First: replayStart.Add(time.Hour), Last: replayStart.Add(3 * time.Hour),
			},
			{
				Then: whatif.Answered{Outcome: "allow", Reason: "scope_ok", Route: "orders"},
				Now:  whatif.Answered{Outcome: "deny", Reason: "scope_missing", Route: "orders"}, Who: "job",
				Count: 1, First: replayStart.Add(time.Minute), Last: replayStart.Add(time.Minute),
			},
			{
				Then: allow, Now: whatif.Answered{Outcome: "deny", Reason: "group_missing", Route: "staff"}, Who: "bob",
				Count: 1, First: replayStart.Add(time.Hour), Last: replayStart.Add(time.Hour),
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the report differs (-want +got):\n%s", diff)
	}
}

func TestReplayReadsEveryFormOfALog(t *testing.T) {
	s := suiteOf(t, replayConfig)
	line := recorded(t, asked(somebody("olga", "ops"), "/admin/x", 0), whatif.Answered{Outcome: "deny", Reason: "group_missing", Route: "admin"})
	packed := &bytes.Buffer{}
	z := gzip.NewWriter(packed)
	io.WriteString(z, "["+line+","+line+"]\n["+line+"]\n")
	z.Close()
	for name, log := range map[string]io.Reader{
		"lines": strings.NewReader(line + "\n" + line + "\n" + line), "array": strings.NewReader("[" + line + ",\n" + line + "," + line + "]"), "gzip": packed,
	} {
		if got := replay(t, s, log); got.Flipped != 3 || got.Events != 3 {
			t.Errorf("%s: %d of %d flip, want 3 of 3", name, got.Flipped, got.Events)
		}
	}
}

func TestReplayNeverTakesTheUnknownForTheSame(t *testing.T) {
	s := suiteOf(t, replayConfig)
	allow := whatif.Answered{Outcome: "allow", Reason: "claim_ok", Route: "claims"}
	rest := whatif.Answered{Outcome: "allow", Reason: "signed_in", Route: "rest"}
	mask := func(pointers ...string) func(*declog.Event) {
		return func(ev *declog.Event) {
			ev.Erased = pointers
			credential := ev.Input["credential"].(map[string]any)
			delete(credential, "claims")
		}
	}
	withClaim := somebody("ann")
	withClaim.Claims = map[string]any{"level": json.Number("3")}
	abroad := asked(somebody("bob"), "/rest/x", 0)
	abroad.Host = "old.example.com"
	for _, c := range []struct {
		line string
		want string // "" means judged
	}{
		{recorded(t, asked(withClaim, "/claims/x", 0), allow), ""},
		{recorded(t, asked(withClaim, "/claims/x", 0), allow, mask("/input/credential/claims")), "masked: /input/credential/claims"},
		{recorded(t, asked(withClaim, "/claims/x", 0), allow, mask("/input/credential/claims/other", "/input/credential/claims/level")), "masked: /input/credential/claims/level"},
		{recorded(t, asked(withClaim, "/rest/x", 0), rest, mask("/input/credential/claims", "/input/user/email")), ""},
		{recorded(t, asked(withClaim, "/rest/x", 0), rest, mask("/input/credential")), "masked: /input/credential"},
		{recorded(t, asked(withClaim, "/admin/x", 0), rest, mask("/input/user/groups/0")), "masked: /input/user/groups/0"},
		{recorded(t, abroad, rest), "no public_url has the host old.example.com"},
		{recorded(t, asked(withClaim, "/_gatehouse/me", 0), rest), "the path is the gateway's own now"},
		{recorded(t, asked(withClaim, "/rest/x", 0), rest, func(ev *declog.Event) { delete(ev.Input["request"].(map[string]any), "path") }), "the record has no path"},
		{recorded(t, asked(withClaim, "/rest/x", 0), rest, func(ev *declog.Event) { ev.Input = nil }), "the record has no method"},
		{recorded(t, asked(withClaim, "/rest/x", 0), rest, func(ev *declog.Event) { ev.Custom.Odd = "strange" }), "the record names an unknown oddity of the path"},
	} {
		got := replay(t, s, strings.NewReader(c.line))
		want := []whatif.Unjudged{}
		if c.want != "" {
			want = append(want, whatif.Unjudged{Reason: c.want, Count: 1})
		}
		if diff := cmp.Diff(want, got.Unjudged); diff != "" || got.Same+got.Otherwise+got.Flipped != int64(1-len(want)) {
			t.Errorf("%s\nnot judged differs (-want +got):\n%s", c.line, diff)
		}
	}
}

func TestReplayAsksAtTheTimeOfTheRequest(t *testing.T) {
	s := suiteOf(t, strings.Replace(replayConfig, "allow: { groups: [staff] }", "allow: { time: [{ hours: \"08:00-10:00\" }] }, require: { signed_in_within: 1h }", 1))
	then := whatif.Answered{Outcome: "allow", Reason: "conditions_ok", Route: "staff"}
	for _, c := range []struct {
		asked, logged, signedIn time.Duration // since 09:00
		want                    string
	}{
		{0, 0, 0, ""}, {2 * time.Hour, 0, 0, "deny"}, {0, 2 * time.Hour, 0, ""}, {30 * time.Minute, 0, -time.Hour, "step_up"}, {0, 0, -time.Hour, ""},
	} {
		id := somebody("ann", "staff")
		id.AuthTime = replayStart.Add(c.signedIn)
		line := recorded(t, asked(id, "/rest/staff/1", c.asked), then, func(ev *declog.Event) { ev.Timestamp = replayStart.Add(c.logged) })
		got := ""
		if flips := replay(t, s, strings.NewReader(line)).Flips; len(flips) > 0 {
			got = flips[0].Now.Outcome
		}
		if got != c.want {
			t.Errorf("asked %v and logged %v after nine, signed in %v after: %q, want %q", c.asked, c.logged, c.signedIn, got, c.want)
		}
	}
	// Without a time of its own the request came when it was logged.
	line := recorded(t, asked(somebody("ann"), "/rest/staff/1", 0), then, func(ev *declog.Event) {
		delete(ev.Input, "time")
		ev.Timestamp = replayStart.Add(5 * time.Hour)
	})
	if got := replay(t, s, strings.NewReader(line)); len(got.Flips) != 1 || got.Flips[0].Now.Reason != "time_not_allowed" {
		t.Errorf("without a time: %+v, want a refusal for the time", got)
	}
}

func TestReplayJudgesBodiesThatWereRead(t *testing.T) {
	s := suiteOf(t, strings.Replace(replayConfig, "allow: { groups: [staff] }", "allow: { groups: [staff] }, body: { max: 1KiB }", 1))
	for state, want := range map[policy.BodyState]string{
		policy.BodyUnread: "the body was not read", policy.BodyCut: "the body was truncated", policy.BodyBroken: "the body was unparsable",
		policy.BodyNone: "deny body_absent", policy.BodyParsed: "allow group_ok",
	} {
		q := asked(somebody("sam", "staff"), "/rest/staff/1", 0)
		q.Method, q.Body.State = "POST", state
		got := replay(t, s, strings.NewReader(recorded(t, q, whatif.Answered{Outcome: "then"})))
		text := ""
		for _, u := range got.Unjudged {
			text = u.Reason
		}
		for _, f := range got.Flips {
			text = f.Now.Outcome + " " + f.Now.Reason
		}
		if text != want {
			t.Errorf("a body that was %q: %q, want %q", state, text, want)
		}
	}
}

func TestReplayKeepsWhatWasOddAboutAPath(t *testing.T) {
	s := suiteOf(t, replayConfig)
	then := whatif.Answered{Outcome: "allow", Reason: "signed_in", Route: "rest"}
	got := replay(t, s, strings.NewReader(recorded(t, asked(somebody("bob"), "/rest/a%2Fb", 0), then, func(ev *declog.Event) { ev.Custom.Odd = "encoded_slash" })))
	if len(got.Flips) != 1 || got.Flips[0].Now.Reason != "path_rejected" {
		t.Errorf("flips = %+v, want one to path_rejected", got.Flips)
	}
}

func TestReplayNamesCorruptLines(t *testing.T) {
	s := suiteOf(t, replayConfig)
	good := recorded(t, asked(somebody("bob"), "/rest/x", 0), whatif.Answered{Outcome: "allow", Reason: "signed_in", Route: "rest"})
	lines := []string{good, "oops", good[:40], good, strings.Replace(good, `"host":"app.example.com"`, `"host":7`, 1)}
	for range 200 {
		lines = append(lines, "{}")
	}
	got := replay(t, s, strings.NewReader(strings.Join(lines, "\n")))
	if got.Corrupt != 203 || got.Same != 2 || len(got.CorruptLines) != 20 {
		t.Fatalf("%d corrupt (%d named), %d the same; want 203 (20), 2", got.Corrupt, len(got.CorruptLines), got.Same)
	}
	for i, line := range []int{2, 3, 5, 6, 7} {
		if got.CorruptLines[i].Line != line || got.CorruptLines[i].Error == "" {
			t.Errorf("corrupt line %d is %+v, want line %d", i, got.CorruptLines[i], line)
		}
	}
}

func TestReplayEndsWithItsContextAndItsLog(t *testing.T) {
	s := suiteOf(t, replayConfig)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := whatif.Replay(ctx, strings.NewReader("{}\n{}\n"), whatif.Candidate{Gate: s.Gate, Policy: s.Policy}); !errors.Is(err, context.Canceled) {
		t.Errorf("Replay of a context that has ended = %v, want %v", err, context.Canceled)
	}
	broken := errors.New("disk")
	if _, err := whatif.Replay(t.Context(), iotest.ErrReader(broken), whatif.Candidate{Gate: s.Gate, Policy: s.Policy}); !errors.Is(err, broken) {
		t.Errorf("Replay of a broken log = %v, want %v", err, broken)
	}
}

// judgedByHand is the policy of replayConfig, or of the one before it, written
// down a second time.
func judgedByHand(id *session.Identity, path string, changed bool) whatif.Answered {
	deny := func(route, reason string) whatif.Answered {
		return whatif.Answered{Outcome: "deny", Reason: reason, Route: route}
	}
	allow := func(route, reason string) whatif.Answered {
		return whatif.Answered{Outcome: "allow", Reason: reason, Route: route}
	}
	people := func(route, reason string, ok bool, missing string) whatif.Answered {
		switch {
		case id == nil:
			return deny(route, "sign_in_required")
		case !id.Person:
			return deny(route, "person_required")
		case !ok:
			return deny(route, missing)
		}
		return allow(route, reason)
	}
	in := func(group string) bool { return id != nil && slices.Contains(id.Groups, group) }
	switch {
	case strings.HasPrefix(path, "/admin/"):
		return people("admin", "group_ok", in("admins") || changed && in("ops"), "group_missing")
	case strings.HasPrefix(path, "/api/orders/"):
		scope := map[bool]string{false: "orders.read", true: "orders.write"}[changed]
		switch {
		case id == nil:
			return deny("orders", "sign_in_required")
		case slices.Contains(id.Scopes, scope):
			return allow("orders", "scope_ok")
		}
		return deny("orders", "scope_missing")
	case changed && strings.HasPrefix(path, "/rest/staff/"):
		return people("staff", "group_ok", in("staff"), "group_missing")
	}
	return people("rest", "signed_in", true, "")
}

func TestReplayOfManyFindsExactlyTheFlips(t *testing.T) {
	s := suiteOf(t, replayConfig)
	rnd := rand.New(rand.NewPCG(7, 7))
	ids := []*session.Identity{nil, machine("reader", "orders.read"), machine("writer", "orders.write"), machine("both", "orders.read", "orders.write")}
	for i := range 60 {
		var groups []string
		for _, g := range []string{"admins", "ops", "staff"} {
			if rnd.IntN(3) == 0 {
				groups = append(groups, g)
			}
		}
		ids = append(ids, somebody(fmt.Sprint("user", i), groups...))
	}
	type kind struct {
		then, now whatif.Answered
		who       string
	}
	want := map[kind]whatif.Flip{}
	counts := map[string]int64{}
	var log bytes.Buffer
	for i := range 100_000 {
		id := ids[rnd.IntN(len(ids))]
		path := []string{"/admin/%d", "/api/orders/%d", "/rest/staff/%d", "/rest/%d"}[rnd.IntN(4)]
		path = fmt.Sprintf(path, rnd.IntN(1000))
		q := asked(id, path, time.Duration(rnd.IntN(1e6))*time.Millisecond)
		then, now := judgedByHand(id, path, false), judgedByHand(id, path, true)
		log.WriteString(recorded(t, q, then) + "\n")
		switch {
		case i%1000 == 999:
			log.WriteString("torn{\n")
			counts["corrupt"]++
		}
		if then.Outcome == now.Outcome {
			counts[map[bool]string{true: "same", false: "otherwise"}[then == now]]++
			continue
		}
		who := "a visitor"
		if id != nil {
			who = id.Subject
			if id.Person {
				who = id.Username
			}
		}
		counts["flipped"]++
		f, ok := want[kind{then, now, who}]
		if !ok {
			f = whatif.Flip{Then: then, Now: now, Who: who, First: q.Time, Last: q.Time}
		}
		f.Count++
		if q.Time.Before(f.First) {
			f.First = q.Time
		}
		if q.Time.After(f.Last) {
			f.Last = q.Time
		}
		want[kind{then, now, who}] = f
	}
	var judged atomic.Int64
	got, err := whatif.Replay(t.Context(), &log, whatif.Candidate{Gate: s.Gate, Policy: s.Policy, Progress: func(n int64) {
		for have := judged.Load(); n > have && !judged.CompareAndSwap(have, n); have = judged.Load() {
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Same != counts["same"] || got.Otherwise != counts["otherwise"] || got.Flipped != counts["flipped"] ||
		got.Corrupt != counts["corrupt"] || got.NotJudged != 0 || got.Events != 100_100 || judged.Load() != 100_100 {
		t.Errorf("the replay counts %d same, %d otherwise, %d flipped, %d corrupt, %d not judged; want %v", got.Same, got.Otherwise, got.Flipped, got.Corrupt, got.NotJudged, counts)
	}
	if len(got.Flips) != len(want) || len(want) < 50 {
		t.Fatalf("%d kinds of flips, want %d, and at least 50", len(got.Flips), len(want))
	}
	for i, f := range got.Flips {
		if diff := cmp.Diff(want[kind{f.Then, f.Now, f.Who}], f); diff != "" {
			t.Errorf("flip %d differs (-want +got):\n%s", i, diff)
		}
		if i > 0 && f.Count > got.Flips[i-1].Count {
			t.Errorf("flip %d has a greater count than the one before", i)
		}
	}
}

func TestReplayReportIsSafeToPrint(t *testing.T) {
	s := suiteOf(t, replayConfig)
	line := recorded(t, asked(somebody("ev\x1b[2Jil", "ops"), "/admin/x", 0), whatif.Answered{Outcome: "deny", Reason: "group_missing", Route: "ad\nmin"})
	var out strings.Builder
	replay(t, s, strings.NewReader(line)).Write(&out)
	if strings.ContainsAny(out.String(), "\x1b") || strings.Count(out.String(), "\n") != 4 {
		t.Errorf("the report moves the cursor: %q", out.String())
	}
}
