package risk

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxAddresses is how many addresses are remembered.
	maxAddresses = 50_000
	// maxOften is how many of them may be those that come often, so that
	// newcomers always have room enough to be counted.
	maxOften = maxAddresses / 5 * 4
	// forgetAtOnce is how many addresses that have been quiet for a window are
	// forgotten whenever a new one comes: more than one, so that the table
	// shrinks after a flood, and few, so that nobody waits for it.
	forgetAtOnce = 4
)

// Addresses counts what one address does: wrong passwords, pages opened. It
// lives in memory and stands before the queue of password checks: its task is
// to keep one address from filling that queue, or the store, and not to protect
// an account, for which tries are counted in the store.
//
// When the table is full, an address that came once goes before one that comes
// often, and the one that has been quiet longest first: strangers, who are
// cheap to invent in IPv6, do not push out those that are being counted. Every
// step takes the same time, however many there are. It is safe for concurrent
// use.
type Addresses struct {
	mu     sync.Mutex
	limit  int
	window time.Duration
	// seen holds the elements of once and often, whose values are *bucket, the
	// latest in front.
	seen        map[netip.Prefix]*list.Element
	once, often *list.List
}

// bucket leaks: it holds level events, of which limit flow out per window.
type bucket struct {
	key   netip.Prefix
	level float64
	at    time.Time
	often bool
}

// NewAddresses returns a count that lets each address do limit things in window.
func NewAddresses(limit int, window time.Duration) *Addresses {
	return &Addresses{limit: limit, window: window, seen: map[netip.Prefix]*list.Element{}, once: list.New(), often: list.New()}
}

// Take counts an event from addr, and for a password a failure, for now; Give
// takes that back. It returns how long the address must wait when it may not
// try, else zero. An unknown address has a bucket of its own, so that it is not
// unlimited.
func (a *Addresses) Take(addr netip.Addr, now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.find(Network(addr), now)
	if over := b.level + 1 - float64(a.limit); over > 0 {
		return time.Duration(over * float64(a.window) / float64(a.limit))
	}
	b.level++
	return 0
}

// Give takes back one try that was not a failure.
func (a *Addresses) Give(addr netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.seen[Network(addr)]; e != nil {
		b := e.Value.(*bucket)
		b.level = max(0, b.level-1)
	}
}

// find returns the bucket of an address, as full as it is now, and makes one for
// a new address.
func (a *Addresses) find(key netip.Prefix, now time.Time) *bucket {
	e := a.seen[key]
	if e == nil {
		a.makeRoom(now)
		b := &bucket{key: key, at: now}
		a.seen[key] = a.once.PushFront(b)
		return b
	}
	b := e.Value.(*bucket)
	a.leak(b, now)
	switch {
	case b.often:
		a.often.MoveToFront(e)
	case b.level > 0:
		a.promote(e)
	default:
		// What came before has flowed out: it is as good as new.
		a.once.MoveToFront(e)
	}
	return b
}

// promote moves an address to those that come often, and when these are too
// many the quietest of them back.
func (a *Addresses) promote(e *list.Element) {
	b := a.once.Remove(e).(*bucket)
	b.often = true
	a.seen[b.key] = a.often.PushFront(b)
	if a.often.Len() > maxOften {
		quiet := a.often.Remove(a.often.Back()).(*bucket)
		quiet.often = false
		a.seen[quiet.key] = a.once.PushFront(quiet)
	}
}

func (a *Addresses) leak(b *bucket, now time.Time) {
	if passed := now.Sub(b.at); passed > 0 {
		b.level = max(0, b.level-float64(a.limit)*float64(passed)/float64(a.window))
		b.at = now
	}
}

// makeRoom forgets a few addresses that have been quiet for a window, and if
// that leaves no room, one that came once.
func (a *Addresses) makeRoom(now time.Time) {
	for _, l := range []*list.List{a.once, a.often} {
		for range forgetAtOnce {
			last := l.Back()
			if last == nil || now.Sub(last.Value.(*bucket).at) < a.window {
				break
			}
			a.forget(l, last)
		}
	}
	if len(a.seen) >= maxAddresses {
		// Never empty: maxOften is less than maxAddresses.
		a.forget(a.once, a.once.Back())
	}
}

func (a *Addresses) forget(l *list.List, e *list.Element) {
	delete(a.seen, l.Remove(e).(*bucket).key)
}

// Network returns what counts as one address: IPv4 whole, of IPv6 the first 64
// bits, which is what one customer gets (RFC 6177); the zero Prefix for the zero
// Addr.
func Network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		// The zero Addr: not known where it comes from.
		return netip.Prefix{}
	}
	return p
}
