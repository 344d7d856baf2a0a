package password

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestStrangersFillThreeQuartersOfTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, 8)
		must(t, q.take(t.Context(), 1, time.Minute))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wait := func(ctx context.Context) { wg.Go(func() { _ = q.take(ctx, 1, time.Minute) }) }
		for range 6 {
			wait(ctx)
		}
		synctest.Wait()
		if err := q.take(ctx, 1, time.Minute); !errors.Is(err, ErrBusy) {
			t.Errorf("the seventh stranger: %v, want ErrBusy", err)
		}
		wait(Known(ctx))
		wait(Known(ctx))
		synctest.Wait()
		if n := q.waiters[knownDevice].Len(); n != 2 {
			t.Errorf("%d known devices wait, want 2", n)
		}
		if err := q.take(Known(ctx), 1, time.Minute); !errors.Is(err, ErrBusy) {
			t.Errorf("a known device when all is full: %v, want ErrBusy", err)
		}
		cancel()
		wg.Wait()
	})
}

func TestKnownDevicesComeFirstAndOthersInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1, 8)
		must(t, q.take(t.Context(), 1, time.Minute))
		var wg sync.WaitGroup
		var order []string // only one at a time holds what q gives
		wait := func(ctx context.Context, name string) {
			wg.Go(func() {
				must(t, q.take(ctx, 1, time.Minute))
				order = append(order, name)
				q.give(1)
			})
			synctest.Wait()
		}
		wait(t.Context(), "a")
		wait(t.Context(), "b")
		wait(Known(t.Context()), "known")
		q.give(1)
		wg.Wait()
		if len(order) != 3 || order[0] != "known" || order[1] != "a" || order[2] != "b" {
			t.Errorf("order = %v, want known, a, b", order)
		}
	})
}

func TestWhoNeedsMuchIsNotOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(4, 8)
		must(t, q.take(t.Context(), 3, time.Minute))
		big := make(chan error, 1)
		go func() { big <- q.take(t.Context(), 4, time.Minute) }()
		synctest.Wait()
		if err := q.take(t.Context(), 1, time.Second); !errors.Is(err, ErrBusy) {
			t.Errorf("a small one behind a big one: %v, want it to wait until ErrBusy", err)
		}
		q.give(3)
		must(t, <-big)
		q.give(4)
		must(t, q.take(t.Context(), 4, 0))
	})
}

func TestWhoGivesUpLetsTheNextIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(4, 8)
		must(t, q.take(t.Context(), 3, time.Minute))
		small := make(chan error, 1)
		begin := time.Now()
		go func() {
			if err := q.take(t.Context(), 4, time.Second); !errors.Is(err, ErrBusy) {
				t.Errorf("the big one: %v, want ErrBusy", err)
			}
		}()
		synctest.Wait()
		go func() { small <- q.take(t.Context(), 1, time.Minute) }()
		must(t, <-small)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("the small one came in after %s, want 1s", took)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
