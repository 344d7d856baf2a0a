package body

import "sync"

// persons is how many must come together to use up all the memory.
const persons = 16

// room is the memory that bodies may take.
type room struct {
	mu   sync.Mutex
	free int64
	// share is what one person may hold, unless it is one body alone; by is what
	// each holds.
	share int64
	by    map[string]int64
}

func newRoom(bytes int64) *room {
	return &room{free: bytes, share: bytes / persons, by: map[string]int64{}}
}

// lease is what one body holds of a room. The zero lease holds nothing.
type lease struct {
	room *room
	who  string
	held int64
}

// take reserves n bytes, or reports that they are not there, or not for this
// person.
func (l *lease) take(n int64) bool {
	l.room.mu.Lock()
	defer l.room.mu.Unlock()
	all := l.room.by[l.who]
	if n > l.room.free || all > l.held && all+n > l.room.share {
		return false
	}
	l.held += n
	l.room.free -= n
	l.room.by[l.who] = all + n
	return true
}

// give returns n of the bytes that are held.
func (l *lease) give(n int64) {
	if l.room == nil {
		return
	}
	l.room.mu.Lock()
	defer l.room.mu.Unlock()
	l.held -= n
	l.room.free += n
	if l.room.by[l.who] -= n; l.room.by[l.who] <= 0 {
		delete(l.room.by, l.who)
	}
}
