package main

import "context"

// telemetry measures what being watched costs.
func telemetry(ctx context.Context, w *world) ([]line, error) {
	const most = 1.08
	if !w.knows.accessLog {
		return []line{skippedLine("bearer", unsupported, "telemetry.access_log").withGoal(most)}, nil
	}
	on, err := w.gateway(ctx, setup{idp: true})
	if err != nil {
		return nil, err
	}
	off, err := w.gateway(ctx, setup{idp: true, quiet: true})
	if err != nil {
		return nil, err
	}
	return w.paired(ctx, []row{
		{name: "bearer", own: on.bearer(), beside: off.bearer(), figures: []figure{cpu(most)}},
	}), nil
}
