package policy

import (
	"context"
	"hash/maphash"
	"sync"
	"time"
)

const (
	// memoryTTL is how long a decision is remembered. What it depends on is part
	// of its key, so this only bounds what a mistake in that would cost.
	memoryTTL = 5 * time.Second

	memoryShards  = 32
	memoryEntries = 64 << 10 // in all
	memoryBytes   = 16 << 20 // of keys, in all
	memoryKey     = 4 << 10  // bytes of one key; larger ones are not remembered
)

// MemoryStats tells how the memory of decisions does.
type MemoryStats struct {
	// Hits and Misses count the decisions that were asked of it.
	Hits, Misses uint64
	// Entries is how many it holds, some of which may have ended.
	Entries int
}

// memory remembers decisions by everything they depend on. It is safe for
// concurrent use.
type memory struct {
	seed   maphash.Seed
	shards [memoryShards]shard
}

// shard holds two generations: a full younger one becomes the older one, and
// the older one is dropped. That bounds it without looking at entries one by
// one. Entries are not moved when they are found: they end soon anyhow.
type shard struct {
	sync.Mutex
	young, old   map[string]recollection
	bytes        int // of keys in young
	hits, misses uint64
}

type recollection struct {
	decision Decision
	at       time.Time
}

func newMemory() *memory { return &memory{seed: maphash.MakeSeed()} }

// Personal tells whether decisions about a route depend on who asks and on
// nothing else, so that they may be remembered with the identity. It is false if
// policy.memory is off, and for an unknown route.
func (p *Policy) Personal(route int) bool {
	if p.memory == nil || route < 0 || route >= len(p.routes) || p.routes[route].root == nil {
		return false
	}
	const ofRequest = fMethod | fVariables | fHost | fPath
	rt := &p.routes[route]
	return rt.memorable() && !rt.reads.has(ofRequest)
}

// remembered is decide with memory, where rt's rule and q allow for it. It tells
// when the decision was made.
func (p *Policy) remembered(ctx context.Context, rt *route, q Query) (Decision, time.Time) {
	now := q.Time
	if now.IsZero() {
		now = time.Now()
	}
	if p.memory == nil || !rt.memorable() {
		return p.decide(ctx, rt, q), now
	}
	var space [512]byte
	key, ok := appendKey(space[:0], rt, q)
	if !ok || len(key) > memoryKey {
		return p.decide(ctx, rt, q), now
	}
	s := &p.memory.shards[maphash.Bytes(p.memory.seed, key)%memoryShards]
	if r, ok := s.find(key, now); ok {
		return r.decision, r.at
	}
	d := p.decide(ctx, rt, q)
	if d.Err == nil && d.Reason != OPAError {
		s.keep(string(key), recollection{d, now})
	}
	return d, now
}

// find returns the decision under key that was made less than memoryTTL from
// now. Queries need not come in the order of their times.
func (s *shard) find(key []byte, now time.Time) (recollection, bool) {
	s.Lock()
	defer s.Unlock()
	r, ok := s.young[string(key)] // does not allocate
	if !ok {
		r, ok = s.old[string(key)]
	}
	if !ok || now.Sub(r.at).Abs() >= memoryTTL {
		s.misses++
		return recollection{}, false
	}
	s.hits++
	return r, true
}

func (s *shard) keep(key string, r recollection) {
	s.Lock()
	defer s.Unlock()
	// Half of a shard's share is for each generation.
	const share = 2 * memoryShards
	if len(s.young) >= memoryEntries/share || s.bytes+len(key) > memoryBytes/share {
		s.old, s.young, s.bytes = s.young, nil, 0
	}
	if s.young == nil {
		s.young = map[string]recollection{}
	}
	if _, known := s.young[key]; !known {
		s.bytes += len(key)
	}
	s.young[key] = r
}

// MemoryStats counts since the policy was compiled; all zero if policy.memory is
// off.
func (p *Policy) MemoryStats() MemoryStats {
	var sum MemoryStats
	if p.memory == nil {
		return sum
	}
	for i := range p.memory.shards {
		s := &p.memory.shards[i]
		s.Lock()
		sum.Hits += s.hits
		sum.Misses += s.misses
		sum.Entries += len(s.young) + len(s.old)
		s.Unlock()
	}
	return sum
}
