package main

import (
	"context"
	"time"
)

// builds compares two builds of gatehouse: what a change is worth, with less
// noise than two ratios to a bare proxy have between them.
func builds(ctx context.Context, w *world) ([]line, error) {
	if w.plan.against == "" {
		return []line{skippedLine("all", "there is no other build: -against names one")}, nil
	}
	medium := func(t *target) { t.path = mediumFile }
	var rows []row
	add := func(name string, this, that target) { rows = append(rows, row{name: name, own: this, beside: that}) }
	for _, transport := range []setup{{idp: true}, {idp: true, h1: true}} {
		if transport.h1 && !w.knows.h1 {
			break
		}
		this, err := w.gateway(ctx, transport)
		if err != nil {
			return nil, err
		}
		transport.other = true
		that, err := w.gateway(ctx, transport)
		if err != nil {
			return nil, err
		}
		name := ""
		if transport.h1 {
			name = "h1 "
		}
		add(name+"public", this.open(), that.open())
		add(name+"bearer", this.bearer(), that.bearer())
		add(name+"session", this.session(), that.session())
		add(name+"bearer, 64 KiB", this.bearer().with("", medium), that.bearer().with("", medium))
	}
	return append(w.paired(ctx, rows), w.signInBuilds(ctx)), nil
}

// signInBuilds compares what a sign-in with a password costs both builds.
func (w *world) signInBuilds(ctx context.Context) line {
	const name = "sign-in with a password, CPU"
	var both [2]*users
	for i := range both {
		c, err := w.usersOf(ctx, setup{other: i == 1}, storm)
		if err != nil {
			return failedLine(name, err)
		}
		defer c.end()
		both[i] = c
	}
	l := line{name: name, unit: "×"}
	for n := range w.plan.rounds + 1 {
		var cost [2]time.Duration
		for i := range both {
			who := (i + n) % len(both)
			s, err := both[who].signIns(ctx, 2*w.plan.duration)
			if err != nil {
				return failedLine(name, err)
			}
			cost[who] = s.cpu
		}
		if n > 0 { // the first ones are slower
			l.values = append(l.values, float64(cost[0])/float64(cost[1]))
		}
	}
	return l
}
