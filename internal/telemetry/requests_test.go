package telemetry

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"gatehouse/internal/conf"
)

// useAll gives each metric about requests a figure.
func useAll(m *Metrics) {
	r := m.Requests([]string{"admin", "open"})
	r.Count(0, "GET", 200, 30*time.Millisecond)
	r.Count(0, "GET", 200, 10*time.Second)
	r.Count(0, "GET", 200, time.Hour)
	r.Count(0, "GET", 101, -1)
	r.Count(0, "DELETE", 404, 5*time.Millisecond)
	r.Count(0, "PROPFIND", 20, 0)
	r.Count(-1, "GET", 404, time.Microsecond)
	r.Count(2, "POST", 1000, time.Microsecond)
	r.Stripped(0)
	r.Opened(0)
	r.Opened(0)
	r.Closed(0)
	u := m.Upstreams([]string{"app", "", "app", "orders"})
	u.Observe(0, time.Second)
	u.Observe(1, time.Second)
	u.Observe(2, 2*time.Second)
	u.Observe(4, time.Second)
	u.Observe(-1, time.Second)
	u.Observe(3, -1)
	m.TokenVerified("")
	m.TokenVerified("expired")
}

func TestEveryFigureOfRequestsIsTold(t *testing.T) {
	m := New("1.2.3", full)
	useAll(m)
	text, _ := told(t, m.Handler(ready), "/metrics")
	for _, want := range []string{
		`gatehouse_http_requests_total{code="200",method="GET",route="admin"} 3`,
		`gatehouse_http_requests_total{code="101",method="GET",route="admin"} 1`,
		`gatehouse_http_requests_total{code="404",method="DELETE",route="admin"} 1`,
		`gatehouse_http_requests_total{code="000",method="other",route="admin"} 1`,
		`gatehouse_http_requests_total{code="404",method="GET",route=""} 1`,
		`gatehouse_http_requests_total{code="000",method="POST",route=""} 1`,
		`gatehouse_http_request_duration_seconds_bucket{route="admin",le="0.005"} 2`,
		`gatehouse_http_request_duration_seconds_bucket{route="admin",le="0.025"} 2`,
		`gatehouse_http_request_duration_seconds_bucket{route="admin",le="0.05"} 3`,
		`gatehouse_http_request_duration_seconds_bucket{route="admin",le="7.5"} 3`,
		`gatehouse_http_request_duration_seconds_bucket{route="admin",le="10"} 4`,
		`gatehouse_http_request_duration_seconds_bucket{route="admin",le="+Inf"} 5`,
		`gatehouse_http_request_duration_seconds_sum{route="admin"} 3610.035`,
		`gatehouse_http_request_duration_seconds_count{route="admin"} 5`,
		`gatehouse_http_request_duration_seconds_sum{route=""} 2e-06`,
		`gatehouse_upstream_request_duration_seconds_count{upstream="app"} 2`,
		`gatehouse_upstream_request_duration_seconds_sum{upstream="app"} 3`,
		`gatehouse_upstream_request_duration_seconds_bucket{upstream="app",le="1"} 1`,
		`gatehouse_identity_headers_stripped_total{route="admin"} 1`,
		`gatehouse_identity_headers_stripped_total{route=""} 0`,
		`gatehouse_websockets_open{route="admin"} 1`,
		`gatehouse_token_verify_total{outcome="ok"} 1`,
		`gatehouse_token_verify_total{outcome="expired"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("/metrics does not tell %s", want)
		}
	}
	for _, not := range []string{`route="open"`, `upstream=""`, `upstream="orders"`, `websockets_open{route=""}`} {
		if strings.Contains(text, not) {
			t.Errorf("/metrics tells %s, which was never used", not)
		}
	}
}

func TestRequestsAreCountedExactlyAmongManyAndOverGenerations(t *testing.T) {
	m := New("1.2.3", full)
	var names []string
	for i := range 10 {
		names = append(names, fmt.Sprint("route", i))
	}
	generations := []*Requests{m.Requests(names), m.Requests(names)}
	upstreams := []*Upstreams{m.Upstreams(names), m.Upstreams(names)}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 1000 {
				generations[i%2].Count(j%10, methods[j%3], 200+j%7, time.Duration(j)*time.Millisecond)
				generations[i%2].Stripped(j % 10)
				generations[i%2].Opened(j % 10)
				upstreams[i%2].Observe(j%10, time.Duration(j)*time.Millisecond)
				generations[i%2].Closed(j % 10)
			}
		})
	}
	ended := make(chan struct{})
	wg.Go(func() { // figures are read while they are written
		for {
			if _, err := m.registry.Gather(); err != nil {
				t.Error(err)
			}
			select {
			case <-ended:
				return
			default:
			}
		}
	})
	close(ended)
	wg.Wait()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]float64{}
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			sums[f.GetName()] += metric.GetCounter().GetValue() + float64(metric.GetHistogram().GetSampleCount()) + metric.GetGauge().GetValue()
			sums[f.GetName()+" sum"] += metric.GetHistogram().GetSampleSum()
		}
	}
	for name, want := range map[string]float64{
		"gatehouse_http_requests_total": 8000, "gatehouse_http_request_duration_seconds": 8000, "gatehouse_upstream_request_duration_seconds": 8000,
		"gatehouse_identity_headers_stripped_total": 8000, "gatehouse_websockets_open": 0,
		"gatehouse_http_request_duration_seconds sum": 8 * 499.5, "gatehouse_upstream_request_duration_seconds sum": 8 * 499.5,
	} {
		if got := sums[name]; math.Abs(got-want) > 1e-6 {
			t.Errorf("%s adds up to %v, want %v", name, got, want)
		}
	}
	m.Forget(names[1:])
	m.ForgetUpstreams(names[2:])
	if got := testutil.CollectAndCount(m.traffic, "gatehouse_http_request_duration_seconds", "gatehouse_upstream_request_duration_seconds"); got != 3 {
		t.Errorf("%d histograms are left of one route and two upstreams, want 3", got)
	}
}

func TestEachDurationIsInItsBucket(t *testing.T) {
	m := New("1.2.3", full)
	r := m.Requests([]string{"a"})
	var want []uint64
	var n uint64
	for _, bound := range bounds {
		for _, d := range []time.Duration{bound - 1, bound, bound + 1} {
			r.Count(0, "GET", 200, d)
		}
		want = append(want, n+2) // the third is past the bound
		n += 3
	}
	text, _ := told(t, m.Handler(ready), "/metrics")
	for i, bound := range bounds {
		le := strconv.FormatFloat(bound.Seconds(), 'g', -1, 64)
		if line := fmt.Sprintf("_bucket{route=\"a\",le=%q} %d\n", le, want[i]); !strings.Contains(text, line) {
			t.Errorf("/metrics does not tell %s", line)
		}
	}
}

func TestMethodsAreOfAClosedList(t *testing.T) {
	for _, method := range methods {
		for _, status := range []int{100, 200, 404, 499, 503, 999} {
			gotMethod, gotCode := kindOf(method, status).labels()
			if gotMethod != method || gotCode != fmt.Sprint(status) {
				t.Errorf("%s %d is told as %s %s", method, status, gotMethod, gotCode)
			}
		}
	}
	for _, method := range []string{"", "get", "PROPFIND", strings.Repeat("A", 1000), "GET\x00"} {
		if got, _ := kindOf(method, 200).labels(); got != "other" {
			t.Errorf("%.20q is told as %q, want other", method, got)
		}
	}
	for _, status := range []int{-1, 0, 99, 1000, 1 << 40} {
		if _, got := kindOf("GET", status).labels(); got != "000" {
			t.Errorf("the status %d is told as %q, want 000", status, got)
		}
	}
}

func TestCountingRequestsAllocatesNothing(t *testing.T) {
	m := New("1.2.3", full)
	r, u := m.Requests([]string{"a", "b"}), m.Upstreams([]string{"a"})
	count := func() {
		r.Count(1, "GET", 200, time.Millisecond)
		r.Count(-1, "PROPFIND", 404, -1)
		r.Stripped(1)
		r.Opened(1)
		r.Closed(1)
		u.Observe(0, time.Millisecond)
	}
	count()
	if n := testing.AllocsPerRun(100, count); n > 0 {
		t.Errorf("counting allocates %v times", n)
	}
}

// sizeOf returns the bytes that make keeps allocated.
func sizeOf[T any](t *testing.T, size func() T) int64 {
	t.Helper()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	kept := size()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(kept)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

func TestManyRoutesTakeLittle(t *testing.T) {
	const many = 10_000
	names := make([]string, many)
	for i := range names {
		names[i] = fmt.Sprint("route", i)
	}
	m := New("1.2.3", full)
	r := m.Requests(names)
	if got := sizeOf(t, func() *Requests { return m.Requests(names) }); got > 30*many {
		t.Errorf("an unused route takes %d bytes, want at most 30", got/many)
	}
	got := sizeOf(t, func() *Metrics {
		for i := range names {
			r.Count(i, "GET", 200, time.Millisecond)
		}
		return m
	})
	if got > 600*many {
		t.Errorf("a used route takes %d bytes, want at most 600", got/many)
	}
}

func TestAccessLogIsAPlace(t *testing.T) {
	for text, want := range map[string]string{
		`stdout`: "stdout", `stderr`: "stderr", `off`: "off", `access.log`: "etc/access.log", `./off`: "etc/off", `/var/log/x`: "/var/log/x",
		`""`: "is empty", `"logs/"`: "a folder", `"-"`: "./-", `none`: "want stdout, stderr, off", `Stdout`: "want stdout, stderr, off", `"false"`: "want stdout",
	} {
		var f file
		_, err := conf.Parse("etc/gatehouse.yaml", []byte("telemetry: { access_log: "+text+" }\n"), &f)
		if got := f.Telemetry.AccessLog; err == nil && got != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("telemetry.access_log: %s gives %q, %v; want %q", text, got, err, want)
		}
	}
	var f file
	if _, err := conf.Parse("gatehouse.yaml", []byte("telemetry: {}\n"), &f); err != nil || f.Telemetry.AccessLog != "stdout" {
		t.Errorf("by default telemetry.access_log is %q, %v, want stdout", f.Telemetry.AccessLog, err)
	}
}

// The page for operators lists what is told, with its labels.
func TestEveryMetricIsDocumented(t *testing.T) {
	m := New("1.2.3", full)
	m.Began("abc")
	m.Decisions([]string{"admin"}).Count(0, "deny", "group_missing")
	useAll(m)
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, f := range families {
		if name, ours := strings.CutPrefix(f.GetName(), "gatehouse_"); ours {
			var labels []string
			for _, l := range f.GetMetric()[0].GetLabel() {
				labels = append(labels, l.GetName())
			}
			have = append(have, name+" "+strings.Join(labels, ","))
		}
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "operating.md"))
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| `gatehouse_([a-z_]+)(?:\\{([a-z_,]+)\\})?` \\|").FindAllStringSubmatch(string(text), -1) {
		labels := strings.Split(row[2], ",")
		slices.Sort(labels)
		listed = append(listed, row[1]+" "+strings.Join(labels, ","))
	}
	slices.Sort(have)
	slices.Sort(listed)
	if !slices.Equal(have, listed) {
		t.Errorf("docs/operating.md lists\n%q, told are\n%q", listed, have)
	}
}

func BenchmarkRequest(b *testing.B) {
	m := New("1.2.3", full)
	r := m.Requests([]string{"a", "b"})
	for _, status := range []int{200, 304, 404, 403} {
		r.Count(1, "GET", status, time.Millisecond)
	}
	b.Run("one", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r.Count(1, "GET", 200, 30*time.Millisecond)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				r.Count(1, "GET", 200, 30*time.Millisecond)
			}
		})
	})
}

func BenchmarkGatherManyRoutes(b *testing.B) {
	const many = 10_000
	names := make([]string, many)
	for i := range names {
		names[i] = fmt.Sprint("route", i)
	}
	m := New("1.2.3", full)
	r := m.Requests(names)
	for i := range names {
		r.Count(i, "GET", 200, time.Millisecond)
	}
	for b.Loop() {
		if _, err := m.registry.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
