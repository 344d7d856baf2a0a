package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// report writes the table: time and allocations of one decision, and the ratio
// to the smallest set of the same kind.
func report(w io.Writer, p plan, targets []*target) {
	fmt.Fprintf(w, "\nOne decision, one goroutine, %d rounds of %v: median, and [quartiles] of the ratio to %d routes in the same round\n\n",
		p.rounds, p.duration, sizes[0])
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "decision\troutes\tµs\tallocations\t× %d routes\t\t\n", sizes[0])
	sorted := slices.Clone(targets)
	slices.SortStableFunc(sorted, func(a, b *target) int { return kindOrder(targets, a) - kindOrder(targets, b) })
	for _, target := range sorted {
		times, allocs, ratios := []float64{}, []float64{}, []float64{}
		for i, s := range target.samples {
			times = append(times, float64(s.time)/float64(time.Microsecond))
			allocs = append(allocs, s.allocs)
			if target.base != nil {
				ratios = append(ratios, float64(s.time)/float64(target.base.samples[i].time))
			}
		}
		fmt.Fprintf(t, "%s\t%.2f\t%.0f\t", target.name, quartile(times, 2), quartile(allocs, 2))
		if len(ratios) == 0 {
			fmt.Fprint(t, "1.00\t\t\n")
			continue
		}
		fmt.Fprintf(t, "%.2f\t[%.2f–%.2f]\t\n", quartile(ratios, 2), quartile(ratios, 1), quartile(ratios, 3))
	}
	t.Flush()
	fmt.Fprintln(w)
}

// kindOrder is the place of a target's smallest set, so that all sizes of one
// kind stand together.
func kindOrder(all []*target, t *target) int {
	if t.base != nil {
		t = t.base
	}
	return slices.Index(all, t)
}

// quartile returns the q-th quartile, interpolated between the nearest values.
func quartile(values []float64, q int) float64 {
	sorted := slices.Sorted(slices.Values(values))
	x := float64(q) / 4 * float64(len(sorted)-1)
	i := int(x)
	if i+1 >= len(sorted) {
		return sorted[i]
	}
	return sorted[i] + (x-float64(i))*(sorted[i+1]-sorted[i])
}
