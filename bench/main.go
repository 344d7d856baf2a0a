package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

// plan is what to measure, from the command line.
type plan struct {
	rounds      int           // how often each target runs
	duration    time.Duration // of one run
	connections int           // kept open by the load
	same        bool          // the bare proxy carries the target's credential
	only        string        // one target's name, "" for all
	binary      string        // a gatehouse that is built already, "" to build
}

// target is one thing to measure.
type target struct {
	name   string
	url    string
	header http.Header
	proc   *process // whose CPU counts
}

// sample is one run of one target.
type sample struct {
	load
	cpu time.Duration // of the target's process, per request
}

func main() {
	var p plan
	flag.IntVar(&p.rounds, "rounds", 5, "how often each target runs; fewer than 5 show little")
	flag.DurationVar(&p.duration, "duration", 2*time.Second, "length of one run, in whole seconds")
	flag.IntVar(&p.connections, "connections", 32, "connections that the load keeps open")
	flag.BoolVar(&p.same, "same-bytes", false, "let the bare proxy carry the same credential, so that only gatehouse's work shows")
	flag.StringVar(&p.only, "only", "", "measure one target: public, bearer or session")
	flag.StringVar(&p.binary, "binary", "", "a gatehouse that is built already (default: build it)")
	bareAddr := flag.String("bare", "", "be the bare proxy on this address; used by bench itself")
	bareTo := flag.String("to", "", "where the bare proxy passes requests on to")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *bareAddr != "" {
		err = serveBare(ctx, *bareAddr, *bareTo)
	} else {
		err = measure(ctx, p)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, p plan) error {
	if p.rounds < 1 || p.connections < 1 || p.duration < time.Second {
		return errors.New("want at least one round, one connection and one second")
	}
	w, err := openWorld(ctx, p.binary)
	if err != nil {
		return err
	}
	defer w.close()
	targets, err := w.targets(ctx)
	if err != nil {
		return err
	}
	if p.only != "" {
		targets = slices.DeleteFunc(targets, func(t target) bool { return t.name != p.only })
		if len(targets) == 0 {
			return fmt.Errorf("there is no target %q: want public, bearer or session", p.only)
		}
	}
	r := &results{plan: p, bare: map[string][]sample{}, own: map[string][]pairing{}}
	// The first second of a program is not like its others.
	for _, t := range append([]target{w.bareFor(target{})}, targets...) {
		warm := p
		warm.duration = time.Second
		if _, err := runLoad(ctx, warm, t); err != nil {
			return err
		}
	}
	for round := range p.rounds {
		if err := r.round(ctx, w, ordered(targets, round)); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, p.rounds)
	}
	r.print(os.Stdout, targets)
	return nil
}

// ordered turns the order round every other time: what runs late in a round
// must not always be the same.
func ordered(targets []target, round int) []target {
	out := slices.Clone(targets)
	if round%2 == 1 {
		slices.Reverse(out)
	}
	return out
}

// round runs each target once between two runs of the bare proxy. Neighbours
// share the run between them, unless they carry different credentials.
func (r *results) round(ctx context.Context, w *world, targets []target) error {
	var last sample
	for i, t := range targets {
		before := last
		var err error
		if i == 0 || r.plan.same {
			if before, err = r.run(ctx, w.bareFor(r.carried(t))); err != nil {
				return err
			}
		}
		own, err := r.run(ctx, t)
		if err != nil {
			return err
		}
		if last, err = r.run(ctx, w.bareFor(r.carried(t))); err != nil {
			return err
		}
		r.own[t.name] = append(r.own[t.name], pairing{own, before, last})
		r.bare[t.name] = append(r.bare[t.name], before, last)
	}
	return nil
}

// carried is what the bare proxy is asked with, beside t.
func (r *results) carried(t target) target {
	if r.plan.same {
		return t
	}
	return target{}
}

func (r *results) run(ctx context.Context, t target) (sample, error) {
	return runLoad(ctx, r.plan, t)
}
