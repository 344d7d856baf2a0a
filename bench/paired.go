package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// row is a target and what it is measured against.
type row struct {
	name    string
	own     target
	beside  target   // runs right before and right after own
	figures []figure // what to print of it; nil for cpu without a goal
}

// figure is one thing that the rounds of a row say.
type figure struct {
	name string // added to the row's; "" for none
	unit string
	goal goal
	of   func(r *rounds, name string) []float64 // one value a round
}

// goal is the most that a median may be; zero for no goal.
type goal float64

// cpu is CPU per request, as a multiple of the yardstick's.
func cpu(most goal) figure {
	return figure{unit: "×", goal: most, of: func(r *rounds, name string) []float64 {
		return each(r.own[name], pairing.cpuRatio)
	}}
}

// p50 is the median latency, as a multiple of the yardstick's.
func p50(most goal) figure {
	return figure{name: "median latency", unit: "×", goal: most, of: func(r *rounds, name string) []float64 {
		return each(r.own[name], pairing.p50Ratio)
	}}
}

// over is how much higher the CPU ratio is than that of another row, which must
// have the same yardstick and stand in the same list. Rounds are subtracted one
// by one, so that what both of them suffered falls out.
func over(other string, most goal) figure {
	return figure{name: "over " + other, unit: "+", goal: most, of: func(r *rounds, name string) []float64 {
		mine, others := each(r.own[name], pairing.cpuRatio), each(r.own[other], pairing.cpuRatio)
		out := make([]float64, min(len(mine), len(others)))
		for i := range out {
			out[i] = mine[i] - others[i]
		}
		return out
	}}
}

// rounds are all runs of a list of rows so far.
type rounds struct {
	run    func(context.Context, target) (sample, error)
	own    map[string][]pairing
	failed map[string]error
}

// paired runs all rows in rounds and returns their lines. Each row runs once a
// round, between two runs of its yardstick; what runs late in a round is not
// always the same. A row that fails is left out from then on.
func (w *world) paired(ctx context.Context, rows []row) []line {
	r := &rounds{own: map[string][]pairing{}, failed: map[string]error{}}
	// The first second of a program is not like its others.
	r.run = func(ctx context.Context, t target) (sample, error) { return w.runLoad(ctx, t, time.Second) }
	r.warm(ctx, rows)
	r.run = func(ctx context.Context, t target) (sample, error) { return w.runLoad(ctx, t, w.plan.duration) }
	for n := 0; n < w.plan.rounds && ctx.Err() == nil; n++ {
		w.tell("round %d of %d", n+1, w.plan.rounds)
		r.round(ctx, ordered(rows, n))
	}
	var lines []line
	for _, row := range rows {
		lines = append(lines, r.lines(row)...)
	}
	return lines
}

func (r *rounds) warm(ctx context.Context, rows []row) {
	warmed := map[string]bool{}
	for _, row := range rows {
		for _, t := range []target{row.beside, row.own} {
			// What comes from a feed is warmed by whoever made the feed, or is
			// meant to be cold.
			if key := t.key(); !warmed[key] && t.feed == nil {
				warmed[key] = true
				_, err := r.run(ctx, t)
				r.fail(ctx, row, err)
			}
		}
	}
}

// fail keeps the first error of a row. What fails because somebody ended bench
// keeps its earlier rounds instead.
func (r *rounds) fail(ctx context.Context, row row, err error) {
	if err != nil && ctx.Err() == nil && r.failed[row.name] == nil {
		r.failed[row.name] = err
	}
}

// ordered turns the order round every other time: what runs late in a round
// must not always be the same.
func ordered(rows []row, round int) []row {
	out := slices.Clone(rows)
	if round%2 == 1 {
		slices.Reverse(out)
	}
	return out
}

// round runs each row once. Neighbours with the same yardstick share the run of
// it that lies between them.
func (r *rounds) round(ctx context.Context, rows []row) {
	var last *sample // the latest run, if it was one of the yardstick
	var of string
	for _, row := range rows {
		if r.failed[row.name] != nil {
			continue
		}
		if of != row.beside.key() {
			last = nil
		}
		p, err := r.pair(ctx, row, last)
		if err != nil {
			r.fail(ctx, row, err)
			last, of = nil, ""
			continue
		}
		r.own[row.name] = append(r.own[row.name], p)
		last, of = &p.after, row.beside.key()
	}
}

// pair runs a row's target between two runs of its yardstick; the first of them
// may have been run already.
func (r *rounds) pair(ctx context.Context, row row, before *sample) (p pairing, err error) {
	if before == nil {
		run, err := r.run(ctx, row.beside)
		if err != nil {
			return p, err
		}
		before = &run
	}
	p.before = *before
	if p.own, err = r.run(ctx, row.own); err != nil {
		return p, err
	}
	p.after, err = r.run(ctx, row.beside)
	return p, err
}

// lines are what the table says of a row.
func (r *rounds) lines(row row) []line {
	figures := row.figures
	if figures == nil {
		figures = []figure{cpu(0)}
	}
	var lines []line
	for _, f := range figures {
		l := line{name: row.name, unit: f.unit, goal: f.goal, err: r.failed[row.name]}
		if f.name != "" {
			l.name += ", " + f.name
		}
		if l.err == nil {
			if l.values = f.of(r, row.name); len(l.values) == 0 {
				l.err = errors.New("there is no round to show")
			}
		}
		if f.name == "" && l.err == nil {
			l.runs, l.beside = ownRuns(r.own[row.name]), besideRuns(r.own[row.name])
		}
		lines = append(lines, l)
	}
	return lines
}

func ownRuns(pairs []pairing) []sample {
	out := make([]sample, len(pairs))
	for i, p := range pairs {
		out[i] = p.own
	}
	return out
}

func besideRuns(pairs []pairing) []sample {
	var out []sample
	for _, p := range pairs {
		out = append(out, p.before, p.after)
	}
	return out
}

// failedLine stands for rows that could not even begin.
func failedLine(name string, err error) line { return line{name: name, err: err} }

// skippedLine stands for rows that this machine or this binary cannot have.
func skippedLine(name, format string, args ...any) line {
	return line{name: name, skipped: fmt.Sprintf(format, args...)}
}

// withGoal keeps the goal in the table that the line was to show.
func (l line) withGoal(most goal) line {
	l.goal = most
	return l
}
