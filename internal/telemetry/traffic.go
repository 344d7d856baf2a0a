package telemetry

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// bounds are the upper bounds of the buckets of durations, those that
// OpenTelemetry names for HTTP.
var bounds = [...]time.Duration{
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond, 75 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, 750 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 7500 * time.Millisecond, 10 * time.Second,
}

const (
	longer  = len(bounds) // the bucket of what took longer than all of them
	untimed = longer + 1  // what was counted without a duration
)

// timing counts answers and how long they took: 136 bytes, where a histogram of
// the library takes eight times as much. That is what lets each kind of answer of a
// route have its own, so that an answer is counted once and not once for each
// metric. The zero value is ready for use.
type timing struct {
	answers [untimed + 1]atomic.Uint64
	// micros is the sum. In nanoseconds it would overflow within a month where
	// thousands wait at once.
	micros atomic.Uint64
}

// add counts an answer; a duration below zero is none.
func (t *timing) add(took time.Duration) {
	if took < 0 {
		t.answers[untimed].Add(1)
		return
	}
	bucket := 0
	for bucket < longer && took > bounds[bucket] {
		bucket++ // most answers are fast
	}
	t.answers[bucket].Add(1)
	t.micros.Add(uint64((took + 500) / time.Microsecond))
}

// read adds the durations to s and returns how many answers there were. Answers
// that are counted meanwhile may be in one of its figures and not in another; no
// figure ever shrinks.
func (t *timing) read(s *sums) (answers uint64) {
	for i := range t.answers {
		n := t.answers[i].Load()
		answers += n
		s[i] += n
	}
	s[untimed+1] += t.micros.Load()
	return answers
}

// sums are what timings add up to: answers as in timing, then microseconds.
type sums [untimed + 2]uint64

// histogram is s as a metric, nil when nothing has a duration.
func (s *sums) histogram(d *prometheus.Desc, labels ...string) prometheus.Metric {
	var count uint64
	buckets := make(map[float64]uint64, len(bounds))
	for i, bound := range bounds {
		count += s[i]
		buckets[bound.Seconds()] = count
	}
	if count += s[longer]; count == 0 {
		return nil
	}
	return prometheus.MustNewConstHistogram(d, count, float64(s[untimed+1])/1e6, buckets, labels...)
}

// traffic holds the figures of routes and upstreams, by name, for all
// generations. It implements prometheus.Collector.
type traffic struct {
	mu        sync.Mutex
	routes    map[string]*routeFigures
	upstreams map[string]*timing
}

func newTraffic() *traffic {
	return &traffic{routes: map[string]*routeFigures{}, upstreams: map[string]*timing{}}
}

func (t *traffic) route(name string) *routeFigures {
	t.mu.Lock()
	defer t.mu.Unlock()
	return figures(t.routes, name)
}

func (t *traffic) upstream(name string) *timing {
	t.mu.Lock()
	defer t.mu.Unlock()
	return figures(t.upstreams, name)
}

// figures returns what is counted under a name, from the first time on.
func figures[F any](of map[string]*F, name string) *F {
	name = strings.ToValidUTF8(name, "\ufffd") // a label must be
	f := of[name]
	if f == nil {
		f = new(F)
		of[name] = f
	}
	return f
}

func (t *traffic) forgetRoutes(names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range names {
		delete(t.routes, name)
	}
}

// ForgetUpstreams drops the figures of upstreams that no longer exist.
func (m *Metrics) ForgetUpstreams(names []string) {
	t := m.traffic
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range names {
		delete(t.upstreams, name)
	}
}

var (
	httpRequests = describe("http_requests_total",
		"Requests that were answered, by route, method and status. The route is empty for those that no route took, pages of the gateway among them.", "route", "method", "code")
	httpDuration = describe("http_request_duration_seconds",
		"How long requests took, from their head to the end of the answer, by route. Web sockets are not among them.", "route")
	upstreamDuration = describe("upstream_request_duration_seconds",
		"How long upstreams took to answer, by upstream.", "upstream")
	socketsOpen = describe("websockets_open",
		"Web sockets that are open now, by route.", "route")
	headersStripped = describe("identity_headers_stripped_total",
		"Requests that came with identity headers, which only the gateway may set, by route; they were removed.", "route")
)

// Describe implements prometheus.Collector.
func (t *traffic) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{httpRequests, httpDuration, upstreamDuration, socketsOpen, headersStripped} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (t *traffic) Collect(to chan<- prometheus.Metric) {
	t.mu.Lock()
	routes, upstreams := maps.Clone(t.routes), maps.Clone(t.upstreams)
	t.mu.Unlock()
	for name, f := range routes {
		f.collect(name, to)
	}
	for name, u := range upstreams {
		var s sums
		u.read(&s)
		if h := s.histogram(upstreamDuration, name); h != nil {
			to <- h
		}
	}
}

func (f *routeFigures) collect(name string, to chan<- prometheus.Metric) {
	var all sums
	for _, s := range f.kinds() {
		method, code := s.labels()
		n := s.read(&all)
		to <- prometheus.MustNewConstMetric(httpRequests, prometheus.CounterValue, float64(n), name, method, code)
	}
	if h := all.histogram(httpDuration, name); h != nil {
		to <- h
	}
	to <- prometheus.MustNewConstMetric(headersStripped, prometheus.CounterValue, float64(f.stripped.Load()), name)
	if f.upgrades.Load() {
		to <- prometheus.MustNewConstMetric(socketsOpen, prometheus.GaugeValue, float64(f.sockets.Load()), name)
	}
}
