package risk

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestTurnsOfANameAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns()
		end, err := turns.take(t.Context(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		busy := make(chan time.Duration, maxWaiting)
		for range maxWaiting {
			go func() {
				if _, err := turns.take(t.Context(), "alice"); errors.Is(err, ErrBusy) {
					busy <- time.Since(begun)
				}
			}()
		}
		synctest.Wait()
		if _, err := turns.take(t.Context(), "alice"); !errors.Is(err, ErrBusy) || time.Since(begun) != 0 {
			t.Errorf("one too many = %v after %v, want ErrBusy at once", err, time.Since(begun))
		}
		other, err := turns.take(t.Context(), "alice@example.com")
		if err != nil || time.Since(begun) != 0 {
			t.Errorf("another name = %v after %v, want a turn at once", err, time.Since(begun))
		}
		other()
		for range maxWaiting {
			if waited := <-busy; waited != turnWait {
				t.Errorf("told to be busy after %v, want %v", waited, turnWait)
			}
		}
		end()
		if len(turns.names) != 0 {
			t.Errorf("%d names remembered, want none", len(turns.names))
		}
	})
}

func TestTurnsComeOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns()
		running, most, done := 0, 0, make(chan bool)
		for range 10 {
			go func() {
				end, err := turns.take(t.Context(), "alice")
				if err != nil {
					t.Error(err)
				}
				running++
				most = max(most, running)
				time.Sleep(time.Millisecond)
				running--
				end()
				done <- true
			}()
		}
		for range 10 {
			<-done
		}
		if most != 1 || len(turns.names) != 0 {
			t.Errorf("%d at once and %d names left, want 1 and none", most, len(turns.names))
		}
	})
}

func TestWaitingForATurnEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns()
		end, err := turns.take(t.Context(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := turns.take(ctx, "alice"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("take = %v, want the context's error", err)
		}
		end()
		if len(turns.names) != 0 {
			t.Errorf("%d names remembered, want none", len(turns.names))
		}
	})
}
