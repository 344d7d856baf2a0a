package password

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"
)

// lane is whose turn comes first: known devices before strangers.
type lane int

const (
	stranger lane = iota
	knownDevice
	lanesOfQueue
)

type laneKey struct{}

// Known returns a context whose checks are those of a known device: they are
// done before those of strangers, and a quarter of the places in the queue is
// theirs alone. Otherwise whoever has many addresses could fill the queue, and
// nobody would sign in.
func Known(ctx context.Context) context.Context {
	return context.WithValue(ctx, laneKey{}, knownDevice)
}

func laneOf(ctx context.Context) lane {
	l, _ := ctx.Value(laneKey{}).(lane)
	return l
}

// queue shares memory out among those who work, in the order of their coming;
// known devices come before strangers. Strangers can hold all memory while
// nobody else wants it: kept free, a quarter of it would serve nobody, and what
// they hold comes back within the time of one check.
type queue struct {
	places  int // how many may wait
	mu      sync.Mutex
	free    int64 // KiB
	waiters [lanesOfQueue]list.List
}

type waiter struct {
	need  int64
	ready chan struct{} // closed when need has been taken
}

func newQueue(kib, places int64) *queue { return &queue{free: kib, places: int(places)} }

// take takes need KiB, waiting at most for wait. It returns ErrBusy when the
// queue is full or the wait is over, and the error of ctx.
func (q *queue) take(ctx context.Context, need int64, wait time.Duration) error {
	l := laneOf(ctx)
	w, at, err := q.enter(l, need)
	if err != nil || w == nil {
		return err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-w.ready:
		return nil
	case <-timer.C:
		err = ErrBusy
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("wait for a password check: %w", ctx.Err())
	}
	return q.leave(l, at, err)
}

// enter takes need at once and returns no waiter, or lines up.
func (q *queue) enter(l lane, need int64) (*waiter, *list.Element, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	strangers, known := q.waiters[stranger].Len(), q.waiters[knownDevice].Len()
	if q.free >= need && known == 0 && (strangers == 0 || l == knownDevice) {
		q.free -= need
		return nil, nil, nil
	}
	if strangers+known >= q.places || l == stranger && strangers >= q.places-q.places/4 {
		return nil, nil, ErrBusy
	}
	w := &waiter{need: need, ready: make(chan struct{})}
	return w, q.waiters[l].PushBack(w), nil
}

// leave ends the wait with err, unless it was granted at the same moment.
func (q *queue) leave(l lane, at *list.Element, err error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-at.Value.(*waiter).ready:
		return nil
	default:
	}
	q.waiters[l].Remove(at)
	q.grant() // whoever came behind may need less
	return err
}

// give returns what take took.
func (q *queue) give(need int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free += need
	q.grant()
}

// grant lets those in who are first, as far as memory goes. Nobody overtakes
// within a lane, or one who needs much would wait for ever.
func (q *queue) grant() {
	for {
		waiters := &q.waiters[knownDevice]
		if waiters.Len() == 0 {
			waiters = &q.waiters[stranger]
		}
		first := waiters.Front()
		if first == nil || first.Value.(*waiter).need > q.free {
			return
		}
		w := waiters.Remove(first).(*waiter)
		q.free -= w.need
		close(w.ready)
	}
}
