package signin

import (
	"net/netip"
	"sync"
	"time"
)

// maxAddresses is how many addresses are remembered. When there are more, the
// one that has been quiet longest is forgotten.
const maxAddresses = 50_000

// addresses counts what one address does: wrong passwords, pages opened. It
// lives in memory and stands before the queue of password checks: its task is
// to keep one address from filling that queue, or the store, and not to protect
// an account, for which tries are counted in the store.
type addresses struct {
	mu     sync.Mutex
	limit  int
	window time.Duration
	seen   map[netip.Prefix]*bucket
}

// bucket leaks: it holds level events, of which limit flow out per window.
type bucket struct {
	level float64
	at    time.Time
}

func newAddresses(limit int, window time.Duration) *addresses {
	return &addresses{limit: limit, window: window, seen: map[netip.Prefix]*bucket{}}
}

// take counts an event from addr, and for a password a failure, for now; give
// takes that back. It
// returns how long the address must wait when it may not try, else zero. An
// unknown address has a bucket of its own, so that it is not unlimited.
func (a *addresses) take(addr netip.Addr, now time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := network(addr)
	b := a.seen[key]
	if b == nil {
		a.makeRoom(now)
		b = &bucket{at: now}
		a.seen[key] = b
	}
	a.leak(b, now)
	if over := b.level + 1 - float64(a.limit); over > 0 {
		return time.Duration(over * float64(a.window) / float64(a.limit))
	}
	b.level++
	return 0
}

// give takes back one try that was not a failure.
func (a *addresses) give(addr netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if b := a.seen[network(addr)]; b != nil {
		b.level = max(0, b.level-1)
	}
}

func (a *addresses) leak(b *bucket, now time.Time) {
	if passed := now.Sub(b.at); passed > 0 {
		b.level = max(0, b.level-float64(a.limit)*float64(passed)/float64(a.window))
		b.at = now
	}
}

// makeRoom forgets empty buckets when the table is full, and if there are none
// the one that has been quiet longest.
func (a *addresses) makeRoom(now time.Time) {
	if len(a.seen) < maxAddresses {
		return
	}
	var oldest netip.Prefix
	var at time.Time
	for key, b := range a.seen {
		if now.Sub(b.at) >= a.window {
			delete(a.seen, key)
			continue
		}
		if at.IsZero() || b.at.Before(at) {
			oldest, at = key, b.at
		}
	}
	if len(a.seen) >= maxAddresses {
		delete(a.seen, oldest)
	}
}

// network returns what counts as one address: IPv4 whole, of IPv6 the first 64
// bits, which is what one customer gets (RFC 6177).
func network(addr netip.Addr) netip.Prefix {
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
