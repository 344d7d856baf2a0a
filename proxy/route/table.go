package route

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"gatehouse/internal/conf"
	"gatehouse/proxy/canon"
)

// Table finds the route of a request. It is immutable and safe for concurrent
// use.
type Table struct {
	hosts   map[string]*node
	methods map[string]uint64
	rules   []rule
}

// rule is a compiled Match: what Misses and Shadowed look at one by one.
type rule struct {
	hosts    []string
	patterns []pattern
	methods  methods
	// variables is true when a pattern sets a path variable.
	variables bool
}

// methods are the methods a rule takes, as bits: plain for ordinary requests,
// socket for web sockets, which are always GET.
type methods struct{ plain, socket uint64 }

func (m methods) has(bit uint64, websocket bool) bool {
	if websocket {
		return m.socket&bit != 0
	}
	return m.plain&bit != 0
}

// with returns the union of the two sets.
func (m methods) with(other methods) methods {
	return methods{m.plain | other.plain, m.socket | other.socket}
}

// covers reports whether m has all that other has.
func (m methods) covers(other methods) bool {
	return other.plain&^m.plain == 0 && other.socket&^m.socket == 0
}

// node is a place in the tree of path segments of one host.
type node struct {
	least int              // the lowest route at this node or below
	names map[string]*node // literal segments
	globs []edge           // segments with "*" inside
	any   *node            // the segment "*"
	here  []candidate      // patterns that end here
	deep  []candidate      // patterns that end here in "**"
}

type edge struct {
	segment segment
	to      *node
}

// candidate is a route whose pattern ended, in the order of the routes.
type candidate struct {
	route   int
	methods methods
}

// Error is a mistake in one route.
type Error struct {
	// Route is the index into the routes given to Compile.
	Route int
	// Pos is the position of its match; zero if it came from no file.
	Pos conf.Pos
	// Text says what is wrong.
	Text string
}

// Error gives position, index and text.
func (e *Error) Error() string {
	if e.Pos.Line == 0 {
		return fmt.Sprintf("route %d: %s", e.Route, e.Text)
	}
	return fmt.Sprintf("%s: %s", e.Pos, e.Text)
}

// Compile builds the table. hosts are the canonical hosts (canon.Host) of the
// public URLs; defaultHost, one of them, is the host of routes that name none.
// The error joins one *Error for each mistake of every route.
func Compile(routes []Match, defaultHost string, hosts []string) (*Table, error) {
	t := &Table{hosts: map[string]*node{}, methods: map[string]uint64{}}
	for i, name := range canon.Methods() {
		t.methods[name] = 1 << i
	}
	t.rules = make([]rule, 0, len(routes))
	var errs []error
	for i := range routes {
		r, mistakes := t.compile(&routes[i], defaultHost, hosts)
		for _, text := range mistakes {
			errs = append(errs, &Error{Route: i, Pos: routes[i].Pos, Text: text})
		}
		t.rules = append(t.rules, r)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for i, r := range t.rules {
		for _, h := range r.hosts {
			for _, p := range r.patterns {
				t.insert(h, p, candidate{i, r.methods})
			}
		}
	}
	return t, nil
}

func (t *Table) compile(m *Match, defaultHost string, hosts []string) (r rule, mistakes []string) {
	patterns, problems := m.read()
	for _, p := range problems {
		mistakes = append(mistakes, p.text)
	}
	if mistakes != nil {
		return r, mistakes
	}
	r.hosts = []string{defaultHost}
	if len(m.Host) > 0 {
		r.hosts = nil
	}
	for _, h := range m.Host {
		host, ok := among(h, hosts)
		if !ok {
			mistakes = append(mistakes, fmt.Sprintf("host %q is not the host of a public_url; there are %s", h, strings.Join(hosts, ", ")))
		}
		r.hosts = append(r.hosts, host)
	}
	if r.patterns = patterns; len(patterns) == 0 {
		r.patterns = []pattern{{deep: true}}
	}
	r.variables = slices.ContainsFunc(patterns, func(p pattern) bool { return len(p.names) > 0 })
	r.methods = t.methodsOf(m)
	return r, mistakes
}

// among finds the canonical host that name spells, with or without the default
// port of either scheme.
func among(name string, hosts []string) (string, bool) {
	for _, secure := range []bool{true, false} {
		if h, ok := canon.Host(name, secure); ok && slices.Contains(hosts, h) {
			return h, true
		}
	}
	return "", false
}

// unknownMethod is the bit of methods nobody knows. canon refuses them; should
// one come, only routes for every method take it.
const unknownMethod = 1 << 63

func (t *Table) methodsOf(m *Match) methods {
	set := methods{plain: math.MaxUint64}
	if len(m.Methods) > 0 {
		set.plain = 0
	}
	for _, name := range m.Methods {
		set.plain |= t.methods[name]
		if name == "GET" {
			set.plain |= t.methods["HEAD"]
		}
	}
	set.socket = set.plain & t.methods["GET"]
	switch {
	case m.Websocket == nil:
	case *m.Websocket:
		set.plain = 0
	default:
		set.socket = 0
	}
	return set
}

// insert adds a pattern. Routes come in order, so the first one at a node is
// the lowest.
func (t *Table) insert(host string, p pattern, c candidate) {
	n := t.hosts[host]
	if n == nil {
		n = &node{least: c.route}
		t.hosts[host] = n
	}
	for _, s := range p.segments {
		n = n.child(s, c.route)
	}
	if p.deep {
		n.deep = add(n.deep, c)
	} else {
		n.here = add(n.here, c)
	}
}

// add appends c unless earlier candidates take all it takes. So a list is never
// longer than there are methods, however many routes share the pattern.
func add(list []candidate, c candidate) []candidate {
	var taken methods
	for _, earlier := range list {
		taken = taken.with(earlier.methods)
	}
	if taken.covers(c.methods) {
		return list
	}
	return append(list, c)
}

func (n *node) child(s segment, route int) *node {
	if s == star {
		if n.any == nil {
			n.any = &node{least: route}
		}
		return n.any
	}
	if s.wild {
		for _, e := range n.globs {
			if e.segment == s {
				return e.to
			}
		}
		n.globs = append(n.globs, edge{s, &node{least: route}})
		return n.globs[len(n.globs)-1].to
	}
	next := n.names[s.text]
	if next == nil {
		next = &node{least: route}
		if n.names == nil {
			n.names = map[string]*node{}
		}
		n.names[s.text] = next
	}
	return next
}

// Find returns the index of the first route that takes the request, or false.
// host, path and method are those of a canonical request (canon.Request); path
// is the decoded one. It allocates nothing.
func (t *Table) Find(host, path, method string, websocket bool) (index int, ok bool) {
	root := t.hosts[host]
	if root == nil || path == "" || path[0] != '/' {
		return 0, false
	}
	bit, known := t.methods[method]
	if !known {
		bit = unknownMethod
	}
	q := query{bit, websocket}
	index = q.find(root, strings.TrimSuffix(path[1:], "/"), len(t.rules))
	return index, index < len(t.rules)
}

// query is the part of a request that does not change on the way down.
type query struct {
	method    uint64
	websocket bool
}

// find returns the lowest route below best, at n or under it, that takes the
// rest of the path; best if there is none.
func (q query) find(n *node, rest string, best int) int {
	if n == nil || n.least >= best {
		return best
	}
	best = q.first(n.deep, best)
	if rest == "" {
		return q.first(n.here, best)
	}
	part, rest, _ := strings.Cut(rest, "/")
	best = q.find(n.names[part], rest, best)
	for i := range n.globs {
		if e := &n.globs[i]; e.to.least < best && e.segment.takes(part) {
			best = q.find(e.to, rest, best)
		}
	}
	if part == "" {
		return best
	}
	return q.find(n.any, rest, best)
}

func (q query) first(list []candidate, best int) int {
	for i := range list {
		c := &list[i]
		if c.route >= best {
			break
		}
		if c.methods.has(q.method, q.websocket) {
			return c.route
		}
	}
	return best
}
