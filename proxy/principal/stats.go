package principal

import "gatehouse/session"

// Kind is a kind of credential, for the counters.
type Kind uint8

// The kinds.
const (
	Session Kind = iota
	Bearer
	kinds
)

// String returns session or bearer.
func (k Kind) String() string { return [...]string{"session", "bearer"}[k] }

// kindOf is the kind of a credential with this session, nil for a bearer.
func kindOf(s *session.Session) Kind {
	if s == nil {
		return Bearer
	}
	return Session
}

// Stats tells how a cache does. Counts only grow.
type Stats struct {
	// Hits and Misses count look-ups, by Kind, and Evictions the entries that were
	// forgotten for want of room.
	Hits, Misses, Evictions [kinds]uint64
	// Entries is how many there are, and Bytes what they take, about.
	Entries int
	Bytes   int64
}

// Stats returns the figures of now, all zero for a nil Cache. It locks one shard
// after the other.
func (c *Cache) Stats() Stats {
	var sum Stats
	if c == nil {
		return sum
	}
	for i := range c.shards {
		s := &c.shards[i]
		for k := range kinds {
			sum.Hits[k] += s.hits[k].Load()
			sum.Misses[k] += s.misses[k].Load()
			sum.Evictions[k] += s.evictions[k].Load()
		}
		s.mu.RLock()
		sum.Entries += len(s.ring)
		sum.Bytes += s.bytes
		s.mu.RUnlock()
	}
	return sum
}
