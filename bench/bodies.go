package main

import "context"

// bodies moves more than a page, down from the application's files and up to
// one that throws away what it reads.
func bodies(ctx context.Context, w *world) ([]line, error) {
	g, err := w.gateway(ctx, setup{idp: true})
	if err != nil {
		return nil, err
	}
	// So many MiB at once on more connections would measure the memory bus.
	const few = 4
	up := func(name string, size, connections int) row {
		return row{own: g.bearer().with(name, func(t *target) {
			t.prefix, t.path, t.upload, t.connections = "/tools", "/upload", size, connections
		})}
	}
	rows, err := w.besideBare(ctx, []row{
		{own: g.bearer().with("64 KiB down", func(t *target) { t.path = mediumFile }), figures: []figure{cpu(1.05)}},
		{own: g.open().with("64 KiB down, public", func(t *target) { t.path = mediumFile })},
		{own: g.bearer().with("10 MiB down, c=4", func(t *target) { t.path, t.connections = largeFile, few })},
		up("66 B up", 66, 0),
		up("64 KiB up", mediumSize, 0),
		up("10 MiB up, c=4", largeSize, few),
	})
	if err != nil {
		return nil, err
	}
	return w.paired(ctx, rows), nil
}
