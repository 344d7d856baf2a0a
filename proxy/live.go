package proxy

import (
	"context"
	"mime"
	"net/http"
	"sync"
	"time"
)

// recheck is how often a stream's right to go on is decided again; a
// revocation is looked at at once.
const recheck = 30 * time.Second

// settle is how long an exchange may last before it counts as a stream.
const settle = 2 * time.Second

// live holds the exchanges that outlive their decision: web sockets, event
// streams, slow uploads and downloads. Each is decided again on the gate of now.
type live struct {
	mu      sync.Mutex
	streams map[*stream]struct{}
}

// look is one look at streams, one after the other: the issuers that did not
// answer in it, which are not waited for again. One that hangs would otherwise
// hold up every stream for each of its own.
type look map[string]bool

type stream struct {
	// allowed decides again.
	allowed func(look) bool
	// end cuts the exchange; a web socket is told why.
	end context.CancelFunc
	// leave is called when the exchange has ended by itself.
	leave func()
	// over is true once the exchange has ended; live.mu guards it.
	over bool
}

// streaming tells whether an answer says itself that it will last: a changed
// protocol, an event stream, or a body without an announced end.
func streaming(res *http.Response) bool {
	if res.StatusCode == http.StatusSwitchingProtocols || res.ContentLength < 0 {
		return true
	}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return kind == "text/event-stream"
}

// add puts an exchange under observation, and reports whether it was not over
// yet: the timer of one that ends can come after its end.
func (l *live) add(s *stream) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.over {
		return false
	}
	if l.streams == nil {
		l.streams = map[*stream]struct{}{}
	}
	l.streams[s] = struct{}{}
	return true
}

// join adds a stream that has been under way unobserved, and decides about it
// at once.
func (l *live) join(s *stream) {
	if l.add(s) && !s.allowed(look{}) {
		s.end()
	}
}

// remove forgets a stream, which has ended.
func (l *live) remove(s *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.over = true
	delete(l.streams, s)
}

// run decides every stream again each 30 s, after each revocation and when the
// gate is replaced, until ctx ends; then it ends them all. changed returns what
// is closed at the next revocation, and when the gate that told so is replaced.
func (l *live) run(ctx context.Context, changed func() (revoked, replaced <-chan struct{})) {
	tick := time.NewTicker(recheck)
	defer tick.Stop()
	for {
		// Ask for the next change before looking, or one in between is missed.
		revoked, replaced := changed()
		silent := look{}
		for _, s := range l.snapshot() {
			if !s.allowed(silent) {
				s.end()
			}
		}
		select {
		case <-ctx.Done():
			for _, s := range l.snapshot() {
				s.end()
			}
			return
		case <-revoked:
		case <-replaced:
		case <-tick.C:
		}
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
