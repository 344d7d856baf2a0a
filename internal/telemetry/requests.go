package telemetry

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Requests count the requests that one generation of the configuration answers.
// They are safe for concurrent use.
type Requests struct {
	all    *traffic
	routes []routeSlot // the first is of requests that no route takes
}

// routeSlot finds the figures of a route, which exist once it is used.
type routeSlot struct {
	name    string
	figures atomic.Pointer[routeFigures]
}

// Requests returns counters for these routes, in this order. Routes of the same
// name share their figures over generations. A route takes 24 bytes until it is
// used.
func (m *Metrics) Requests(routes []string) *Requests {
	r := &Requests{all: m.traffic, routes: make([]routeSlot, len(routes)+1)}
	for i, name := range routes {
		r.routes[i+1].name = name
	}
	return r
}

// Count counts one answer. route is an index; any that does not exist, such as
// -1, means that no route took the request, and is told as the route "". Methods
// besides the nine of HTTP are told as "other", a status of other than three
// digits as 000. took below zero is not among the durations: what lasts as long
// as somebody likes, as a web socket does, says nothing of how fast answers are.
// The first of a kind costs a look-up, any other one two atomic additions.
func (r *Requests) Count(route int, method string, status int, took time.Duration) {
	r.route(route).kind(kindOf(method, status)).add(took)
}

// Stripped counts a request that came with identity headers, which only the
// gateway may set: somebody's attempt to be taken for somebody else, or another
// proxy's habit.
func (r *Requests) Stripped(route int) { r.route(route).stripped.Add(1) }

// Opened and Closed count web sockets. Each Opened has its Closed with the same
// index, of the same Requests.
func (r *Requests) Opened(route int) {
	f := r.route(route)
	if !f.upgrades.Load() {
		f.upgrades.Store(true)
	}
	f.sockets.Add(1)
}

// Closed is the end of what Opened began.
func (r *Requests) Closed(route int) { r.route(route).sockets.Add(-1) }

func (r *Requests) route(i int) *routeFigures {
	if i++; i < 0 || i >= len(r.routes) {
		i = 0
	}
	slot := &r.routes[i]
	if f := slot.figures.Load(); f != nil {
		return f
	}
	f := r.all.route(slot.name)
	slot.figures.Store(f)
	return f
}

// Upstreams count what one generation of the configuration asks of upstreams.
// They are safe for concurrent use.
type Upstreams struct {
	all   *traffic
	slots []upstreamSlot
}

type upstreamSlot struct {
	name    string
	figures atomic.Pointer[timing]
}

// Upstreams returns histograms for these upstreams, in this order. A name may
// stand several times, so that they may as well be the upstreams of the routes,
// in the order of the routes; "" is none. Upstreams of the same name share their
// figures over generations.
func (m *Metrics) Upstreams(names []string) *Upstreams {
	u := &Upstreams{all: m.traffic, slots: make([]upstreamSlot, len(names))}
	for i, name := range names {
		u.slots[i].name = name
	}
	return u
}

// Observe notes how long one answer took. An index that does not exist, an
// upstream "" and a time below zero are not counted.
func (u *Upstreams) Observe(upstream int, took time.Duration) {
	if upstream < 0 || upstream >= len(u.slots) || u.slots[upstream].name == "" || took < 0 {
		return
	}
	slot := &u.slots[upstream]
	t := slot.figures.Load()
	if t == nil {
		t = u.all.upstream(slot.name)
		slot.figures.Store(t)
	}
	t.add(took)
}

// routeFigures are what is counted of one route, over generations.
type routeFigures struct {
	stripped atomic.Uint64
	sockets  atomic.Int64
	upgrades atomic.Bool // it had a web socket

	// seen are the kinds of answers so far, in order: a few of many. The list is
	// never changed, only replaced.
	seen atomic.Pointer[[]series]
	mu   sync.Mutex // held while seen is replaced
}

// series are the answers of one kind.
type series struct {
	kind
	*timing
}

func (f *routeFigures) kinds() []series {
	if seen := f.seen.Load(); seen != nil {
		return *seen
	}
	return nil
}

// kind returns the figures of a kind of answer.
func (f *routeFigures) kind(k kind) *timing {
	seen := f.kinds()
	if i, ok := find(seen, k); ok {
		return seen[i].timing
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	seen = f.kinds()
	i, ok := find(seen, k)
	if ok {
		return seen[i].timing
	}
	t := &timing{}
	list := slices.Insert(slices.Clone(seen), i, series{k, t})
	f.seen.Store(&list)
	return t
}

// find returns where k stands in a list, or belongs. It is written out because a
// comparing function costs more than the search.
func find(list []series, k kind) (int, bool) {
	low, high := 0, len(list)
	for low < high {
		if mid := (low + high) / 2; list[mid].kind < k {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, low < len(list) && list[low].kind == k
}

// kind is a method, by its index in methods, and a status.
type kind uint16

const statusBits = 10

// methods are those of RFC 9110 and 5789: a list that clients cannot make
// longer. The first stands for all others.
var methods = [...]string{"other", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"}

func kindOf(method string, status int) kind {
	if status < 100 || status > 999 {
		status = 0
	}
	return kind(methodIndex(method)<<statusBits | status)
}

func methodIndex(method string) int {
	switch method { // the usual ones without a search
	case "GET":
		return 1
	case "POST":
		return 3
	}
	return max(slices.Index(methods[:], method), 0)
}

// labels are the method and the status, three digits.
func (k kind) labels() (method, code string) {
	status := k & (1<<statusBits - 1)
	return methods[k>>statusBits], string([]byte{byte('0' + status/100), byte('0' + status/10%10), byte('0' + status%10)})
}
