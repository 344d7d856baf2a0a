package declog

import (
	"testing"

	"gatehouse/policy"
)

// BenchmarkEncode is what a worker does for one decision.
func BenchmarkEncode(b *testing.B) {
	var cfg policy.LogConfig
	cfg.Defaults()
	m, err := newMask(cfg.Mask)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		e := entry(policy.OutcomeDeny)
		if _, err := newEvent(&e, nil, m).encode(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRecord is what a request pays for, with nobody writing: of a refusal
// that is queued, and of an allowed request that is not of the share.
func BenchmarkRecord(b *testing.B) {
	for name, outcome := range map[string]policy.Outcome{"refused": policy.OutcomeDeny, "sampled out": policy.OutcomeAllow} {
		b.Run(name, func(b *testing.B) {
			l, err := New(config(func(c *policy.LogConfig) { c.File, c.Queue, c.Allows = "-", 1_000_000, 1e-9 }), Options{})
			if err != nil {
				b.Fatal(err)
			}
			e := entry(outcome)
			b.ReportAllocs()
			for b.Loop() {
				l.Record(e)
				select {
				case <-l.outlets[0].queue:
				default:
				}
			}
		})
	}
}
