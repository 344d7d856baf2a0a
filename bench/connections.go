package main

import (
	"context"
	"fmt"
)

// connections varies how many ask at once. With one there is no queue: that is
// where latency shows.
func connections(ctx context.Context, w *world) ([]line, error) {
	g, err := w.gateway(ctx, setup{idp: true})
	if err != nil {
		return nil, err
	}
	var rows []row
	for _, n := range []int{1, 32, 128} {
		r := row{own: g.bearer().with(fmt.Sprintf("bearer, c=%d", n), func(t *target) { t.connections = n })}
		if n == 1 {
			r.figures = []figure{cpu(0), p50(1.15)}
		}
		rows = append(rows, r)
	}
	if rows, err = w.besideBare(ctx, rows); err != nil {
		return nil, err
	}
	return w.paired(ctx, rows), nil
}
