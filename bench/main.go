package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// plan is what to measure, from the command line.
type plan struct {
	rounds      int           // how often each target runs
	duration    time.Duration // of one run
	connections int           // kept open by the load, where a row does not say otherwise
	starts      int           // how often a program is started to measure that
	people      int           // signed in at once
	tokens      int           // signed, for loads that never repeat one
	same        bool          // the bare proxy carries the target's credential
	binary      string        // a gatehouse that is built already, "" to build
	against     string        // another, to compare it with; "" for none

	buildFlags []string // of the gatehouse that is built
	gatewayEnv []string // NAME=value, besides our own
}

// quick turns a plan into one that shows whether everything works, and ratios
// that are off by a fifth.
func (p *plan) quick() {
	p.rounds, p.duration, p.starts, p.people, p.tokens = 2, time.Second, 3, 10_000, 20_000
}

func main() {
	p := plan{}
	flag.IntVar(&p.rounds, "rounds", 5, "how often each target runs; fewer than 5 show little")
	flag.DurationVar(&p.duration, "duration", 2*time.Second, "length of one run, in whole seconds")
	flag.IntVar(&p.connections, "connections", 32, "connections that the load keeps open, where a row does not say otherwise")
	flag.IntVar(&p.starts, "starts", 9, "how often a program is started to measure that")
	flag.IntVar(&p.people, "people", 100_000, "people who are signed in at once")
	flag.IntVar(&p.tokens, "tokens", 120_000, "access tokens to sign")
	flag.BoolVar(&p.same, "same-bytes", false, "let the bare proxy carry the same credential, so that only gatehouse's work shows")
	flag.StringVar(&p.binary, "binary", "", "a gatehouse that is built already (default: build it)")
	flag.StringVar(&p.against, "against", "", "another gatehouse that is built already, for the section builds")
	quick := flag.Bool("quick", false, "few and short runs: shows that everything works, and little else")
	only := flag.String("only", "", "sections to measure, with commas between; -list names them")
	list := flag.Bool("list", false, "name the sections and stop")
	profile := flag.String("profile", "", "write a CPU profile of a gateway under load into this file, and measure nothing")
	profiled := flag.String("target", "bearer", "what -profile asks for: public, bearer, session, bearer-assertion or session-assertion; h1- before it for the transport h1, -64k behind it for a larger body")
	bare := bareSpec{}
	flag.StringVar(&bare.addr, "bare", "", "be the bare proxy on this address; used by bench itself")
	flag.StringVar(&bare.to, "to", "", "where the bare proxy passes requests on to")
	flag.StringVar(&bare.cert, "cert", "", "certificate and key of the bare proxy, one PEM file")
	flag.Parse()
	if *quick {
		p.quick()
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case bare.addr != "":
		err = serveBare(ctx, bare)
	case *list:
		for _, s := range sections() {
			fmt.Printf("%-12s %s\n", s.name, s.title)
		}
	case *profile != "":
		err = writeProfile(ctx, p, *profiled, *profile)
	default:
		err = measure(ctx, p, *only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// measure measures all sections that are asked for, and prints what there is,
// whatever failed.
func measure(ctx context.Context, p plan, only string) error {
	if p.rounds < 1 || p.connections < 1 || p.duration < time.Second || p.starts < 1 || p.people < 1 || p.tokens < 1 {
		return errors.New("want at least one of everything, and runs of a second")
	}
	chosen, err := choose(sections(), only)
	if err != nil {
		return err
	}
	begin := time.Now()
	w, err := openWorld(ctx, p)
	if err != nil {
		return err
	}
	defer w.close()
	var lines []line
	failed := 0
	for _, s := range chosen {
		if ctx.Err() != nil {
			break // what is there is printed all the same
		}
		w.tell("%s: %s", s.name, s.title)
		list, err := s.measure(ctx, w)
		if err != nil {
			list = append(list, failedLine(wholeSection, err))
		}
		for _, l := range list {
			if l.err != nil {
				failed++
				w.tell("%s FAILED: %v", l.name, l.err)
			}
			l.section = s.name
			lines = append(lines, l)
		}
	}
	fmt.Printf("\n%d rounds of %v, %d connections where a row does not say otherwise; × is CPU per request as a multiple of the\n"+
		"runs of the yardstick right before and after. %s\n", p.rounds, p.duration, p.connections, w.conditions())
	printTable(os.Stdout, chosen, lines)
	w.tell("took %v", time.Since(begin).Round(time.Second))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if failed > 0 {
		return fmt.Errorf("%d rows failed", failed)
	}
	return nil
}

// conditions says what all rows have in common.
func (w *world) conditions() string {
	carried := "The yardstick is a bare httputil.ReverseProxy without the credential"
	if w.plan.same {
		carried = "The yardstick is a bare httputil.ReverseProxy with the same credential"
	}
	if w.knows.accessLog {
		return carried + ".\nThe gateway writes its access log into a file and counts its metrics."
	}
	return carried + ".\nThe gateway counts its metrics; this binary has no access log."
}
