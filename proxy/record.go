package proxy

import (
	"context"
	"time"
)

// ask asks the policy about v, or remembers what it said.
func (g *Gate) ask(ctx context.Context, v *Verdict) {
	v.judged = true
	rt := &g.routes[v.Route]
	if rt.personal {
		if d := v.known.Decision(g.epoch, v.Route, v.at); d != nil {
			v.decision = *d
			return
		}
	}
	var at time.Time
	if g.parts.Recorder == nil {
		v.decision, at = g.parts.Policy.DecideAt(ctx, v.query())
	} else {
		begin := time.Now()
		v.decision, at = g.parts.Policy.DecideAt(ctx, v.query())
		v.took = time.Since(begin)
	}
	if rt.personal {
		v.known.Decided(g.epoch, v.Route, at, v.decision)
	}
}

// record tells the Recorder what the policy said about v, if it was asked.
func (g *Gate) record(v *Verdict, id string) {
	if g.parts.Recorder == nil || !v.judged {
		return
	}
	g.parts.Recorder.Record(Decided{
		RequestID: id, Request: v.Request, Query: v.query(), Decision: v.decision, Route: g.routes[v.Route].Name, Took: v.took,
	})
}
