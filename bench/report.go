package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// pairing is one run of a target with the bare proxy's runs next to it.
type pairing struct{ own, before, after sample }

// results are all runs so far, by target.
type results struct {
	plan plan
	bare map[string][]sample
	own  map[string][]pairing
}

// cpuRatio is the CPU per request, as a multiple of the neighbours' mean.
func (p pairing) cpuRatio() float64 {
	return 2 * float64(p.own.cpu) / float64(p.before.cpu+p.after.cpu)
}

// rateRatio is the requests a second, as a multiple of the neighbours' mean.
func (p pairing) rateRatio() float64 {
	return 2 * p.own.rate / (p.before.rate + p.after.rate)
}

// quartiles returns the lower quartile, the median and the upper quartile,
// each interpolated between the two nearest values.
func quartiles(values []float64) (q1, median, q3 float64) {
	sorted := slices.Sorted(slices.Values(values))
	at := func(q float64) float64 {
		x := q * float64(len(sorted)-1)
		i := int(x)
		if i+1 >= len(sorted) {
			return sorted[i]
		}
		return sorted[i] + (x-float64(i))*(sorted[i+1]-sorted[i])
	}
	return at(0.25), at(0.5), at(0.75)
}

func median(values []float64) float64 {
	_, m, _ := quartiles(values)
	return m
}

// each applies f to all of list.
func each[T any](list []T, f func(T) float64) []float64 {
	out := make([]float64, len(list))
	for i, x := range list {
		out[i] = f(x)
	}
	return out
}

// print writes the table.
func (r *results) print(w io.Writer, targets []target) {
	carried := "without a credential"
	if r.plan.same {
		carried = "with the same credential"
	}
	fmt.Fprintf(w, "\nCPU per request, %d connections, %d rounds of %v; × bare = against the mean of the runs of a bare\n"+
		"httputil.ReverseProxy (%s) right before and after: median [quartiles]\n\n",
		r.plan.connections, r.plan.rounds, r.plan.duration, carried)
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "target\tCPU µs\tCPU × bare\t\treq/s × bare\t\treq/s\tp50 ms\tp99 ms\t")
	var bare []sample
	for _, target := range targets {
		bare = append(bare, r.bare[target.name]...)
	}
	fmt.Fprintf(t, "bare\t%s\t1.00\t\t1.00\t\t%s\n", micro(bare), rates(bare))
	for _, target := range targets {
		pairs := r.own[target.name]
		own := make([]sample, len(pairs))
		for i, p := range pairs {
			own[i] = p.own
		}
		c1, c2, c3 := quartiles(each(pairs, pairing.cpuRatio))
		r1, r2, r3 := quartiles(each(pairs, pairing.rateRatio))
		fmt.Fprintf(t, "%s\t%s\t%.2f\t[%.2f–%.2f]\t%.2f\t[%.2f–%.2f]\t%s\n", target.name, micro(own), c2, c1, c3, r2, r1, r3, rates(own))
	}
	t.Flush()
	fmt.Fprintln(w)
}

func micro(runs []sample) string {
	return fmt.Sprintf("%.1f", median(each(runs, func(s sample) float64 { return float64(s.cpu) / float64(time.Microsecond) })))
}

func rates(runs []sample) string {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return fmt.Sprintf("%.0f\t%.2f\t%.2f\t",
		median(each(runs, func(s sample) float64 { return s.rate })),
		median(each(runs, func(s sample) float64 { return ms(s.p50) })),
		median(each(runs, func(s sample) float64 { return ms(s.p99) })))
}
