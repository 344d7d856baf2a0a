package proxy

import (
	"context"
	"net/http"
	"sync"
	"time"

	"gatehouse/proxy/upstream"
)

const (
	// recheck is how often a stream's right to go on is decided again; a
	// revocation is looked at at once.
	recheck = 30 * time.Second
	// streamAfter is how long an exchange may last before it counts as a stream, and
	// sweep how often it is looked whether one does.
	streamAfter = 2 * time.Second
	sweep       = time.Second

	liveShards = 16
)

// live holds the exchanges under way. Those that outlive their decision, the
// streams (web sockets, event streams, slow uploads and downloads), are each
// decided again on the gate of now. All others come and go in lists of which a
// request touches one, for a moment: most last less than a look at them would.
type live struct {
	shards [liveShards]young
	mu     sync.Mutex // after a shard's
	// streams are those that have lasted, or say that they will.
	streams map[*stream]struct{}
}

// young are exchanges in the order in which they began, in a ring.
type young struct {
	mu   sync.Mutex
	ring links
	_    [64]byte // rings do not share a line of the processor's cache
}

// links tie an exchange to its neighbours; both nil for one in no ring.
type links struct{ before, after *stream }

// look is one look at streams, one after the other: the issuers that did not
// answer in it, which are not waited for again. One that hangs would otherwise
// hold up every stream for each of its own.
type look map[string]bool

type stream struct {
	// allowed decides again.
	allowed func(look) bool
	// end cuts the exchange; a web socket is told why.
	end context.CancelFunc

	began time.Time
	home  *young
	// home.mu guards these.
	links
	linked  bool // it is in the ring
	lasting bool // it is, or was, among the streams
	over    bool // it has ended
}

// streaming tells whether an answer says itself that it will last: a changed
// protocol, an event stream, or a body without an announced end.
func streaming(res *http.Response) bool {
	if res.StatusCode == http.StatusSwitchingProtocols || res.ContentLength < 0 {
		return true
	}
	return upstream.Events(res.Header)
}

// begin takes s, of which began is set, under observation. The number tells
// exchanges apart; any will do.
func (l *live) begin(s *stream, number uint64) {
	s.home = &l.shards[number%liveShards]
	s.home.mu.Lock()
	defer s.home.mu.Unlock()
	s.home.push(s)
}

func (y *young) push(s *stream) {
	last := y.ring.before
	s.before = last
	if last == nil {
		y.ring.after = s
	} else {
		last.after = s
	}
	y.ring.before = s
	s.linked = true
}

func (y *young) unlink(s *stream) {
	if s.before == nil {
		y.ring.after = s.after
	} else {
		s.before.after = s.after
	}
	if s.after == nil {
		y.ring.before = s.before
	} else {
		s.after.before = s.before
	}
	s.links, s.linked = links{}, false
}

// promote makes a stream of s at once, and reports whether it was none and has not
// ended. It is decided about when it has lasted all the same.
func (l *live) promote(s *stream) bool {
	s.home.mu.Lock()
	defer s.home.mu.Unlock()
	return l.promoteLocked(s)
}

// promoteLocked is promote while the home of s is locked. The stream is noted under
// that lock: whoever leaves afterwards finds it.
func (l *live) promoteLocked(s *stream) bool {
	if s.over || s.lasting {
		return false
	}
	s.lasting = true
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.streams == nil {
		l.streams = map[*stream]struct{}{}
	}
	l.streams[s] = struct{}{}
	return true
}

// leave forgets s, which has ended.
func (l *live) leave(s *stream) {
	s.home.mu.Lock()
	if s.linked {
		s.home.unlink(s)
	}
	s.over = true
	lasting := s.lasting
	s.home.mu.Unlock()
	if lasting {
		l.mu.Lock()
		delete(l.streams, s)
		l.mu.Unlock()
	}
}

// matured makes streams of the exchanges that have lasted, and returns them, once.
func (l *live) matured(now time.Time) []*stream {
	var found []*stream
	for i := range l.shards {
		y := &l.shards[i]
		y.mu.Lock()
		for s := y.ring.after; s != nil && now.Sub(s.began) >= streamAfter; s = y.ring.after {
			y.unlink(s)
			l.promoteLocked(s)
			found = append(found, s)
		}
		y.mu.Unlock()
	}
	return found
}

// run decides about an exchange once it has lasted, and about every stream again
// each 30 s, after each revocation and when the gate is replaced, until ctx ends;
// then it ends them all. changed returns what is closed at the next revocation,
// and when the gate that told so is replaced.
func (l *live) run(ctx context.Context, changed func() (revoked, replaced <-chan struct{})) {
	tick := time.NewTicker(sweep)
	defer tick.Stop()
	decided := time.Now()
	// Ask for the next change before looking, or one in between is missed.
	revoked, replaced := changed()
	for {
		var due []*stream
		select {
		case <-ctx.Done():
			l.endAll()
			return
		case <-revoked:
		case <-replaced:
		case now := <-tick.C:
			if due = l.matured(now); now.Sub(decided) < recheck {
				again(due)
				continue
			}
		}
		decided = time.Now()
		revoked, replaced = changed()
		again(l.snapshot())
	}
}

// again decides about streams, and ends those that are not allowed to go on.
func again(streams []*stream) {
	silent := look{}
	for _, s := range streams {
		if !s.allowed(silent) {
			s.end()
		}
	}
}

// endAll ends every stream. Other exchanges end by themselves, or when whoever
// drains loses patience.
func (l *live) endAll() {
	for _, s := range l.snapshot() {
		s.end()
	}
}

func (l *live) snapshot() []*stream {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*stream, 0, len(l.streams))
	for s := range l.streams {
		all = append(all, s)
	}
	return all
}
