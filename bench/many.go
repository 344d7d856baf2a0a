package main

import (
	"context"
	"fmt"
	"time"
)

// warmTokens is how many tokens are asked in turn.
const warmTokens = 20_000

// crowd compares one credential, asked over and over, with many in turn, all of
// which the gateway has seen before.
func crowd(ctx context.Context, w *world) ([]line, error) {
	const most = 1.10
	g, err := w.gateway(ctx, setup{})
	if err != nil {
		return nil, err
	}
	var lines []line
	add := func(name string, one, all target) {
		if err := w.warm(ctx, []target{all}); err != nil {
			lines = append(lines, failedLine(name, err).withGoal(most))
			return
		}
		lines = append(lines, w.paired(ctx, []row{{name: name, own: all, beside: one, figures: []figure{cpu(most)}}})...)
	}
	n := min(warmTokens, w.plan.tokens)
	name := fmt.Sprintf("%d tokens in turn, against one", n)
	if file, err := w.tokens(ctx, n); err != nil {
		lines = append(lines, failedLine(name, err).withGoal(most))
	} else {
		add(name, g.bearer(), g.bearer().with("bearer", func(t *target) {
			t.header, t.feed = nil, &feed{file: file, lines: n, where: lineBearer}
		}))
	}
	name = fmt.Sprintf("%d sessions in turn, against one", w.plan.people)
	w.tell("signing %d people in", w.plan.people)
	if file, err := w.sessions(ctx, g, w.plan.people); err != nil {
		lines = append(lines, failedLine(name, err).withGoal(most))
	} else {
		add(name, g.session(), g.session().with("session", func(t *target) {
			t.header, t.feed = nil, &feed{file: file, lines: w.plan.people, where: lineCookie}
		}))
	}
	return lines, nil
}

// warm asks each target for every line of its feed once, in runs of two seconds.
func (w *world) warm(ctx context.Context, targets []target) error {
	const patience = 2 * time.Minute
	for _, t := range targets {
		for begin, from := time.Now(), t.feed.at; t.feed.at-from < t.feed.lines; {
			if time.Since(begin) > patience {
				return fmt.Errorf("%s: %d of %d were asked once within %v", t.name, t.feed.at-from, t.feed.lines, patience)
			}
			if _, err := w.runLoad(ctx, t, 2*time.Second); err != nil {
				return err
			}
		}
	}
	return nil
}
