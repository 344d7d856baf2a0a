package whatif

import (
	"fmt"
	"io"
	"unicode/utf8"
)

// widest is how far names of tests are padded, in letters.
const widest = 64

// Write prints the report for people.
func (r *Report) Write(w io.Writer) {
	for _, f := range r.Files {
		fmt.Fprintln(w, f.File)
		width := 0
		for _, t := range f.Tests {
			width = max(width, utf8.RuneCountInString(t.Name))
		}
		for _, t := range f.Tests {
			t.write(w, min(width, widest))
		}
	}
	fmt.Fprintf(w, "%s, %d passed, %d failed; routes %d/%d, conditions %d/%d, coverage %d %%\n",
		counted(r.Tests, "test"), r.Passed, r.Failed, r.Coverage.Routes.Covered, r.Coverage.Routes.Total,
		r.Coverage.Conditions.Covered, r.Coverage.Conditions.Total, r.Coverage.Percent)
	if len(r.Coverage.Gaps) == 0 {
		return
	}
	fmt.Fprintln(w, "\nnot covered")
	for _, g := range r.Coverage.Gaps {
		fmt.Fprintln(w, " ", g.Text())
	}
}

func (t *TestResult) write(w io.Writer, width int) {
	word := "ok"
	if !t.Passed {
		word = "FAIL"
	}
	fmt.Fprintf(w, "  %-4s  %-*s  (line %d)\n", word, width, t.Name, t.Line)
	for _, f := range t.Failures {
		for _, line := range f.lines() {
			fmt.Fprintln(w, "       ", line)
		}
	}
}

// lines tell of a failure, without indentation.
func (f Failure) lines() []string {
	var lines []string
	if f.Request != "" {
		lines = append(lines, f.Request+"   as "+f.As)
	}
	if f.Expected == "" {
		lines = append(lines, "got "+f.Got)
	} else {
		lines = append(lines, "expected "+f.Expected+", got "+f.Got)
	}
	if f.Route != "" {
		at := fmt.Sprintf("route %s (%s)", f.Route, f.At)
		if f.Rule != "" {
			at += ", rule " + f.Rule
		}
		lines = append(lines, at)
	}
	lines = append(lines, f.Conditions...)
	if f.Error != "" {
		lines = append(lines, f.Error)
	}
	return lines
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
