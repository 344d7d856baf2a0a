package route

import (
	"slices"
	"strings"
)

// Part is the part of a match that did not take a request.
type Part string

// The parts, in the order in which they are looked at.
const (
	Host      Part = "host"
	Path      Part = "path"
	Method    Part = "method"
	Websocket Part = "websocket"
)

// Miss tells why a route did not take a request.
type Miss struct {
	// Route is the index of the route.
	Route int
	// Part is the first part of its match that did not fit.
	Part Part
}

// Misses tells for each route before the one that Find returns, or for every
// route if it returns none, why it did not take the request. It looks at them
// one by one: it is for explanations, not for requests.
func (t *Table) Misses(host, path, method string, websocket bool) []Miss {
	found, ok := t.Find(host, path, method, websocket)
	if !ok {
		found = len(t.rules)
	}
	bit, known := t.methods[method]
	if !known {
		bit = unknownMethod
	}
	list := make([]Miss, 0, found)
	for i := range t.rules[:found] {
		list = append(list, Miss{i, t.rules[i].miss(host, path, query{bit, websocket})})
	}
	return list
}

func (r *rule) miss(host, path string, q query) Part {
	switch {
	case !slices.Contains(r.hosts, host):
		return Host
	case !slices.ContainsFunc(r.patterns, func(p pattern) bool { return p.takes(path) }):
		return Path
	case r.methods.plain&q.method == 0 && r.methods.socket&q.method == 0:
		return Method
	}
	return Websocket
}

// takes reports whether p takes path, without the tree.
func (p pattern) takes(path string) bool {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return false
	}
	rest = strings.TrimSuffix(rest, "/")
	for _, s := range p.segments {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		if !s.takes(part) {
			return false
		}
	}
	return rest == "" || p.deep
}

// Shadow is a route that can never be reached.
type Shadow struct {
	// Route is the index of the route.
	Route int
	// By are the earlier routes that together take all it takes, in order.
	By []int
}

// Shadowed returns the routes that no request can reach, because for each of
// their hosts and paths earlier routes with the same or a wider pattern take
// every method and kind they take. It never accuses a route wrongly; a path
// that several narrower patterns only together use up is not found.
func (t *Table) Shadowed() []Shadow {
	var list []Shadow
	for i := range t.rules {
		if by, dead := t.shadow(i); dead {
			list = append(list, Shadow{i, by})
		}
	}
	return list
}

func (t *Table) shadow(route int) (by []int, dead bool) {
	r := &t.rules[route]
	for _, h := range r.hosts {
		for _, p := range r.patterns {
			list := t.hosts[h].covering(p.segments, p.deep, route, nil)
			slices.SortFunc(list, func(a, b candidate) int { return a.route - b.route })
			var taken methods
			for _, c := range list {
				if more := taken.with(c.methods); more != taken && !taken.covers(r.methods) {
					taken, by = more, append(by, c.route)
				}
			}
			if !taken.covers(r.methods) {
				return nil, false
			}
		}
	}
	slices.Sort(by)
	return slices.Compact(by), true
}

// covering collects the candidates of routes before the given one whose
// patterns take every path that a pattern with these segments takes.
func (n *node) covering(segments []segment, deep bool, before int, list []candidate) []candidate {
	if n == nil || n.least >= before {
		return list
	}
	list = appendBefore(list, n.deep, before)
	if len(segments) == 0 {
		if deep {
			return list
		}
		return appendBefore(list, n.here, before)
	}
	s, rest := segments[0], segments[1:]
	if !s.wild {
		list = n.names[s.text].covering(rest, deep, before, list)
	}
	for _, e := range n.globs {
		if e.segment.covers(s) {
			list = e.to.covering(rest, deep, before, list)
		}
	}
	return n.any.covering(rest, deep, before, list)
}

func appendBefore(list, more []candidate, before int) []candidate {
	for _, c := range more {
		if c.route < before {
			list = append(list, c)
		}
	}
	return list
}
