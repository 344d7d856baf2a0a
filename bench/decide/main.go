package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"
	"time"

	"gatehouse/policy"
)

// sizes are the numbers of routes; ratios are taken to the first.
var sizes = []int{10, 100, 1000, 10000}

// plan is what to measure, from the command line.
type plan struct {
	rounds   int
	duration time.Duration // of one run
	opa      string        // OPA's program, "" for none
}

func main() {
	var p plan
	flag.IntVar(&p.rounds, "rounds", 5, "how often each set runs; fewer than 5 show little")
	flag.DurationVar(&p.duration, "duration", 250*time.Millisecond, "length of one run")
	flag.StringVar(&p.opa, "opa", "", "OPA's program, to run its server beside (default: leave it out)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, p); err != nil {
		fmt.Fprintln(os.Stderr, "decide:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, p plan) error {
	if p.rounds < 1 || p.duration < 10*time.Millisecond {
		return errors.New("want at least one round of 10ms")
	}
	targets, err := openTargets(ctx, p)
	if err != nil {
		return err
	}
	defer func() {
		for _, t := range targets {
			if t.end != nil {
				t.end()
			}
		}
	}()
	for _, t := range targets {
		if _, err := t.run(ctx, p.duration/5); err != nil { // the first runs are not like the others
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	for round := range p.rounds {
		order := slices.Clone(targets)
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, t := range order {
			s, err := t.run(ctx, p.duration)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			t.samples = append(t.samples, s)
		}
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, p.rounds)
	}
	report(os.Stdout, p, targets)
	return nil
}

// target is one thing to measure.
type target struct {
	name string
	// base is the target that ratios are taken to; nil for none.
	base *target
	ask  func(ctx context.Context, i int) error
	// warm is how many questions are asked before each run, without counting.
	warm    int
	end     func()
	samples []sample
}

// sample is one run: the cost of one decision.
type sample struct {
	time   time.Duration
	allocs float64
}

// run asks for d and returns what one answer cost.
func (t *target) run(ctx context.Context, d time.Duration) (sample, error) {
	for i := range t.warm {
		if err := t.ask(ctx, i); err != nil {
			return sample{}, err
		}
	}
	runtime.GC() // what others left is not this target's
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, begin := 0, time.Now()
	for time.Since(begin) < d {
		for range 16 {
			if err := t.ask(ctx, n); err != nil {
				return sample{}, err
			}
			n++
		}
		if err := ctx.Err(); err != nil {
			return sample{}, err
		}
	}
	took := time.Since(begin)
	runtime.ReadMemStats(&after)
	return sample{took / time.Duration(n), float64(after.Mallocs-before.Mallocs) / float64(n)}, nil
}

// openTargets makes every set and every way to ask it.
func openTargets(ctx context.Context, p plan) ([]*target, error) {
	var all []*target
	bases := map[string]*target{}
	add := func(kind string, size int, t *target) {
		t.name = fmt.Sprintf("%s\t%d", kind, size)
		if t.base = bases[kind]; t.base == nil {
			bases[kind] = t
		}
		all = append(all, t)
	}
	for _, n := range sizes {
		for _, kind := range []struct {
			name  string
			rules func(int) policy.Allow
		}{{"own", ownRule}, {"shared", sharedRule}} {
			s, err := newSet(n, kind.rules)
			if err != nil {
				return nil, err
			}
			add("evaluated, "+kind.name+" rules, hot", n, s.asking(s.fresh, hotRoutes))
			add("evaluated, "+kind.name+" rules, spread", n, s.asking(s.fresh, n))
			add("remembered, "+kind.name+" rules, hot", n, s.asking(s.kept, hotRoutes).warmed(hotRoutes))
			add("remembered, "+kind.name+" rules, spread", n, s.asking(s.kept, n).warmed(n))
			if p.opa != "" && kind.name == "own" {
				t, err := startServer(ctx, p.opa, s)
				if err != nil {
					return nil, err
				}
				add("OPA's server over loopback, hot", n, t)
			}
		}
	}
	return all, nil
}

// warmed asks n questions before each run.
func (t *target) warmed(n int) *target {
	t.warm = n
	return t
}

// asking asks pol about the first of the set's routes, one after the other.
func (s *set) asking(pol *policy.Policy, routes int) *target {
	return &target{ask: func(ctx context.Context, i int) error {
		// Steps that share no factor with the size reach every route, far apart.
		q := s.questions[i*7919%routes]
		if d := pol.Decide(ctx, q); d.Outcome != policy.OutcomeAllow {
			return fmt.Errorf("route %d was refused: %s", q.Route, d.Reason)
		}
		return nil
	}}
}
