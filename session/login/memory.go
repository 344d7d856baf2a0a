package login

import (
	"sync"
	"time"
)

// maxRemembered is how many entries a memory holds. Whoever sends requests
// fills it, so it is a bound on what that costs us.
const maxRemembered = 100_000

// memory is a map whose entries are forgotten after a time, or sooner when
// there are too many: the newest half of maxRemembered is safe, older ones give
// way. Two generations, of which the older is dropped as a whole, spare it from
// ever looking through all entries. It is safe for concurrent use.
type memory[V any] struct {
	keep time.Duration

	mu    sync.Mutex
	young map[string]remember[V]
	old   map[string]remember[V] // shares no key with young
	since time.Time              // when young was begun
}

type remember[V any] struct {
	value V
	until time.Time
}

// newMemory returns a memory that keeps each entry for keep.
func newMemory[V any](keep time.Duration) *memory[V] {
	return &memory[V]{keep: keep, young: map[string]remember[V]{}}
}

func (m *memory[V]) get(key string) (value V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.find(key)
}

// put stores value in place of what was known.
func (m *memory[V]) put(key string, value V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set(key, value)
}

// add stores value unless key is known, and returns what is known then.
func (m *memory[V]) add(key string, value V) (known V, added bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known, ok := m.find(key); ok {
		return known, false
	}
	m.set(key, value)
	return value, true
}

func (m *memory[V]) remove(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.young, key)
	delete(m.old, key)
}

// len returns how many entries take up memory, alive or not.
func (m *memory[V]) len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.young) + len(m.old)
}

// find looks key up; mu is held.
func (m *memory[V]) find(key string) (value V, ok bool) {
	e, ok := m.young[key]
	if !ok {
		e, ok = m.old[key]
	}
	if !ok || !time.Now().Before(e.until) {
		return value, false
	}
	return e.value, true
}

// set stores value; mu is held.
func (m *memory[V]) set(key string, value V) {
	now := time.Now()
	if _, known := m.young[key]; !known && (len(m.young) >= maxRemembered/2 || now.Sub(m.since) >= m.keep) {
		m.old, m.young, m.since = m.young, map[string]remember[V]{}, now
	}
	delete(m.old, key)
	m.young[key] = remember[V]{value, now.Add(m.keep)}
}
