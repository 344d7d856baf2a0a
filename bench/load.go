package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// load is what one run tells.
type load struct {
	requests int
	rate     float64 // requests a second
	p50, p99 time.Duration
}

var (
	wrkTotal  = regexp.MustCompile(`(\d+) requests in`)
	wrkRate   = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	wrkP50    = regexp.MustCompile(`\n\s+50%\s+([0-9.]+)(us|ms|s)`)
	wrkP99    = regexp.MustCompile(`\n\s+99%\s+([0-9.]+)(us|ms|s)`)
	wrkRefuse = regexp.MustCompile(`(?m)^\s+(?:Non-2xx or 3xx responses|Socket errors):.*$`)
)

// runLoad asks t for the given time, in whole seconds, and takes the CPU time
// of t's process before and after.
func (w *world) runLoad(ctx context.Context, t target, duration time.Duration) (sample, error) {
	if t.connections == 0 {
		t.connections = w.plan.connections
	}
	ask := w.wrk
	if t.http2 {
		ask = askHTTP2
	}
	before, err := t.proc.cpu()
	if err != nil {
		return sample{}, err
	}
	l, err := ask(ctx, t, duration)
	if err != nil {
		return sample{}, fmt.Errorf("%s at %s: %w", t.name, t.url(), err)
	}
	after, err := t.proc.cpu()
	if err != nil {
		return sample{}, err
	}
	t.proc.forget()
	return sample{load: l, cpu: (after - before) / time.Duration(l.requests)}, nil
}

// wrk lets wrk ask.
func (w *world) wrk(ctx context.Context, t target, duration time.Duration) (load, error) {
	// A body of some MiB takes longer than the two seconds that wrk grants.
	args := []string{"-t1", "-c" + strconv.Itoa(t.connections), fmt.Sprintf("-d%ds", int(duration.Seconds())), "--latency", "--timeout", "20s"}
	for name, values := range t.header {
		args = append(args, "-H", name+": "+values[0])
	}
	script, err := t.script()
	if err != nil {
		return load{}, err
	}
	if script != "" {
		file := filepath.Join(w.dir, "load.lua")
		if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
			return load{}, fmt.Errorf("script wrk: %w", err)
		}
		args = append(args, "-s", file)
	}
	ctx, cancel := context.WithTimeout(ctx, duration+time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "wrk", append(args, t.url())...).CombinedOutput()
	if err != nil {
		return load{}, fmt.Errorf("run wrk: %w %s", err, strings.TrimSpace(string(out)))
	}
	l, err := readLoad(string(out))
	if err != nil {
		return load{}, err
	}
	t.feed.used(l.requests + 2*t.connections)
	return l, nil
}

// readLoad reads wrk's report. A run with a single refusal measured something
// else than it was meant to, and is an error.
func readLoad(text string) (load, error) {
	if bad := wrkRefuse.FindString(text); bad != "" {
		return load{}, errors.New("not every request was answered 200:" + bad)
	}
	total, rate := wrkTotal.FindStringSubmatch(text), wrkRate.FindStringSubmatch(text)
	p50, p99 := wrkP50.FindStringSubmatch(text), wrkP99.FindStringSubmatch(text)
	if total == nil || rate == nil || p50 == nil || p99 == nil {
		return load{}, fmt.Errorf("cannot read wrk's report:\n%s", text)
	}
	var l load
	var errs [4]error
	l.requests, errs[0] = strconv.Atoi(total[1])
	l.rate, errs[1] = strconv.ParseFloat(rate[1], 64)
	l.p50, errs[2] = time.ParseDuration(p50[1] + p50[2])
	l.p99, errs[3] = time.ParseDuration(p99[1] + p99[2])
	if l.requests == 0 {
		return load{}, errors.New("no request was answered")
	}
	return l, errors.Join(errs[:]...)
}
