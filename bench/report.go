package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// line is one line of the table.
type line struct {
	section string
	name    string
	unit    string    // × is a multiple of the yardstick
	values  []float64 // of which the median is shown
	goal    goal
	runs    []sample // behind a ratio; nil where there are none
	beside  []sample // of the yardstick
	err     error    // why it could not be measured
	skipped string   // why it was not measured, which is no fault
}

// wholeSection is the name of a line that stands for all of its section.
const wholeSection = "all of it"

// verdict is what the last column says.
func (l line) verdict() string {
	switch {
	case l.err != nil:
		return "FAILED"
	case l.skipped != "":
		return "skipped"
	case l.goal == 0:
		return ""
	case median(l.values) <= float64(l.goal):
		return "met"
	}
	return "NOT MET"
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

// printTable writes the table, what failed, and which goals are not met.
func printTable(w io.Writer, list []section, lines []line) {
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, s := range list {
		rows := slices.DeleteFunc(slices.Clone(lines), func(l line) bool { return l.section != s.name })
		if len(rows) == 0 {
			continue
		}
		// A line without tabs ends a block of columns: each section has its own.
		fmt.Fprintf(t, "\n%s: %s\n", s.name, s.title)
		fmt.Fprintln(t, "  \tmedian\t[quartiles]\t\tgoal\t\tCPU µs\tbeside\treq/s\tp50 ms\tp99 ms")
		for _, l := range rows {
			fmt.Fprintln(t, l.cells())
		}
	}
	t.Flush()
	for line := range strings.Lines(text.String()) {
		fmt.Fprintln(w, strings.TrimRight(line, " \n"))
	}
	fmt.Fprintln(w)
	for _, l := range lines {
		switch {
		case l.err != nil:
			fmt.Fprintf(w, "FAILED %s / %s: %v\n", l.section, l.name, l.err)
		case l.skipped != "":
			fmt.Fprintf(w, "skipped %s / %s: %s\n", l.section, l.name, l.skipped)
		}
	}
	fmt.Fprintln(w, summary(lines))
}

func (l line) cells() string {
	cells := []string{"  " + l.name, "-", "", l.unit, "", l.verdict()}
	if l.goal != 0 {
		cells[4] = fmt.Sprintf("≤ %.4g", float64(l.goal))
	}
	if l.err == nil && l.skipped == "" {
		q1, mid, q3 := quartiles(l.values)
		cells[1], cells[2] = number(mid, l.unit), fmt.Sprintf("[%s–%s]", number(q1, l.unit), number(q3, l.unit))
	}
	if len(l.runs) > 0 {
		cells = append(cells, micro(l.runs), micro(l.beside), rates(l.runs))
	} else {
		// A line with fewer cells would end the columns.
		cells = append(cells, "", "", "\t\t")
	}
	return strings.Join(cells, "\t")
}

// number writes ratios with two digits after the point, the rest with one.
func number(x float64, unit string) string {
	switch unit {
	case "×":
		return fmt.Sprintf("%.2f", x)
	case "+":
		return fmt.Sprintf("%+.2f", x)
	}
	return fmt.Sprintf("%.1f", x)
}

// amount is the median with its unit.
func amount(l line) string {
	text := number(median(l.values), l.unit)
	if l.unit == "+" {
		return text // has its sign
	}
	return text + " " + l.unit
}

// summary says in one line which goals are not met.
func summary(lines []line) string {
	var with int
	var missed, unknown []string
	for _, l := range lines {
		name := l.section + " / " + l.name
		if l.goal == 0 && l.name != wholeSection {
			continue
		}
		if l.goal != 0 {
			with++
		}
		switch l.verdict() {
		case "NOT MET":
			missed = append(missed, fmt.Sprintf("%s (%s, want ≤ %.4g)", name, amount(l), float64(l.goal)))
		case "FAILED", "skipped":
			unknown = append(unknown, name)
		}
	}
	text := fmt.Sprintf("goals not met: none of %d", with)
	if len(missed) > 0 {
		text = fmt.Sprintf("goals not met: %d of %d: %s", len(missed), with, strings.Join(missed, "; "))
	}
	if len(unknown) > 0 {
		text += "\ngoals not measured: " + strings.Join(unknown, "; ")
	}
	return text
}

func micro(runs []sample) string {
	return fmt.Sprintf("%.1f", median(each(runs, func(s sample) float64 { return float64(s.cpu) / float64(time.Microsecond) })))
}

func rates(runs []sample) string {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return fmt.Sprintf("%.0f\t%.2f\t%.2f",
		median(each(runs, func(s sample) float64 { return s.rate })),
		median(each(runs, func(s sample) float64 { return ms(s.p50) })),
		median(each(runs, func(s sample) float64 { return ms(s.p99) })))
}
