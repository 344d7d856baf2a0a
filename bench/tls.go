package main

import "context"

// overTLS puts TLS in front of both, as where nothing ends it before.
func overTLS(ctx context.Context, w *world) ([]line, error) {
	g, err := w.gateway(ctx, setup{idp: true, tls: true})
	if err != nil {
		return nil, err
	}
	two := func(t target) target {
		return t.with(t.name+", HTTP/2", func(t *target) { t.http2 = true })
	}
	rows, err := w.besideBare(ctx, []row{
		{own: g.bearer().with("bearer, HTTP/1.1", func(*target) {})},
		{own: two(g.bearer())},
		{own: two(g.session())},
	})
	if err != nil {
		return nil, err
	}
	return w.paired(ctx, rows), nil
}
