package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"gatehouse/internal/conf"
	"gatehouse/internal/heap"
	"gatehouse/internal/watch"
)

const (
	// grace is how long the parts of a generation outlive it, for the requests
	// that began with it.
	grace = time.Minute
	// lull is how long no reload must come until the memory that the last one
	// needed is given back.
	lull = time.Second
	// again is how soon a reload is tried again that lacked a bundle.
	again = 30 * time.Second
)

// retired is a generation that no longer decides: only its parts are kept.
type retired struct {
	*generation
	until time.Time
}

// errFetch says that a bundle could not be had: the next try may find it.
var errFetch = errors.New("a bundle cannot be had")

// Reload makes a running App read its configuration again. It returns at once;
// the outcome is logged. Several calls may be one reload.
func (a *App) Reload() { signal(a.asked) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is pending already
	}
}

// reloads reads the configuration again when somebody asks for it, when a file
// of it has changed, and when a bundle has, one after the other, until ctx ends.
func (a *App) reloads(ctx context.Context) {
	w := watch.New(watch.Options{Log: a.log})
	if d := a.now.Load().plan.draft; !a.noWatch && d.path != "" {
		w.Follow(d.sight)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			w.Run(ctx)
		}()
		defer func() { <-ended }()
	}
	tidy := time.NewTicker(grace / 4)
	defer tidy.Stop()
	retry := time.NewTimer(again)
	retry.Stop()
	defer retry.Stop()
	trim := time.NewTimer(lull)
	trim.Stop()
	defer trim.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tidy.C:
			a.tidy(time.Now())
			continue
		case <-trim.C:
			heap.Trim()
			continue
		case <-a.asked:
			a.reopen(ctx)
		case <-w.Changed():
		case <-a.bundled:
		case <-retry.C:
		}
		sight, err := a.reload(ctx)
		w.Follow(sight)
		trim.Reset(lull)
		retry.Stop()
		if errors.Is(err, errFetch) {
			retry.Reset(again)
		}
	}
}

// tidy gives the parts of generations back whose requests have had their time.
func (a *App) tidy(now time.Time) {
	a.retired = slices.DeleteFunc(a.retired, func(r retired) bool {
		over := now.After(r.until)
		if over {
			r.release()
		}
		return over
	})
}

// reload reads the configuration and puts it in the place of the one that
// decides, or tells why not. It returns what the files looked like that it read.
func (a *App) reload(ctx context.Context) (*watch.Sight, error) {
	old := a.now.Load()
	sight, err := watch.Look(), errNoFile
	if old.plan.draft.path != "" {
		g := a.newGeneration()
		if sight, err = a.again(ctx, g, old); err == nil {
			a.replace(g)
			return sight, nil
		}
		g.release()
		if ctx.Err() != nil {
			return sight, err
		}
		a.refuse(err)
	}
	// What is wrong with the file does not keep newer bundles away.
	if moved, failed := a.follow(ctx, old); failed != nil {
		a.log.ErrorContext(ctx, "newer bundles do not take effect", "error", failed)
	} else if moved != nil {
		a.replace(moved)
	}
	return sight, err
}

// errNoFile is returned for a configuration that was never a file.
var errNoFile = errors.New("the configuration is no file, so it cannot be read again")

// again assembles g from the file of the generation before it.
func (a *App) again(ctx context.Context, g, old *generation) (*watch.Sight, error) {
	d, err := readDraft(old.plan.draft.path)
	if err != nil {
		return d.sight, err
	}
	if keys := fixed(a.config, d.cfg); len(keys) > 0 {
		return d.sight, &fixedError{keys}
	}
	have, err := a.fetch(ctx, g, d)
	judges := append(old.plan.draft.judges(old.plan.bundles), d.judges(have)...)
	a.judging.Store(&judges)
	if err != nil {
		return d.sight, fmt.Errorf("%w: %w", errFetch, d.file.Err())
	}
	plan, err := d.compile(have)
	if err != nil {
		return d.sight, err
	}
	return d.sight, a.assemble(ctx, g, plan)
}

// follow returns a generation with the configuration of old and the bundles of
// now, nil when these are the same.
func (a *App) follow(ctx context.Context, old *generation) (*generation, error) {
	have, moved := bundles{}, false
	for _, s := range old.sources {
		b, key := s.Current(), s.entry.key
		was := old.plan.bundles[key]
		have[key] = b
		moved = moved || b.Revision != was.Revision || !same(b.Modules, was.Modules) || !same(b.Data, was.Data)
	}
	if !moved {
		return nil, nil
	}
	plan, err := old.plan.with(ctx, have)
	if err != nil {
		return nil, err
	}
	g := a.newGeneration()
	for _, p := range old.held {
		g.hold(p)
	}
	g.sources = old.sources
	if err := a.assemble(ctx, g, plan); err != nil {
		g.release()
		return nil, err
	}
	return g, nil
}

// replace makes g decide. The generation before it ends when its requests have
// had time to.
func (a *App) replace(g *generation) {
	g.start()
	old := a.now.Swap(g)
	a.handler.Swap(g.gate)
	a.retired = append(a.retired, retired{&generation{parts: old.parts, held: old.held}, time.Now().Add(grace)})
	judges := g.plan.draft.judges(g.plan.bundles)
	a.judging.Store(&judges)
	change := compareRoutes(old.plan.Config, g.plan.Config)
	if a.metrics != nil {
		a.metrics.Reloaded(g.plan.Revision())
		a.metrics.Forget(change.removed)
		a.metrics.ForgetUpstreams(slices.DeleteFunc(slices.Collect(maps.Keys(old.plan.Config.Upstreams)), func(name string) bool {
			return g.plan.Config.Upstreams[name] != nil
		}))
	}
	known := map[string]bool{}
	for _, w := range old.plan.Summary().Warnings {
		known[w.String()] = true
	}
	for _, w := range g.plan.Summary().Warnings {
		if text := w.String(); !known[text] {
			a.log.Warn(text)
		}
	}
	a.log.Info("configuration reloaded", append([]any{
		"revision", g.plan.Revision(), "revision_before", old.plan.Revision(),
	}, change.attrs()...)...)
}

// refuse tells why the generation of now stays.
func (a *App) refuse(err error) {
	if a.metrics != nil {
		a.metrics.ReloadRefused()
	}
	const message = "configuration not reloaded: the one before stays"
	var list *conf.Problems
	var keys *fixedError
	switch {
	case errors.As(err, &list):
		var problems []string
		for _, p := range list.Errors() {
			problems = append(problems, p.String())
		}
		a.log.Error(message, "problems", problems)
	case errors.As(err, &keys):
		a.log.Error(message, "error", err, "keys", keys.keys)
	default:
		a.log.Error(message, "error", err)
	}
}
