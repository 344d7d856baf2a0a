package main

import (
	"context"
	"net/http"
	"path/filepath"
)

// routes asks ten routes in turn, spread over all that there are: what grows
// with their number shows, and nothing else.
func routes(ctx context.Context, w *world) ([]line, error) {
	const few, lots = 10, 10_000
	var asked [2]target
	for i, n := range []int{few, lots} {
		g, err := w.gateway(ctx, setup{routes: n})
		if err != nil {
			return nil, err
		}
		var paths []string
		for k := range few {
			paths = append(paths, numbered(k*(n/few))+page)
		}
		asked[i] = g.bearer().with("bearer", func(t *target) {
			t.prefix = numbered(n - 1)
			t.feed = &feed{file: filepath.Join(w.dir, "paths-of-"+t.proc.name), lines: len(paths), where: linePath}
		})
		if err := writeLines(asked[i].feed.file, paths); err != nil {
			return nil, err
		}
		for _, path := range paths {
			t := g.at("bearer", path[:len(path)-len(page)], http.Header{"Authorization": {"Bearer " + g.token}})
			if err := answers(ctx, t); err != nil {
				return nil, err
			}
		}
	}
	if err := w.warm(ctx, asked[:]); err != nil {
		return nil, err
	}
	return w.paired(ctx, []row{
		{name: "bearer, ten routes in turn", own: asked[1], beside: asked[0], figures: []figure{cpu(1.05)}},
	}), nil
}
