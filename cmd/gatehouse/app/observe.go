package app

import (
	"context"
	"net/http"

	"gatehouse/internal/accesslog"
	"gatehouse/internal/telemetry"
	"gatehouse/policy"
	"gatehouse/proxy"
	"gatehouse/proxy/principal"
)

// observer writes the access log and counts requests, for one generation. What
// is nil does not.
type observer struct {
	revision  string
	log       *accesslog.Log
	requests  *telemetry.Requests
	upstreams *telemetry.Upstreams // by route
}

// openAccessLog opens the access log, if there is to be one.
func (a *App) openAccessLog() error {
	place := a.config.Telemetry.AccessLog
	if place == telemetry.Off {
		return nil
	}
	sink, err := accesslog.Open(place)
	if err != nil {
		return err
	}
	a.accessSink, a.access = sink, accesslog.New(sink, a.log)
	a.closers = append(a.closers, sink.Close, a.access.Close)
	a.tasks = append(a.tasks, a.access.Run)
	return nil
}

// openObserver makes what is told of each request.
func (a *App) openObserver(g *generation) error {
	o := &observer{revision: g.plan.Revision(), log: a.access}
	if a.metrics != nil {
		o.requests = a.metrics.Requests(g.plan.routeNames())
		names := make([]string, len(g.plan.Config.Routes))
		for i, rt := range g.plan.Config.Routes {
			names[i] = rt.Upstream
		}
		o.upstreams = a.metrics.Upstreams(names)
	}
	if o.log != nil || o.requests != nil {
		g.Observer = o
	}
	return nil
}

// Opened implements proxy.Observer.
func (o *observer) Opened(route int) {
	if o.requests != nil {
		o.requests.Opened(route)
	}
}

// Observe implements proxy.Observer.
func (o *observer) Observe(d *proxy.Observed) {
	if o.requests != nil {
		o.count(d)
	}
	if o.log == nil {
		return
	}
	v, r := d.Verdict, d.Request
	rec := accesslog.Record{
		Time: d.Began.Add(d.Took), RequestID: d.RequestID, TraceParent: first(r.Header["Traceparent"]),
		Method: v.Request.Method, Path: v.Request.Path, Host: v.Request.Host, Protocol: r.Proto, UserAgent: first(r.Header["User-Agent"]),
		Client: v.Client.Addr, Status: d.Status, Route: d.Route, Upstream: d.Upstream, Duration: d.Took, Waited: d.Waited,
		BytesIn: r.ContentLength, BytesOut: d.Sent, Decision: decisionOf(d), Reason: string(v.Reason), Rule: v.Rule, Revision: o.revision,
	}
	if v.Reason == proxy.ReasonPathRejected {
		// What is odd about a path shows only as it came.
		rec.Path = r.URL.EscapedPath()
	}
	if v.Reason == "" {
		rec.Reason = string(proxy.ReasonOurs)
	}
	if id := v.Identity; id != nil {
		rec.Credential, rec.UserID = string(id.Credential), id.Subject
	}
	o.log.Write(&rec)
}

func (o *observer) count(d *proxy.Observed) {
	route, took := d.Verdict.Route, d.Took
	if d.Status == http.StatusSwitchingProtocols {
		o.requests.Closed(route)
		took = -1 // it says how long somebody stayed, not how long they waited
	}
	o.requests.Count(route, d.Verdict.Request.Method, d.Status, took)
	if d.Stripped {
		o.requests.Stripped(route)
	}
	if d.Waited >= 0 {
		o.upstreams.Observe(route, d.Waited)
	}
}

// decisionOf is the word for what became of a request; "" for a page of ours,
// about which nothing is decided.
func decisionOf(d *proxy.Observed) string {
	v := d.Verdict
	switch {
	case v.Reason == "":
		return ""
	case v.Action == proxy.Redirect:
		return "redirect"
	case v.Action == proxy.Forward, d.Upstream != "": // passed on, if in vain
		return policy.OutcomeAllow.String()
	case v.StepsUp():
		return policy.OutcomeStepUp.String()
	}
	return policy.OutcomeDeny.String()
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// readingsOfTraffic are the figures of the access log and of the memory of
// credentials.
func (a *App) readingsOfTraffic(r *telemetry.Readings) {
	if a.access != nil {
		st := a.access.Stats()
		r.AccessLog = &telemetry.AccessLog{Written: st.Written, Dropped: st.Dropped, Failed: st.Failed}
	}
	if a.provider != nil {
		r.SignIns = a.provider.SignIns()
		for channel, st := range a.provider.Outbox.Stats() {
			r.Messages = append(r.Messages, telemetry.Messages{
				Channel: string(channel), Sent: st.Sent, Postponed: st.Postponed, Failed: st.Failed, Waiting: st.Waiting,
			})
		}
	}
	if a.principals != nil {
		st := a.principals.Stats()
		of := func(k principal.Kind) telemetry.Remembered {
			return telemetry.Remembered{Hits: st.Hits[k], Misses: st.Misses[k], Evictions: st.Evictions[k]}
		}
		r.Principals = &telemetry.Principals{
			Session: of(principal.Session), Bearer: of(principal.Bearer), Entries: uint64(st.Entries), Bytes: uint64(st.Bytes),
		}
	}
}

// reopen opens the access log anew, for those who move it away.
func (a *App) reopen(ctx context.Context) {
	if a.accessSink == nil {
		return
	}
	if err := a.accessSink.Reopen(); err != nil {
		a.log.ErrorContext(ctx, "access log not reopened: the old file is written on", "error", err)
	}
}
