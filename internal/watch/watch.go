package watch

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Options say how a Watcher looks.
type Options struct {
	// Poll is how often it looks without an event. Default 5s.
	Poll time.Duration
	// Quiet is how long no event may come before it looks, so that a file that
	// is being written is not half read. Default 100ms.
	Quiet time.Duration
	// Longest is how long it waits for that at most. Default 2s.
	Longest time.Duration
	// Log is told what limits the watch. Nil discards it.
	Log *slog.Logger
}

// Watcher compares a Sight with what is there. It is safe for concurrent use.
type Watcher struct {
	o       Options
	changed chan struct{}
	woken   chan struct{}

	mu    sync.Mutex
	sight *Sight
}

// New returns a Watcher that follows nothing yet. It starts nothing: see Run.
func New(o Options) *Watcher {
	if o.Poll <= 0 {
		o.Poll = 5 * time.Second
	}
	if o.Quiet <= 0 {
		o.Quiet = 100 * time.Millisecond
	}
	if o.Longest <= 0 {
		o.Longest = 2 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Watcher{o: o, changed: make(chan struct{}, 1), woken: make(chan struct{}, 1), sight: Look()}
}

// Follow watches what s has seen, instead of what was watched before. When
// something has changed since s was taken, Changed tells of it. s belongs to
// the Watcher from now on.
func (w *Watcher) Follow(s *Sight) {
	w.mu.Lock()
	w.sight = s
	w.mu.Unlock()
	signal(w.woken)
}

// Changed receives once something has changed; several changes may be one.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Run watches until ctx ends. Where the kernel gives no events it looks every
// Poll all the same.
func (w *Watcher) Run(ctx context.Context) {
	n := newNotices(w.o.Log)
	defer n.close()
	tick := time.NewTicker(w.o.Poll)
	defer tick.Stop()
	for warned := false; ; {
		// Arm before looking: what changes after the look is an event.
		sight := w.following()
		n.arm(placesOf(sight.Paths()))
		now := sight.again()
		if !now.same(sight) {
			// It may be changing still.
			if !w.settle(ctx, n) {
				return
			}
			if now := sight.again(); !now.same(sight) {
				w.replace(sight, now)
				continue
			}
		}
		if now.cut() && !warned {
			w.o.Log.WarnContext(ctx, "more files than are watched; a change of the others is not noticed", "watched", maxEntries)
			warned = true
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-w.woken:
		case <-n.events:
			if !w.settle(ctx, n) {
				return
			}
		}
	}
}

func (w *Watcher) following() *Sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sight
}

// replace makes now the Sight to compare with, and tells of the change, unless
// another Sight is followed by now: that one is compared next.
func (w *Watcher) replace(old, now *Sight) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sight == old {
		w.sight = now
		signal(w.changed)
	}
}

// settle waits until no event has come for Quiet, for Longest at most. It
// reports false when ctx has ended.
func (w *Watcher) settle(ctx context.Context, n *notices) bool {
	quiet, longest := time.NewTimer(w.o.Quiet), time.NewTimer(w.o.Longest)
	defer quiet.Stop()
	defer longest.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-n.events:
			quiet.Reset(w.o.Quiet)
		case <-quiet.C:
			return true
		case <-longest.C:
			return true
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is pending already
	}
}

// notices are the events of the kernel, if it gives any.
type notices struct {
	source *fsnotify.Watcher
	log    *slog.Logger
	events chan struct{} // one at most is pending
	armed  places
	warned bool
	done   chan struct{}
}

func newNotices(log *slog.Logger) *notices {
	n := &notices{log: log, events: make(chan struct{}, 1), done: make(chan struct{})}
	source, err := fsnotify.NewWatcher()
	if err != nil {
		n.warn(err)
		close(n.done)
		return n
	}
	n.source = source
	go n.forward()
	return n
}

// forward turns events into one pending signal, so that a flood of them costs
// no memory and the kernel's queue is read at once.
func (n *notices) forward() {
	defer close(n.done)
	for {
		select {
		case _, open := <-n.source.Events:
			if !open {
				return
			}
		case _, open := <-n.source.Errors:
			if !open {
				return
			}
			// Events were lost: look.
		}
		signal(n.events)
	}
}

// arm asks for the events of exactly these directories. One that has been
// replaced under its name is asked for anew.
func (n *notices) arm(want places) {
	if n.source == nil {
		return
	}
	for dir := range n.armed {
		if !want[dir] {
			_ = n.source.Remove(dir) // it may have gone by itself
		}
	}
	n.armed = places{}
	for dir := range want {
		if err := n.source.Add(dir); err != nil {
			n.warn(err)
			continue
		}
		n.armed[dir] = true
	}
}

func (n *notices) warn(err error) {
	if !n.warned {
		n.log.Warn("no events for some files; changes are noticed some seconds later", "error", err)
	}
	n.warned = true
}

func (n *notices) close() {
	if n.source != nil {
		_ = n.source.Close() // nothing is lost that a look would not find
	}
	<-n.done
}
