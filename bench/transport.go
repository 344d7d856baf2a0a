package main

import "context"

// transportH1 measures the transport that writes and reads on the request's own
// goroutine, against the bare proxy and against the standard transport.
func transportH1(ctx context.Context, w *world) ([]line, error) {
	const bearerMost, sessionMost = 0.80, 0.85
	if !w.knows.h1 {
		missing := func(name string, most goal) line {
			return skippedLine(name, unsupported, "upstreams.NAME.transport").withGoal(most)
		}
		return []line{missing("bearer", bearerMost), missing("session", sessionMost)}, nil
	}
	h1, err := w.gateway(ctx, setup{idp: true, h1: true})
	if err != nil {
		return nil, err
	}
	standard, err := w.gateway(ctx, setup{idp: true})
	if err != nil {
		return nil, err
	}
	rows, err := w.besideBare(ctx, []row{
		{own: h1.open()},
		{own: h1.bearer(), figures: []figure{cpu(bearerMost)}},
		{own: h1.session(), figures: []figure{cpu(sessionMost)}},
		{own: h1.bearerAssertion(), figures: []figure{cpu(0), over("bearer", 0.10)}},
		{own: h1.sessionAssertion(), figures: []figure{cpu(0), over("session", 0.10)}},
	})
	if err != nil {
		return nil, err
	}
	rows = append(rows, row{name: "bearer, against the standard transport", own: h1.bearer(), beside: standard.bearer()})
	return w.paired(ctx, rows), nil
}
