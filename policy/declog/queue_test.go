package declog

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/policy"
)

// gate is a sink that writes only while it is open.
type gate struct {
	mu   sync.Mutex
	shut bool
	wake chan struct{}
	got  []string
}

func newGate() *gate { return &gate{shut: true, wake: make(chan struct{}, 1)} }

func (g *gate) batch() batch { return batch{count: 1, bytes: 1} }
func (g *gate) close()       {}

func (g *gate) open() {
	g.mu.Lock()
	g.shut = false
	g.mu.Unlock()
	g.wake <- struct{}{}
}

func (g *gate) write(ctx context.Context, batch []*item) (int, error) {
	g.mu.Lock()
	shut := g.shut
	g.mu.Unlock()
	if shut {
		select {
		case <-g.wake:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	for _, it := range batch {
		ev, _ := it.encoded()
		g.got = append(g.got, ev.Custom.RequestID)
	}
	return len(batch), nil
}

// gated is a log with sinks that are shut, and room for n decisions in each queue.
func gated(t *testing.T, n int, logger *slog.Logger, sinks ...sink) *running {
	cfg := config(func(c *policy.LogConfig) { c.File, c.Queue = "-", n })
	return open(t, cfg, logger, func(l *Log) {
		l.outlets = nil
		for i, g := range sinks {
			l.outlets = append(l.outlets, newOutlet(fmt.Sprint("sink", i), g, n, l.log))
		}
	})
}

func TestAFullQueueDropsWhatWasAllowedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		l := gated(t, 2, nil, g)
		begin := time.Now()
		for i := range 6 {
			l.Record(numbered(i, policy.OutcomeAllow))
			synctest.Wait() // the first is with the sink
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("Record of what was allowed took %v, want no wait", took)
		}
		if got := l.sink("sink0"); got.Dropped != 3 {
			t.Errorf("dropped = %d, want 3", got.Dropped)
		}
		g.open()
		l.stop()
		if got := strings.Join(g.got, " "); got != "req-0 req-1 req-2" {
			t.Errorf("written: %s, want the first three", got)
		}
	})
}

func TestARefusalWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, outcome := range []policy.Outcome{policy.OutcomeDeny, policy.OutcomeStepUp} {
			g := newGate()
			l := gated(t, 1, nil, g)
			l.Record(numbered(0, outcome))
			synctest.Wait()
			l.Record(numbered(1, outcome))
			time.AfterFunc(60*time.Millisecond, g.open)
			begin := time.Now()
			l.Record(numbered(2, outcome))
			if took := time.Since(begin); took != 60*time.Millisecond {
				t.Errorf("%s: Record took %v, want until there was room", outcome, took)
			}
			l.stop()
			if got := l.sink("sink0"); got.Written != 3 || got.Dropped != 0 {
				t.Errorf("%s: %+v, want all three written", outcome, got)
			}
		}
	})
}

func TestARefusalWaitsNoLongerThanItMay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newGate(), newGate()
		l := gated(t, 1, nil, a, b)
		l.Record(numbered(0, policy.OutcomeDeny))
		synctest.Wait()
		l.Record(numbered(1, policy.OutcomeDeny))
		for i, want := range []time.Duration{patience, 0, 0} {
			begin := time.Now()
			l.Record(numbered(2+i, policy.OutcomeDeny))
			// Both are full: one wait for both, and none for a sink known to hang.
			if took := time.Since(begin); i == 0 && took != want || i == 2 && took != want {
				t.Errorf("Record %d took %v, want %v", i, took, want)
			}
		}
		a.open()
		b.open()
		synctest.Wait()
		// They take again, so they are waited for again.
		for i := range 2 {
			l.Record(numbered(10+i, policy.OutcomeDeny))
			synctest.Wait()
		}
		l.stop()
		if got := l.sink("sink0"); got.Dropped != 3 || got.Written != 4 {
			t.Errorf("sink0 = %+v, want 3 dropped and 4 written", got)
		}
	})
}

func TestAHangingSinkIsWaitedForAgainOnceItTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		l := gated(t, 1, nil, g)
		fill := func() time.Duration {
			for range 2 {
				l.Record(entry(policy.OutcomeDeny))
				synctest.Wait()
			}
			begin := time.Now()
			l.Record(entry(policy.OutcomeDeny))
			return time.Since(begin)
		}
		if took := fill(); took != patience {
			t.Fatalf("the first full queue took %v, want %v", took, patience)
		}
		g.open()
		synctest.Wait()
		g.mu.Lock()
		g.shut = true
		g.mu.Unlock()
		if took := fill(); took != patience {
			t.Errorf("after it took again, a full queue took %v, want %v", took, patience)
		}
		g.open()
		l.stop()
	})
}

func TestLossIsToldOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		warnings := &logBuffer{}
		g := newGate()
		l := gated(t, 1, textLog(warnings), g)
		for range 150 {
			l.Record(entry(policy.OutcomeAllow))
			time.Sleep(time.Second)
		}
		if n := strings.Count(warnings.String(), "queue is full"); n != 3 {
			t.Errorf("%d warnings in 150 s, want 3:\n%s", n, warnings.String())
		}
		if !strings.Contains(warnings.String(), "gatehouse.dropped=61") {
			t.Errorf("the warnings do not tell how many:\n%s", warnings.String())
		}
		g.open()
		l.stop()
	})
}

func TestRunWritesWhatIsQueuedForFiveSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quick, hanging := newGate(), newGate()
		l := gated(t, 100, nil, quick, hanging)
		l.flush = flushTime
		for i := range 50 {
			l.Record(numbered(i, policy.OutcomeDeny))
		}
		time.AfterFunc(time.Second, quick.open)
		begin := time.Now()
		l.stop()
		if took := time.Since(begin); took != flushTime {
			t.Errorf("Run ended %v after its context, want %v", took, flushTime)
		}
		if a, b := l.sink("sink0"), l.sink("sink1"); a.Written != 50 || b.Failed != 50 {
			t.Errorf("%+v and %+v, want 50 written and 50 failed", a, b)
		}
		l.Record(entry(policy.OutcomeDeny))
		if got := l.sink("sink0"); got.Dropped != 1 {
			t.Errorf("after Run, dropped = %d, want 1", got.Dropped)
		}
	})
}

func TestABatchIsGivenUpAfterFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		l := gated(t, 10, nil, failing{&calls})
		l.Record(entry(policy.OutcomeDeny))
		time.Sleep(giveUp - time.Second)
		if got := l.sink("sink0"); got.Failed != 0 {
			t.Fatalf("it was given up early: %+v", got)
		}
		time.Sleep(time.Minute)
		if got := l.sink("sink0"); got.Failed != 1 {
			t.Errorf("%+v after more than five minutes, want 1 failed", got)
		}
		if calls < 10 || calls > 40 {
			t.Errorf("it was tried %d times, want more and more seldom", calls)
		}
		l.stop()
	})
}

type failing struct{ calls *int }

func (failing) batch() batch { return batch{count: 1, bytes: 1} }
func (failing) close()       {}
func (f failing) write(context.Context, []*item) (int, error) {
	*f.calls++
	return 0, context.DeadlineExceeded
}

func TestTheShareOfAllowedIsByTheDecision(t *testing.T) {
	run := func(share float64) (ids []string, stats Stats) {
		g := newGate()
		g.shut = false
		l := gated(t, 20_000, nil, g)
		l.allows = share
		for i := range 10_000 {
			e := numbered(i, policy.OutcomeAllow)
			e.ID = fmt.Sprintf("%08x-0000-4000-8000-000000000000", i)
			l.Record(e)
		}
		l.Record(numbered(-1, policy.OutcomeDeny))
		l.Record(numbered(-2, policy.OutcomeStepUp))
		l.stop()
		return g.got, l.Stats()
	}
	first, stats := run(0.1)
	if n := len(first); n < 850 || n > 1150 {
		t.Errorf("%d of 10000 are recorded, want about 1000", n)
	}
	if stats.Recorded != uint64(len(first)) || stats.SampledOut != uint64(10_002-len(first)) {
		t.Errorf("stats = %+v, want them to add up", stats)
	}
	if again, _ := run(0.1); strings.Join(first, " ") != strings.Join(again, " ") {
		t.Error("the same decisions give another share")
	}
	for share, want := range map[float64]int{0: 2, 1: 10_002} {
		got, _ := run(share)
		if len(got) != want || !strings.HasSuffix(strings.Join(got, " "), "req--1 req--2") {
			t.Errorf("with share %v %d are recorded, want %d and all that was not allowed", share, len(got), want)
		}
	}
}

func TestBodiesThatWaitAreBounded(t *testing.T) {
	g := newGate()
	l := gated(t, 100, nil, g)
	l.noBody, l.mask = false, nil
	big := strings.Repeat("x", maxBodies/4)
	for i := range 10 {
		e := numbered(i, policy.OutcomeDeny)
		e.Query.Body.Value = big
		l.Record(e)
	}
	if held := l.bodies.Load(); held > maxBodies || held < maxBodies/2 {
		t.Errorf("%d bytes of bodies wait, want at most %d", held, maxBodies)
	}
	g.open()
	l.stop()
	if held := l.bodies.Load(); held != 0 {
		t.Errorf("%d bytes of bodies are still counted", held)
	}
	if got := l.sink("sink0"); got.Written != 10 {
		t.Errorf("%+v, want all 10 written", got)
	}
}

func TestAMaskedBodyDoesNotWait(t *testing.T) {
	g := newGate()
	l := gated(t, 100, nil, g)
	e := entry(policy.OutcomeDeny)
	it := l.item(e)
	if it.entry.Query.Body.Value != nil || it.weight != 0 {
		t.Error("the queue holds a body that will be masked")
	}
	if ev, _ := it.encoded(); !strings.Contains(fmt.Sprint(ev.Erased), "/input/request/body") {
		t.Errorf("erased = %v, want the body among them", ev.Erased)
	}
	if it.entry.Query.Identity != nil {
		t.Error("the entry is kept after it was encoded")
	}
	g.open()
	l.stop()
}
