package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// event is a line of `go test -json` (go doc test2json).
type event struct {
	Action  string
	Package string
	Test    string
	Elapsed float64
	Output  string
}

// test names one test; an empty name is the package as a whole.
type test struct{ pkg, name string }

// run is what is known of one `go test`.
type run struct {
	result map[test]string
	output map[test][]string
	built  []string // output of the compiler
}

func newRun() *run {
	return &run{result: map[test]string{}, output: map[test][]string{}}
}

// read takes events until in ends and renders each package when it is done.
func (r *run) read(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(out, lines.Text())
			continue
		}
		r.take(e, out)
	}
	return lines.Err()
}

func (r *run) take(e event, out io.Writer) {
	t := test{e.Package, e.Test}
	switch e.Action {
	case "output":
		r.output[t] = append(r.output[t], e.Output)
	case "build-output":
		r.built = append(r.built, e.Output)
	case "pass", "fail", "skip":
		r.result[t] = e.Action
		if e.Test == "" {
			r.render(e, out)
		}
	}
}

// render prints a package that is done.
func (r *run) render(e event, out io.Writer) {
	passed, failed, skipped := 0, 0, 0
	for _, t := range r.leaves() {
		if t.pkg != e.Package || t.name == "" {
			continue
		}
		switch r.result[t] {
		case "pass":
			passed++
		case "fail":
			failed++
			r.print(t, out)
		case "skip":
			skipped++
			r.print(t, out)
		}
	}
	if e.Action == "fail" && failed == 0 {
		fmt.Fprint(out, strings.Join(r.built, ""))
		r.print(test{e.Package, ""}, out)
	}
	if e.Action != "skip" {
		fmt.Fprintf(out, "%-4s %s  %.1fs  %d passed, %d failed, %d skipped\n",
			e.Action, e.Package, e.Elapsed, passed, failed, skipped)
	}
	for t := range r.output {
		if t.pkg == e.Package {
			delete(r.output, t)
		}
	}
}

func (r *run) print(t test, out io.Writer) {
	fmt.Fprintf(out, "== %s %s\n", t.pkg, t.name)
	for _, line := range r.output[t] {
		fmt.Fprint(out, "   ", line)
	}
}

// leaves returns the tests that count: those without subtests, those that
// failed though no subtest did, and packages that failed though no test did.
func (r *run) leaves() []test {
	frame, told := map[test]bool{}, map[test]bool{}
	for t, result := range r.result {
		for up, ok := t.parent(); ok; up, ok = up.parent() {
			frame[up] = true
			told[up] = told[up] || result == "fail"
		}
	}
	var list []test
	for t, result := range r.result {
		if result == "fail" && !told[t] || result != "fail" && t.name != "" && !frame[t] {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b test) int {
		return strings.Compare(a.pkg+" "+a.name, b.pkg+" "+b.name)
	})
	return list
}

// parent returns the test around t; around a test stands its package.
func (t test) parent() (test, bool) {
	if t.name == "" {
		return test{}, false
	}
	i := strings.LastIndexByte(t.name, '/')
	return test{t.pkg, t.name[:max(i, 0)]}, true
}

func (r *run) count() (passed, failed, skipped int) {
	for _, t := range r.leaves() {
		switch r.result[t] {
		case "pass":
			passed++
		case "fail":
			failed++
		case "skip":
			skipped++
		}
	}
	return passed, failed, skipped
}
