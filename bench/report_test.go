package main

import (
	"strings"
	"testing"
	"time"
)

func TestQuartilesInterpolate(t *testing.T) {
	for _, c := range []struct {
		values      []float64
		q1, mid, q3 float64
	}{
		{[]float64{5}, 5, 5, 5},
		{[]float64{4, 1, 3, 2}, 1.75, 2.5, 3.25},
		{[]float64{5, 4, 3, 2, 1}, 2, 3, 4},
	} {
		if q1, mid, q3 := quartiles(c.values); q1 != c.q1 || mid != c.mid || q3 != c.q3 {
			t.Errorf("quartiles(%v) = %v %v %v, want %v %v %v", c.values, q1, mid, q3, c.q1, c.mid, c.q3)
		}
	}
}

func TestRatioIsTakenToTheMeanOfTheNeighbours(t *testing.T) {
	p := pairing{
		own:    sample{load{p50: 50}, 60 * time.Microsecond},
		before: sample{load{p50: 80}, 30 * time.Microsecond},
		after:  sample{load{p50: 120}, 50 * time.Microsecond},
	}
	if got := p.cpuRatio(); got != 1.5 {
		t.Errorf("cpuRatio() = %v, want 1.5", got)
	}
	if got := p.p50Ratio(); got != 0.5 {
		t.Errorf("p50Ratio() = %v, want 0.5", got)
	}
}

const report = `Running 2s test @ http://127.0.0.1:1/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.20ms  800.00us  10.00ms   90.00%
    Req/Sec    20.00k     1.00k   22.00k    80.00%
  Latency Distribution
     50%  980.00us
     75%    1.40ms
     90%    2.00ms
     99%    4.50ms
  40000 requests in 2.00s, 7.00MB read
Requests/sec:  20000.50
Transfer/sec:      3.50MB
`

func TestReadLoad(t *testing.T) {
	l, err := readLoad(report)
	if err != nil {
		t.Fatal(err)
	}
	want := load{requests: 40000, rate: 20000.50, p50: 980 * time.Microsecond, p99: 4500 * time.Microsecond}
	if l != want {
		t.Errorf("readLoad = %+v, want %+v", l, want)
	}
}

func TestARunWithRefusalsIsAnError(t *testing.T) {
	for _, line := range []string{"  Non-2xx or 3xx responses: 3\n", "  Socket errors: connect 0, read 1, write 0, timeout 0\n"} {
		if _, err := readLoad(strings.Replace(report, "Requests/sec", line+"Requests/sec", 1)); err == nil {
			t.Errorf("readLoad with %q gives no error", strings.TrimSpace(line))
		}
	}
	if _, err := readLoad("wrk: command failed"); err == nil {
		t.Error("readLoad of nothing gives no error")
	}
}

func TestSummaryNamesGoalsThatAreNotMet(t *testing.T) {
	lines := []line{
		{section: "small", name: "bearer", unit: "×", values: []float64{1.2, 1.3, 1.3}, goal: 1.25},
		{section: "small", name: "session", unit: "×", values: []float64{1.2}, goal: 1.35},
		{section: "memory", name: "at start", unit: "MiB", values: []float64{50}},
		{section: "cold", name: "bearer", goal: 5, err: errUsedUp},
		{section: "telemetry", name: "bearer", goal: 1.08, skipped: "not there"},
		{section: "tls", name: wholeSection, err: errUsedUp},
	}
	want := "goals not met: 1 of 4: small / bearer (1.30 ×, want ≤ 1.25)\ngoals not measured: cold / bearer; telemetry / bearer; tls / all of it"
	if got := summary(lines); got != want {
		t.Errorf("summary = %s\nwant %s", got, want)
	}
	if got := summary(lines[1:3]); got != "goals not met: none of 1" {
		t.Errorf("summary = %s", got)
	}
}

func TestTableShowsWhatThereIs(t *testing.T) {
	list := []section{{name: "small", title: "little"}, {name: "cold", title: "new"}, {name: "peers", title: "others"}}
	lines := []line{
		{
			section: "small", name: "bearer", unit: "×", values: []float64{1, 2, 3}, goal: 1.25,
			runs: []sample{{cpu: time.Millisecond}}, beside: []sample{{cpu: time.Microsecond}},
		},
		{section: "cold", name: "tokens", err: errUsedUp},
	}
	var text strings.Builder
	printTable(&text, list, lines)
	for _, want := range []string{"small: little\n", "2.00", "[1.50–2.50]", "≤ 1.25", "NOT MET", "1000.0", "FAILED cold / tokens: every line"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "peers") {
		t.Errorf("a section without rows is shown:\n%s", text.String())
	}
}
