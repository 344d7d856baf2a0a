package main

import "context"

// small is what most requests are: the gateway as it ships, with its provider.
func small(ctx context.Context, w *world) ([]line, error) {
	g, err := w.gateway(ctx, setup{idp: true})
	if err != nil {
		return nil, err
	}
	rows, err := w.besideBare(ctx, []row{
		{own: g.open()},
		{own: g.bearer(), figures: []figure{cpu(1.25)}},
		{own: g.session(), figures: []figure{cpu(1.35)}},
		{own: g.bearerAssertion(), figures: []figure{cpu(0), over("bearer", 0.10)}},
		{own: g.sessionAssertion(), figures: []figure{cpu(0), over("session", 0.10)}},
	})
	if err != nil {
		return nil, err
	}
	return w.paired(ctx, rows), nil
}
