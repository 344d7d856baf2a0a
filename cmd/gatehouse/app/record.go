package app

import (
	"gatehouse/internal/telemetry"
	"gatehouse/policy/declog"
	"gatehouse/proxy"
	"gatehouse/proxy/whatif"
)

// recorder tells of each decision those who want to know. What is nil does not.
type recorder struct {
	revision string // of the plan
	counts   *telemetry.Decisions
	log      *declog.Log
	shadow   *whatif.Shadow
}

func (rec *recorder) any() bool { return rec.counts != nil || rec.log != nil || rec.shadow != nil }

// Record implements proxy.Recorder.
func (rec *recorder) Record(d proxy.Decided) {
	if rec.counts != nil {
		rec.counts.Count(d.Query.Route, d.Decision.Outcome.String(), string(d.Decision.Reason))
	}
	if rec.log != nil {
		rec.log.Record(declog.Entry{
			RequestID: d.RequestID, Route: d.Route, Revision: rec.revision, Query: d.Query, Decision: d.Decision,
			Websocket: d.Request.Websocket, Odd: d.Request.Odd.String(), Other: d.Request.Other, At: d.Query.Time, Took: d.Took,
		})
	}
	if rec.shadow != nil {
		rec.shadow.Record(d)
	}
}

// readings are the figures that the parts of the generation of now count. A
// reload that replaces a part begins its count anew.
func (a *App) readings() telemetry.Readings {
	g := a.now.Load()
	if g == nil {
		return telemetry.Readings{}
	}
	memory := g.plan.policy.MemoryStats()
	r := telemetry.Readings{MemoryHits: memory.Hits, MemoryMisses: memory.Misses}
	seen := map[string]bool{}
	for _, s := range g.sources {
		if name := s.entry.Label(); !seen[name] { // the shadow may name it as well
			st := s.Status()
			seen[name] = true
			r.Bundles = append(r.Bundles, telemetry.Bundle{Name: name, Success: st.LastOK, Errors: st.Errors})
		}
	}
	if log := g.record.log; log != nil {
		r.Log = logReading(log.Stats())
	}
	a.readingsOfTraffic(&r)
	if shadow := g.record.shadow; shadow != nil {
		st := shadow.Stats()
		r.Shadow = &telemetry.Shadow{Same: st.Asked - st.Different - st.Unknown, Different: st.Different, Dropped: st.Dropped + st.Unknown}
	}
	return r
}

// logReading adds the places of a log up: a decision that one place lost is
// lost, whatever became of it at another.
func logReading(st declog.Stats) *telemetry.Log {
	l := &telemetry.Log{Recorded: st.Recorded, Sampled: st.SampledOut}
	for _, sink := range st.Sinks {
		l.Dropped += sink.Dropped
		l.Failed += sink.Failed
	}
	return l
}
