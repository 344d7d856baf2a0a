package password

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// margin is how many times the slowest cost an answer takes: checks that
	// run beside each other take longer than one alone.
	margin = 2
	// stretch is how much further load may raise that.
	stretch = 2
	// maxCosts is how many costs are remembered, more than any store has.
	maxCosts = 256
)

// floor is how long every answer takes at least, once the store holds hashes of
// another cost than ours: their time would tell whose they are.
type floor struct {
	mu      sync.Mutex
	costs   map[string]bool
	foreign bool
	slowest time.Duration // of the first of each cost
	least   time.Duration
}

// saw learns that a check of one text took so long.
func (f *floor) saw(cost string, took time.Duration, own bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.costs[cost] && len(f.costs) < maxCosts {
		f.costs[cost] = true
		f.foreign = f.foreign || !own
		f.slowest = max(f.slowest, took)
		f.least = max(f.least, margin*f.slowest)
		return
	}
	// Under load all take longer; a single stall must not slow everything down
	// until the next start.
	f.least = max(f.least, min(took, stretch*margin*f.slowest))
}

// need returns how long an answer takes at least; 0 while all hashes are ours.
func (f *floor) need() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.foreign {
		return 0
	}
	return f.least
}

// Floor returns how long each Verify takes at least, counted from its turn in
// the queue: twice the slowest cost seen, more under load, up to four times. It
// is 0 as long as only hashes of our own making have been seen.
func (h *Hasher) Floor() time.Duration { return h.floor.need() }

// Expect measures the cost of hash, any hash of a user in the store, so that the
// floor holds from the first sign-in on; without it the first check of a cost
// sets the floor. Call it at the start, for one of all that are Alike. It returns
// ErrHash, ErrBusy, or the error of ctx.
func (h *Hasher) Expect(ctx context.Context, hash string) error {
	s, err := parse(hash)
	if err != nil {
		return err
	}
	var took []time.Duration
	for range 3 {
		err := h.run(ctx, s.memory(), func() {
			begin := time.Now()
			s.matches("not the password")
			took = append(took, time.Since(begin))
		})
		if err != nil {
			return fmt.Errorf("measure a password hash: %w", err)
		}
	}
	slices.Sort(took)
	h.floor.saw(s.cost(), took[1], s.cost() == h.dummy.cost())
	return nil
}

// hold waits until n times the floor has passed since begin. It holds no memory
// and no place in the queue meanwhile.
func (h *Hasher) hold(ctx context.Context, begin time.Time, n int) error {
	left := time.Duration(n)*h.floor.need() - time.Since(begin)
	if left <= 0 {
		return nil
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for a password check: %w", ctx.Err())
	}
}
