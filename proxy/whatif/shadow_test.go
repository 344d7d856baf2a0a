package whatif_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/policy"
	"gatehouse/proxy"
	"gatehouse/proxy/canon"
	"gatehouse/proxy/whatif"
	"gatehouse/session"
)

// live is what a live gate would tell of a request.
func live(id *session.Identity, path, route string, d policy.Decision) proxy.Decided {
	q := asked(id, path, 0)
	q.RawQuery = "code=secret"
	return proxy.Decided{
		RequestID: "req-1", Route: route, Query: q, Decision: d,
		Request: canon.Request{Method: q.Method, Host: q.Host, Path: path, EscapedPath: path, RawQuery: q.RawQuery},
	}
}

var (
	liveAllow = policy.Decision{Outcome: policy.OutcomeAllow, Reason: policy.SignedIn}
	liveDeny  = policy.Decision{Reason: policy.GroupMissing}
)

// runShadow lets a shadow with the configuration replayConfig see what use
// records, in a bubble, and returns its log.
func runShadow(t *testing.T, use func(s *whatif.Shadow)) (lines []map[string]any) {
	t.Helper()
	suite := suiteOf(t, replayConfig)
	var buf bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		s := whatif.NewShadow(suite.Gate, slog.New(slog.NewJSONHandler(&buf, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.Run(ctx) })
		use(s)
		synctest.Wait()
		cancel()
		wg.Wait()
	})
	for line := range strings.SplitSeq(strings.TrimSpace(buf.String()), "\n") {
		if line == "" {
			continue
		}
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, entry)
	}
	if strings.Contains(buf.String(), "secret") {
		t.Errorf("the log holds the query: %s", buf.String())
	}
	return lines
}

func TestShadowLogsOnlyWhatDiffers(t *testing.T) {
	var stats whatif.ShadowStats
	lines := runShadow(t, func(s *whatif.Shadow) {
		s.Record(live(somebody("bob"), "/rest/staff/1", "rest", liveAllow))    // denied by the shadow
		s.Record(live(somebody("bob"), "/rest/1", "rest", liveAllow))          // the same
		s.Record(live(somebody("bob"), "/admin/1", "elsewhere", liveDeny))     // the same, on another route
		s.Record(live(somebody("olga", "ops"), "/admin/1", "admin", liveDeny)) // allowed by the shadow
		synctest.Wait()
		stats = s.Stats()
	})
	if want := (whatif.ShadowStats{Asked: 4, Different: 2}); stats != want {
		t.Errorf("stats = %+v, want %+v", stats, want)
	}
	if len(lines) != 2 {
		t.Fatalf("%d lines, want 2: %v", len(lines), lines)
	}
	for key, want := range map[string]any{
		"level": "INFO", "request_id": "req-1", "user.id": "sub-bob", "http.route": "rest", "gatehouse.outcome": "allow",
		"gatehouse.reason": "signed_in", "gatehouse.shadow.route": "staff", "gatehouse.shadow.outcome": "deny",
		"gatehouse.shadow.reason": "group_missing", "url.path": "/rest/staff/1", "http.request.method": "GET",
	} {
		if got := lines[0][key]; got != want {
			t.Errorf("%s = %v, want %v", key, got, want)
		}
	}
	if got := lines[1]["gatehouse.shadow.outcome"]; got != "allow" {
		t.Errorf("the second line says %v, want allow", got)
	}
}

func TestShadowLogsFewLinesOfOneKindInASecond(t *testing.T) {
	var stats whatif.ShadowStats
	lines := runShadow(t, func(s *whatif.Shadow) {
		for range 30 {
			s.Record(live(somebody("bob"), "/rest/staff/1", "rest", liveAllow))
		}
		s.Record(live(somebody("olga", "ops"), "/admin/1", "admin", liveDeny)) // another kind
		synctest.Wait()
		time.Sleep(time.Second)
		s.Record(live(somebody("bob"), "/rest/staff/2", "rest", liveAllow))
		synctest.Wait()
		stats = s.Stats()
	})
	if len(lines) != 7 {
		t.Fatalf("%d lines, want 5 of one kind, 1 of another, and 1 a second later", len(lines))
	}
	if got := lines[6]["gatehouse.suppressed"]; got != 25.0 {
		t.Errorf("the last line tells of %v suppressed, want 25", got)
	}
	if stats.Different != 32 || stats.Suppressed != 25 || stats.Asked != 32 {
		t.Errorf("stats = %+v, want 32 different, 25 suppressed", stats)
	}
}

func TestShadowNeverHoldsUpALiveRequest(t *testing.T) {
	suite := suiteOf(t, replayConfig)
	s := whatif.NewShadow(suite.Gate, slog.New(slog.DiscardHandler)) // nobody runs it
	for range 5000 {
		s.Record(live(somebody("bob"), "/rest/1", "rest", liveAllow))
	}
	if got := s.Stats(); got.Dropped == 0 || got.Dropped >= 5000 || got.Asked != 0 {
		t.Errorf("stats = %+v, want some dropped and none asked", got)
	}
}

func TestShadowKeepsFewBodies(t *testing.T) {
	suite := suiteOf(t, replayConfig)
	var after whatif.ShadowStats
	synctest.Test(t, func(t *testing.T) {
		s := whatif.NewShadow(suite.Gate, slog.New(slog.DiscardHandler))
		d := live(somebody("bob"), "/rest/1", "rest", liveAllow)
		d.Query.Body = policy.Body{State: policy.BodyParsed, Value: "x"}
		for range 200 {
			s.Record(d)
		}
		kept := 200 - s.Stats().Dropped
		if kept == 0 || kept > 64 {
			t.Errorf("%d bodies wait, want a few", kept)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.Run(ctx) })
		synctest.Wait()
		s.Record(d) // there is room again
		synctest.Wait()
		cancel()
		wg.Wait()
		if after = s.Stats(); after.Asked != kept+1 {
			t.Errorf("%d were asked, want %d", after.Asked, kept+1)
		}
	})
}

func TestShadowCountsWhatItCannotKnow(t *testing.T) {
	suite := suiteOf(t, strings.Replace(replayConfig, "allow: { groups: [staff] } }", "allow: { groups: [staff] }, body: { max: 1KiB } }", 1))
	synctest.Test(t, func(t *testing.T) {
		var buf bytes.Buffer
		s := whatif.NewShadow(suite.Gate, slog.New(slog.NewTextHandler(&buf, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { s.Run(ctx) })
		s.Record(live(somebody("sam", "staff"), "/rest/staff/1", "rest", liveAllow))
		synctest.Wait()
		cancel()
		wg.Wait()
		if got := s.Stats(); got.Unknown != 1 || got.Different != 0 || buf.Len() > 0 {
			t.Errorf("stats = %+v, log %q; want one unknown and nothing logged", got, buf.String())
		}
	})
}

func TestShadowIsARecorder(t *testing.T) {
	var r proxy.Recorder = whatif.NewShadow(suiteOf(t, replayConfig).Gate, slog.New(slog.DiscardHandler))
	r.Record(live(nil, fmt.Sprint("/rest/", 1), "rest", liveDeny))
}
