package principal

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"gatehouse/session"
)

const (
	// Life is how long an entry is believed at most, however long its credential
	// lives.
	Life = 10 * time.Minute

	// A cache has as many shards, a power of two, as its size is worth.
	maxShards = 256
	shardSize = 4 * maxCost
)

// Scope names what verifies a credential: its kind, configuration and keys, and
// for cookies the host. Credentials of one scope never meet entries of another.
type Scope uint64

// Key names an entry.
type Key struct {
	scope Scope
	sum   [sha256.Size]byte
}

// Key returns the key of a credential, whole and in the one spelling in which it
// came. It copies and allocates nothing.
func (s Scope) Key(credential string) Key {
	// The bytes of a string may be looked at in place; Sum256 writes to none.
	return Key{s, sha256.Sum256(unsafe.Slice(unsafe.StringData(credential), len(credential)))}
}

// Moment is what an entry must agree with. Whoever keeps an entry takes the
// moment before verifying.
type Moment struct {
	// Now is the time.
	Now time.Time
	// Keys is the generation of the keys that verify; 0 where a Scope says it all.
	Keys uint64
	// Revocations is the generation of the feed of revocations.
	Revocations uint64
}

// Cache remembers credentials that were believed. It is safe for concurrent use.
type Cache struct {
	revoked func(*session.Identity) bool
	max     int64 // bytes of one shard
	mu      sync.Mutex
	scopes  map[string]Scope
	shards  []shard
	epochs  atomic.Uint64
}

// shard is a part of the cache: entries by key, and in a ring over which the
// hand of eviction goes round (the "clock" algorithm): an entry that was used
// since the hand passed it is spared once.
type shard struct {
	mu      sync.RWMutex
	entries map[Key]*Entry
	ring    []*Entry
	hand    int
	bytes   int64

	hits, misses [kinds]atomic.Uint64
	evictions    [kinds]atomic.Uint64
	_            [64]byte // shards do not share a line of the processor's cache
}

// New returns a cache of about maxBytes; nil, which remembers nothing, for 0.
// revoked tells whether an identity has been revoked; it does no I/O.
func New(maxBytes int64, revoked func(*session.Identity) bool) *Cache {
	if maxBytes <= 0 {
		return nil
	}
	n := int64(1)
	for n < maxShards && 2*n*shardSize <= maxBytes {
		n *= 2
	}
	return &Cache{revoked: revoked, max: maxBytes / n, scopes: map[string]Scope{}, shards: make([]shard, n)}
}

// Scope returns the scope of that name, always the same one.
func (c *Cache) Scope(name string) Scope {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.scopes[name]
	if !ok {
		s = Scope(len(c.scopes) + 1)
		c.scopes[name] = s
	}
	return s
}

// Epoch returns a number that it has not returned before; 0 for a nil Cache.
// Decisions of one policy have one.
func (c *Cache) Epoch() uint64 {
	if c == nil {
		return 0
	}
	return c.epochs.Add(1)
}

func (c *Cache) shard(k Key) *shard { return &c.shards[int(k.sum[0])&(len(c.shards)-1)] }

// Find returns what is remembered under k and holds at this moment, nil for
// nothing. kind is what k was made of, for the counters.
func (c *Cache) Find(kind Kind, k Key, at Moment) *Entry {
	if c == nil {
		return nil
	}
	s := c.shard(k)
	s.mu.RLock()
	e := s.entries[k]
	s.mu.RUnlock()
	if e == nil || !c.holds(e, at) {
		s.misses[kind].Add(1)
		if e != nil {
			s.drop(e)
		}
		return nil
	}
	if !e.used.Load() {
		e.used.Store(true)
	}
	s.hits[kind].Add(1)
	return e
}

// holds tells whether e is to be believed at this moment.
func (c *Cache) holds(e *Entry, at Moment) bool {
	now := at.Now.UnixNano()
	if now < e.from || now >= e.until || e.keys != at.Keys {
		return false
	}
	if e.revocations.Load() == at.Revocations {
		return true
	}
	if c.revoked(e.Identity) {
		return false
	}
	// As old as the moment at least: what came later is looked at next time.
	e.revocations.Store(at.Revocations)
	return true
}

// Keep remembers that the credential of k was verified at this moment and speaks
// for id, which has not been revoked, unless it takes more than 64 KiB. s is the session of a cookie, nil for a
// bearer. It returns the entry; of a nil Cache, nil.
func (c *Cache) Keep(k Key, at Moment, id *session.Identity, s *session.Session) *Entry {
	if c == nil {
		return nil
	}
	e := newEntry(k, at, id, s)
	e.cache, e.kind = c, kindOf(s)
	if e.until <= at.Now.UnixNano() || e.cost > maxCost {
		return e
	}
	c.shard(k).keep(e, c.max, at.Now.UnixNano())
	return e
}

// keep puts e in the place of an entry of the same key, if there is one, and
// makes room for it.
func (s *shard) keep(e *Entry, limit, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.entries[e.key]; old != nil {
		s.remove(old)
	}
	s.tidy(now)
	s.evict(limit - e.cost)
	if s.entries == nil {
		s.entries = map[Key]*Entry{}
	}
	s.entries[e.key] = e
	e.at, e.kept = len(s.ring), true
	s.ring = append(s.ring, e)
	s.bytes += e.cost
}

// tidy forgets up to two entries that have ended, so that they go sooner or later
// although there is room.
func (s *shard) tidy(now int64) {
	for range 2 {
		if s.hand >= len(s.ring) {
			s.hand = 0
			return
		}
		if e := s.ring[s.hand]; e.until <= now {
			s.remove(e)
		} else {
			s.hand++
		}
	}
}

// evict lets the hand go round until no more than limit bytes are left. Each
// turn spares an entry at most once, so it ends.
func (s *shard) evict(limit int64) {
	for s.bytes > limit && len(s.ring) > 0 {
		if s.hand >= len(s.ring) {
			s.hand = 0
		}
		e := s.ring[s.hand]
		if e.used.CompareAndSwap(true, false) {
			s.hand++
			continue
		}
		s.remove(e) // another entry is under the hand now
		s.evictions[e.kind].Add(1)
	}
}

// drop forgets e, which holds no longer.
func (s *shard) drop(e *Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(e)
}

// remove forgets e if it is still there; mu is held.
func (s *shard) remove(e *Entry) {
	if !e.kept {
		return
	}
	delete(s.entries, e.key)
	last := len(s.ring) - 1
	s.ring[e.at] = s.ring[last]
	s.ring[e.at].at = e.at
	s.ring[last] = nil
	s.ring = s.ring[:last]
	s.bytes -= e.cost
	e.kept = false
}

// charge adds n bytes to the cost of e, while it is kept, and makes room for them.
func (s *shard) charge(e *Entry, n, limit int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.kept {
		e.cost += n
		s.bytes += n
		s.evict(limit)
	}
}
