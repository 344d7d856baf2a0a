package main

import "context"

// builds compares two builds of gatehouse: what a change is worth, with less
// noise than two ratios to a bare proxy have between them.
func builds(ctx context.Context, w *world) ([]line, error) {
	if w.plan.against == "" {
		return []line{skippedLine("all", "there is no other build: -against names one")}, nil
	}
	medium := func(t *target) { t.path = mediumFile }
	var rows []row
	add := func(name string, this, that target) { rows = append(rows, row{name: name, own: this, beside: that}) }
	for _, transport := range []setup{{idp: true}, {idp: true, h1: true}} {
		if transport.h1 && !w.knows.h1 {
			break
		}
		this, err := w.gateway(ctx, transport)
		if err != nil {
			return nil, err
		}
		transport.other = true
		that, err := w.gateway(ctx, transport)
		if err != nil {
			return nil, err
		}
		name := ""
		if transport.h1 {
			name = "h1 "
		}
		add(name+"public", this.open(), that.open())
		add(name+"bearer", this.bearer(), that.bearer())
		add(name+"session", this.session(), that.session())
		add(name+"bearer, 64 KiB", this.bearer().with("", medium), that.bearer().with("", medium))
	}
	return w.paired(ctx, rows), nil
}
