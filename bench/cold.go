package main

import (
	"context"
	"time"
)

// cold shows what the first request of a credential costs: all of them are.
func cold(ctx context.Context, w *world) ([]line, error) {
	file, err := w.tokens(ctx, w.plan.tokens)
	if err != nil {
		return nil, err
	}
	// A gateway of its own, which has seen none of the tokens.
	c, err := w.configure(setup{})
	if err != nil {
		return nil, err
	}
	g, err := w.launch(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := g.signIn(ctx, w); err != nil {
		return nil, err
	}
	fresh := &feed{file: file, lines: w.plan.tokens, where: lineBearer, once: true}
	own := g.bearer().with("bearer, every token new", func(t *target) { t.header, t.feed = nil, fresh })
	rows := []row{{own: own, figures: []figure{cpu(5)}}}
	if w.knows.cache {
		forgetful, err := w.gateway(ctx, setup{forget: true})
		if err != nil {
			return nil, err
		}
		rows = append(rows, row{name: "bearer, one token, never remembered", own: forgetful.bearer()})
	}
	if rows, err = w.besideBare(ctx, rows); err != nil {
		return nil, err
	}
	// The process itself shall be warm.
	if _, err := w.runLoad(ctx, g.bearer(), time.Second); err != nil {
		return nil, err
	}
	lines := w.paired(ctx, rows)
	if !w.knows.cache {
		lines = append(lines, skippedLine("bearer, one token, never remembered", unsupported, "principals.max"))
	}
	return lines, nil
}
