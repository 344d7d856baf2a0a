package risk

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// maxWaiting is how many answers may wait for their turn under one name.
	maxWaiting = 32
	// turnWait is how long an answer waits for its turn.
	turnWait = 5 * time.Second
)

// turns lets the answers under one name pass one at a time, so that a right one
// has cleared the count of its account before the next is counted. Names are
// what people typed: whether two of them are one account must not show.
type turns struct {
	mu sync.Mutex
	// names holds the names under which an answer passes or waits, and no other.
	names map[string]*turn
}

type turn struct {
	// taken holds an element while an answer passes.
	taken chan struct{}
	// users are the answers that pass or wait.
	users int
}

func newTurns() *turns { return &turns{names: map[string]*turn{}} }

// take waits until it is the caller's turn under name and returns what ends it.
// It returns ErrBusy when there are too many, or it takes too long, and the
// error of ctx.
func (t *turns) take(ctx context.Context, name string) (end func(), err error) {
	own := t.enter(name)
	if own == nil {
		return nil, ErrBusy
	}
	limit := time.NewTimer(turnWait)
	defer limit.Stop()
	select {
	case own.taken <- struct{}{}:
		return func() {
			<-own.taken
			t.leave(name, own)
		}, nil
	case <-limit.C:
		t.leave(name, own)
		return nil, ErrBusy
	case <-ctx.Done():
		t.leave(name, own)
		return nil, fmt.Errorf("wait for another answer: %w", ctx.Err())
	}
}

// enter counts an answer under name; nil when there are too many.
func (t *turns) enter(name string) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.names[name]
	if own == nil {
		own = &turn{taken: make(chan struct{}, 1)}
		t.names[name] = own
	}
	// One passes, the others wait.
	if own.users > maxWaiting {
		return nil
	}
	own.users++
	return own
}

func (t *turns) leave(name string, own *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	own.users--
	if own.users == 0 {
		delete(t.names, name)
	}
}
