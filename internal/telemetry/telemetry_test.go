package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"gatehouse/internal/conf"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func full() Readings {
	return Readings{
		MemoryHits: 7, MemoryMisses: 3,
		Bundles: []Bundle{{Name: "https://b.example/one.tar.gz", Success: time.Unix(1000, 5e8), Errors: 2}, {Name: "two"}},
		Log:     &Log{Recorded: 1, Sampled: 2, Dropped: 3, Failed: 4},
		Shadow:  &Shadow{Same: 5, Different: 6, Dropped: 7},

		AccessLog:  &AccessLog{Written: 8, Dropped: 9, Failed: 10},
		Principals: &Principals{Session: Remembered{11, 12, 13}, Bearer: Remembered{14, 15, 16}, Entries: 17, Bytes: 18},
		SignIns:    map[string]uint64{"signed_in": 23, "wrong_factor": 24},
		Messages:   []Messages{{Channel: "email", Sent: 19, Postponed: 20, Failed: 21, Waiting: 22}},
	}
}

// told returns the answer to a question, and its status.
func told(t *testing.T, h http.Handler, path string) (string, int) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return w.Body.String(), w.Code
}

func ready() bool { return true }

func TestMetricsKeepTheRulesOfPrometheus(t *testing.T) {
	m := New("1.2.3", full)
	m.Reloaded("abc")
	m.Decisions([]string{"admin"}).Count(0, "deny", "group_missing")
	useAll(m)
	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("GatherAndLint() = %v, %v, want none", problems, err)
	}
}

func TestEveryFigureIsTold(t *testing.T) {
	m := New("1.2.3", full)
	m.Began("abc")
	d := m.Decisions([]string{"open", "admin"})
	d.Count(1, "deny", "group_missing")
	d.Count(1, "deny", "group_missing")
	d.Count(1, "allow", "group_ok")
	d.Count(2, "allow", "no such route")
	d.Count(-1, "allow", "no such route")
	text, status := told(t, m.Handler(ready), "/metrics")
	if status != http.StatusOK {
		t.Fatalf("/metrics = %d:\n%s", status, text)
	}
	for _, want := range []string{
		`gatehouse_decisions_total{decision="deny",reason="group_missing",route="admin"} 2`,
		`gatehouse_decisions_total{decision="allow",reason="group_ok",route="admin"} 1`,
		`gatehouse_config_last_reload_successful 1`,
		`gatehouse_config_info{revision="abc"} 1`,
		`gatehouse_config_reloads_total{outcome="loaded"} 0`,
		`gatehouse_config_reloads_total{outcome="refused"} 0`,
		`gatehouse_policy_memory_hits_total 7`,
		`gatehouse_policy_memory_misses_total 3`,
		`gatehouse_policy_bundle_last_success_timestamp_seconds{bundle="https://b.example/one.tar.gz"} 1000.5`,
		`gatehouse_policy_bundle_last_success_timestamp_seconds{bundle="two"} 0`,
		`gatehouse_policy_bundle_errors_total{bundle="https://b.example/one.tar.gz"} 2`,
		`gatehouse_decision_log_events_total{outcome="recorded"} 1`,
		`gatehouse_decision_log_events_total{outcome="sampled"} 2`,
		`gatehouse_decision_log_events_total{outcome="dropped"} 3`,
		`gatehouse_decision_log_events_total{outcome="failed"} 4`,
		`gatehouse_sign_ins_total{outcome="signed_in"} 23`,
		`gatehouse_sign_ins_total{outcome="wrong_factor"} 24`,
		`gatehouse_shadow_decisions_total{outcome="same"} 5`,
		`gatehouse_shadow_decisions_total{outcome="different"} 6`,
		`gatehouse_shadow_decisions_total{outcome="dropped"} 7`,
		`gatehouse_access_log_events_total{outcome="written"} 8`,
		`gatehouse_access_log_events_total{outcome="dropped"} 9`,
		`gatehouse_access_log_events_total{outcome="failed"} 10`,
		`gatehouse_principal_cache_hits_total{kind="session"} 11`,
		`gatehouse_principal_cache_misses_total{kind="session"} 12`,
		`gatehouse_principal_cache_evictions_total{kind="session"} 13`,
		`gatehouse_principal_cache_hits_total{kind="bearer"} 14`,
		`gatehouse_principal_cache_misses_total{kind="bearer"} 15`,
		`gatehouse_principal_cache_evictions_total{kind="bearer"} 16`,
		`gatehouse_principal_cache_entries 17`,
		`gatehouse_principal_cache_bytes 18`,
		`gatehouse_token_verify_total{outcome="ok"} 0`,
		`version="1.2.3"`, "\ngo_goroutines ", "\nprocess_start_time_seconds ", "\ngatehouse_config_last_reload_timestamp_seconds 1",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics does not tell %s", want)
		}
	}
	if strings.Contains(text, "no such route") {
		t.Error("a route that does not exist is counted")
	}
}

func TestARefusedReloadShows(t *testing.T) {
	m := New("1.2.3", full)
	h := m.Handler(ready)
	m.Began("old")
	m.ReloadRefused()
	text, _ := told(t, h, "/metrics")
	for _, want := range []string{"last_reload_successful 0", `info{revision="old"} 1`, `{outcome="refused"} 1`} {
		if !strings.Contains(text, want) {
			t.Errorf("after a refused reload /metrics does not tell %s", want)
		}
	}
	m.Reloaded("new")
	text, _ = told(t, h, "/metrics")
	for _, want := range []string{"last_reload_successful 1", `info{revision="new"} 1`, `{outcome="loaded"} 1`} {
		if !strings.Contains(text, want) {
			t.Errorf("after a reload /metrics does not tell %s", want)
		}
	}
	if strings.Contains(text, `revision="old"`) {
		t.Error("the old revision is still told")
	}
}

func TestCountsAreExactAmongManyAndOverGenerations(t *testing.T) {
	m := New("1.2.3", full)
	var names []string
	for i := range 10 {
		names = append(names, fmt.Sprint("route", i))
	}
	generations := []*Decisions{m.Decisions(names), m.Decisions(names)}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 1000 {
				generations[i%2].Count(j%10, "deny", fmt.Sprint("reason", j%3))
			}
		})
	}
	wg.Wait()
	sum := 0.0
	for _, name := range names {
		for reason := range 3 {
			sum += testutil.ToFloat64(m.decisions.WithLabelValues(name, "deny", fmt.Sprint("reason", reason)))
		}
	}
	if sum != 8000 {
		t.Errorf("8000 decisions were counted as %v", sum)
	}
	m.Forget(names[1:])
	if got := testutil.CollectAndCount(m.decisions); got != 3 {
		t.Errorf("%d series are left of one route, want 3", got)
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	d := New("1.2.3", full).Decisions([]string{"a", "b"})
	d.Count(1, "allow", "group_ok")
	if n := testing.AllocsPerRun(100, func() { d.Count(1, "allow", "group_ok") }); n > 0 {
		t.Errorf("Count() allocates %v times", n)
	}
}

func TestReadinessFollowsWhatItIsTold(t *testing.T) {
	var up atomic.Bool
	h := New("1.2.3", full).Handler(up.Load)
	for _, want := range []struct {
		up          bool
		live, ready int
	}{{false, 200, 503}, {true, 200, 200}, {false, 200, 503}} {
		up.Store(want.up)
		if _, got := told(t, h, "/livez"); got != want.live {
			t.Errorf("/livez = %d, want %d", got, want.live)
		}
		if _, got := told(t, h, "/readyz"); got != want.ready {
			t.Errorf("/readyz while ready is %v = %d, want %d", want.up, got, want.ready)
		}
	}
	for _, path := range []string{"/", "/metrics/", "/debug/pprof/"} {
		if _, got := told(t, h, path); got != http.StatusNotFound {
			t.Errorf("%s = %d, want 404", path, got)
		}
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		New("1.2.3", full).Serve(ctx, ln, ready, slog.New(slog.DiscardHandler))
	}()
	client := &http.Client{Transport: &http.Transport{}}
	res, err := client.Get("http://" + ln.Addr().String() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || string(text) != "ok\n" {
		t.Errorf("/readyz = %q, %v, want ok", text, err)
	}
	cancel()
	<-ended
	if _, err := client.Get("http://" + ln.Addr().String() + "/readyz"); err == nil {
		t.Error("it answers after its end")
	}
	client.CloseIdleConnections()
}

type file struct {
	Telemetry Config `yaml:"telemetry"`
}

func TestListenIsHostAndPort(t *testing.T) {
	for text, fine := range map[string]bool{
		"127.0.0.1:9464": true, ":9464": true, "[::1]:9464": true, "localhost:0": true,
		"9464": false, "127.0.0.1": false, "": false, "127.0.0.1:70000": false, "http://127.0.0.1:9464": false,
	} {
		_, err := conf.Parse("gatehouse.yaml", []byte("telemetry: { listen: \""+text+"\" }\n"), &file{})
		var list *conf.Problems
		if fine != (err == nil) || err != nil && !errors.As(err, &list) {
			t.Errorf("telemetry.listen: %q gives %v; fine should be %v", text, err, fine)
		}
	}
}

func TestOneAddressIsKnownByItsManyNames(t *testing.T) {
	for _, c := range []struct {
		ours, gate string
		meets      bool
	}{
		{"127.0.0.1:8080", "127.0.0.1:8080", true},
		{"127.0.0.1:8080", "0.0.0.0:8080", true},
		{":8080", "192.0.2.1:8080", true},
		{"[::]:8080", "127.0.0.1:8080", true},
		{"localhost:8080", "127.0.0.1:8080", true},
		{"127.0.0.1:9464", "127.0.0.1:8080", false},
		{"192.0.2.1:8080", "192.0.2.2:8080", false},
		{"127.0.0.1:0", "127.0.0.1:0", false},
		{"", "127.0.0.1:8080", false},
	} {
		if got := (&Config{Listen: c.ours}).Meets(c.gate); got != c.meets {
			t.Errorf("%q meets %q = %v, want %v", c.ours, c.gate, got, c.meets)
		}
	}
}

func BenchmarkCount(b *testing.B) {
	d := New("1.2.3", full).Decisions([]string{"a", "b"})
	b.ReportAllocs()
	for b.Loop() {
		d.Count(1, "allow", "group_ok")
	}
}
