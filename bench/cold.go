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
	rows, err := w.besideBare(ctx, []row{{own: own, figures: []figure{cpu(5)}}})
	if err != nil {
		return nil, err
	}
	// The process itself shall be warm.
	if _, err := w.runLoad(ctx, g.bearer(), time.Second); err != nil {
		return nil, err
	}
	return w.paired(ctx, rows), nil
}
