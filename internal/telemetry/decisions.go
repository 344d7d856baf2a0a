package telemetry

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Decisions count what is decided by one generation of the configuration.
type Decisions struct {
	vec    *prometheus.CounterVec
	routes []routeDecisions
}

// routeDecisions are the counters of one route that were needed so far: a few of
// many. Readers look through a list that is never changed, only replaced.
type routeDecisions struct {
	name string
	seen atomic.Pointer[[]counter]
	mu   sync.Mutex // held while seen is replaced
}

type counter struct {
	decision, reason string
	prometheus.Counter
}

// Decisions returns counters for these routes, in this order. Routes of the
// same name share their figures over generations.
func (m *Metrics) Decisions(routes []string) *Decisions {
	d := &Decisions{vec: m.decisions, routes: make([]routeDecisions, len(routes))}
	for i, name := range routes {
		d.routes[i].name = name
	}
	return d
}

// Count counts one decision about a route, by its index. Decision and reason
// are words of closed lists. The first of a kind costs a look-up, any other one
// atomic addition. A route that does not exist is not counted.
func (d *Decisions) Count(route int, decision, reason string) {
	if route < 0 || route >= len(d.routes) {
		return
	}
	rt := &d.routes[route]
	if c := rt.find(decision, reason); c != nil {
		c.Inc()
		return
	}
	rt.add(d.vec, decision, reason).Inc()
}

func (rt *routeDecisions) find(decision, reason string) prometheus.Counter {
	seen := rt.seen.Load()
	if seen == nil {
		return nil
	}
	for i := range *seen {
		if c := &(*seen)[i]; c.reason == reason && c.decision == decision {
			return c.Counter
		}
	}
	return nil
}

func (rt *routeDecisions) add(vec *prometheus.CounterVec, decision, reason string) prometheus.Counter {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if c := rt.find(decision, reason); c != nil {
		return c
	}
	var list []counter
	if seen := rt.seen.Load(); seen != nil {
		list = slices.Clone(*seen)
	}
	c := vec.WithLabelValues(rt.name, decision, reason)
	list = append(list, counter{decision, reason, c})
	rt.seen.Store(&list)
	return c
}

// Forget drops the figures of routes that no longer exist.
func (m *Metrics) Forget(routes []string) {
	m.traffic.forgetRoutes(routes)
	for _, name := range routes {
		m.decisions.DeletePartialMatch(prometheus.Labels{"route": name})
	}
}
