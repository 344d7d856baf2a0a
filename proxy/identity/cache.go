package identity

import (
	"hash/maphash"
	"sync"
	"time"
)

const (
	cacheShards = 16
	// shardSize bounds one generation of one shard: in all at most 4,096
	// assertions of about 1.5 KiB are remembered.
	shardSize = 128
)

// assertion is a signed one and how long it may be sent.
type assertion struct {
	token string
	until time.Time
}

// assertions remembers signed ones by K.
type assertions[K comparable] struct {
	seed   maphash.Seed
	shards [cacheShards]shard[K]
}

func newAssertions[K comparable]() *assertions[K] {
	return &assertions[K]{seed: maphash.MakeSeed()}
}

// shard keeps two generations: when the young one is full it becomes the old
// one, whose entries are forgotten unless they are asked for meanwhile.
type shard[K comparable] struct {
	mu         sync.Mutex
	young, old map[K]assertion
}

func (c *assertions[K]) shard(key K) *shard[K] {
	return &c.shards[maphash.Comparable(c.seed, key)%cacheShards]
}

func (c *assertions[K]) find(key K, now time.Time) (assertion, bool) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.young[key]
	if !ok {
		if a, ok = s.old[key]; ok && now.Before(a.until) {
			s.put(key, a)
		}
	}
	return a, ok && now.Before(a.until)
}

func (c *assertions[K]) keep(key K, a assertion) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(key, a)
}

func (s *shard[K]) put(key K, a assertion) {
	if len(s.young) >= shardSize || s.young == nil {
		s.old, s.young = s.young, make(map[K]assertion)
	}
	s.young[key] = a
}
