package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Readings are figures that other parts count themselves. Counts only grow while
// the process runs.
type Readings struct {
	// MemoryHits and MemoryMisses tell how often a decision was remembered, and
	// how often it could have been but was not.
	MemoryHits, MemoryMisses uint64
	// Bundles are the bundles of the policy that decides.
	Bundles []Bundle
	// Log is nil when decisions are not logged.
	Log *Log
	// Shadow is nil when no other policy decides beside the live one.
	Shadow *Shadow
	// AccessLog is nil when requests are not logged.
	AccessLog *AccessLog
	// Principals is nil when credentials are not remembered.
	Principals *Principals
	// SignIns are the outcomes of sign-ins, of a closed list, and how often each
	// came; nil without a provider.
	SignIns map[string]uint64
	// Messages are those to people, by channel.
	Messages []Messages
}

// Bundle is what is known of getting one bundle.
type Bundle struct {
	// Name is the bundle as configured, without what is secret of a URL.
	Name string
	// Success is when it was last had or found unchanged; zero for never.
	Success time.Time
	// Errors is how often getting or using it failed.
	Errors uint64
}

// Log is what became of the decisions that were to be logged.
type Log struct {
	// Recorded were written, Sampled left out on purpose, Dropped left out for
	// want of room in the queue, and Failed could not be written.
	Recorded, Sampled, Dropped, Failed uint64
}

// Shadow is how the decisions of the shadow policy compare with the live ones.
type Shadow struct {
	// Same and Different were compared; Dropped were not, for want of time.
	Same, Different, Dropped uint64
}

// AccessLog is what became of the requests that were to be logged.
type AccessLog struct {
	// Written were logged, Dropped left out for want of room, and Failed could not
	// be written.
	Written, Dropped, Failed uint64
}

// Principals is what is remembered of credentials.
type Principals struct {
	// Session and Bearer tell how often each kind of credential was known.
	Session, Bearer Remembered
	// Entries are remembered now, in about so many Bytes.
	Entries, Bytes uint64
}

// Messages is what became of the messages of one channel.
type Messages struct {
	// Channel is email or sms.
	Channel string
	// Sent were delivered, Postponed are tries that failed and are repeated, and
	// Failed were given up. Waiting are in the outbox now.
	Sent, Postponed, Failed, Waiting uint64
}

// Remembered is how often one kind of credential was known from before.
type Remembered struct {
	// Hits were known and Misses were not. Evictions were forgotten for want of
	// room, before they ended.
	Hits, Misses, Evictions uint64
}

// readings collects Readings when somebody asks.
type readings func() Readings

var (
	memoryHits = describe("policy_memory_hits_total",
		"Decisions that were answered from memory.")
	memoryMisses = describe("policy_memory_misses_total",
		"Decisions that could be remembered but had to be evaluated.")
	bundleSuccess = describe("policy_bundle_last_success_timestamp_seconds",
		"When a bundle was last had or found unchanged, in seconds since the Unix epoch; 0 for never.", "bundle")
	bundleErrors = describe("policy_bundle_errors_total",
		"Times that a bundle could not be had or not be used.", "bundle")
	logEvents = describe("decision_log_events_total",
		"Decisions that were to be logged, by outcome: recorded, sampled (left out on purpose), dropped (the queue was full), failed.", "outcome")
	accessEvents = describe("access_log_events_total",
		"Requests that were to be logged, by outcome: written, dropped (too many waited), failed.", "outcome")
	principalHits = describe("principal_cache_hits_total",
		"Credentials that were known from before, by kind: session, bearer.", "kind")
	principalMisses = describe("principal_cache_misses_total",
		"Credentials that had to be opened or verified, by kind: session, bearer.", "kind")
	principalEvictions = describe("principal_cache_evictions_total",
		"Credentials that were forgotten for want of room, by kind: session, bearer.", "kind")
	principalEntries = describe("principal_cache_entries",
		"Credentials that are remembered now.")
	principalBytes = describe("principal_cache_bytes",
		"About how many bytes the remembered credentials take.")
	signIns = describe("sign_ins_total",
		"Sign-ins at the provider, by outcome: signed_in, or why an answer was refused.", "outcome")
	messageEvents = describe("message_deliveries_total",
		"Tries to deliver messages to people, by channel (email, sms) and outcome: sent, postponed (to be tried again), failed (given up).", "channel", "outcome")
	messagesWaiting = describe("messages_waiting",
		"Messages to people that wait to be delivered, by channel.", "channel")
	shadowDecisions = describe("shadow_decisions_total",
		"Decisions of the shadow policy, by outcome: same as the live one, different, dropped (not compared).", "outcome")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

// Describe implements prometheus.Collector.
func (readings) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		memoryHits, memoryMisses, bundleSuccess, bundleErrors, logEvents, shadowDecisions, accessEvents,
		principalHits, principalMisses, principalEvictions, principalEntries, principalBytes, messageEvents, messagesWaiting, signIns,
	} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (read readings) Collect(to chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, n uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	now := read()
	count(memoryHits, now.MemoryHits)
	count(memoryMisses, now.MemoryMisses)
	for _, b := range now.Bundles {
		at := 0.0
		if !b.Success.IsZero() {
			at = float64(b.Success.UnixMilli()) / 1000
		}
		to <- prometheus.MustNewConstMetric(bundleSuccess, prometheus.GaugeValue, at, b.Name)
		count(bundleErrors, b.Errors, b.Name)
	}
	if l := now.Log; l != nil {
		count(logEvents, l.Recorded, "recorded")
		count(logEvents, l.Sampled, "sampled")
		count(logEvents, l.Dropped, "dropped")
		count(logEvents, l.Failed, "failed")
	}
	if s := now.Shadow; s != nil {
		count(shadowDecisions, s.Same, "same")
		count(shadowDecisions, s.Different, "different")
		count(shadowDecisions, s.Dropped, "dropped")
	}
	if a := now.AccessLog; a != nil {
		count(accessEvents, a.Written, "written")
		count(accessEvents, a.Dropped, "dropped")
		count(accessEvents, a.Failed, "failed")
	}
	for outcome, n := range now.SignIns {
		count(signIns, n, outcome)
	}
	for _, m := range now.Messages {
		count(messageEvents, m.Sent, m.Channel, "sent")
		count(messageEvents, m.Postponed, m.Channel, "postponed")
		count(messageEvents, m.Failed, m.Channel, "failed")
		to <- prometheus.MustNewConstMetric(messagesWaiting, prometheus.GaugeValue, float64(m.Waiting), m.Channel)
	}
	if p := now.Principals; p != nil {
		p.collect(to)
	}
}

func (p *Principals) collect(to chan<- prometheus.Metric) {
	tell := func(d *prometheus.Desc, kind prometheus.ValueType, n uint64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, float64(n), labels...)
	}
	for _, of := range []struct {
		kind string
		Remembered
	}{{"session", p.Session}, {"bearer", p.Bearer}} {
		tell(principalHits, prometheus.CounterValue, of.Hits, of.kind)
		tell(principalMisses, prometheus.CounterValue, of.Misses, of.kind)
		tell(principalEvictions, prometheus.CounterValue, of.Evictions, of.kind)
	}
	tell(principalEntries, prometheus.GaugeValue, p.Entries)
	tell(principalBytes, prometheus.GaugeValue, p.Bytes)
}
