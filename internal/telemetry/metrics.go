package telemetry

import (
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

const namespace = "gatehouse"

// Metrics are the figures of one process. They are safe for concurrent use.
type Metrics struct {
	registry  *prometheus.Registry
	decisions *prometheus.CounterVec
	traffic   *traffic
	tokens    *prometheus.CounterVec
	reloads   *prometheus.CounterVec
	info      *prometheus.GaugeVec
	good      prometheus.Gauge
	at        prometheus.Gauge
}

// New returns the figures of a program of this version. read is called each time
// somebody asks, perhaps by several at once; it gives what other parts have
// counted.
func New(version string, read func() Readings) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		traffic:  newTraffic(),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "decisions_total",
			Help: "Decisions of the policy, by route, decision (allow, deny, step_up) and reason. Routes that are open to all are not decided about.",
		}, []string{"route", "decision", "reason"}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "token_verify_total",
			Help: "Bearer tokens that were verified, not remembered, by outcome: ok, or why one was refused.",
		}, []string{"outcome"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "config_reloads_total",
			Help: "Times the configuration was read again, by outcome: loaded, or refused, so that the one before stays.",
		}, []string{"outcome"}),
		info: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "config_info",
			Help: "1 for the revision of the configuration that decides.",
		}, []string{"revision"}),
		good: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "config_last_reload_successful",
			Help: "1 when the configuration could be used the last time it was read, 0 when the one before had to stay.",
		}),
		at: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "config_last_reload_timestamp_seconds",
			Help: "When the configuration that decides was loaded, in seconds since the Unix epoch.",
		}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "1, with the version of the program and of Go.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	for _, outcome := range []string{loaded, refused} {
		m.reloads.WithLabelValues(outcome) // 0 is a figure too
	}
	m.tokens.WithLabelValues(verified)
	m.registry.MustRegister(
		m.decisions, m.traffic, m.tokens, m.reloads, m.info, m.good, m.at, build, readings(read),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// The outcomes of a reload.
const (
	loaded  = "loaded"
	refused = "refused"
)

// verified is the outcome of a token that is good.
const verified = "ok"

// TokenVerified counts a bearer token that was verified, rather than known from
// before. reason is "" for a good one, else a word of the closed list of reasons
// to refuse one.
func (m *Metrics) TokenVerified(reason string) {
	if reason == "" {
		reason = verified
	}
	m.tokens.WithLabelValues(reason).Inc()
}

// Began notes the configuration that the program started with.
func (m *Metrics) Began(revision string) {
	m.info.Reset()
	m.info.WithLabelValues(revision).Set(1)
	m.good.Set(1)
	m.at.Set(float64(time.Now().UnixMilli()) / 1000)
}

// Reloaded notes that a configuration was read again and decides now.
func (m *Metrics) Reloaded(revision string) {
	m.Began(revision)
	m.reloads.WithLabelValues(loaded).Inc()
}

// ReloadRefused notes that a configuration was read again and could not be used.
func (m *Metrics) ReloadRefused() {
	m.good.Set(0)
	m.reloads.WithLabelValues(refused).Inc()
}
