package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"

	"gatehouse/policy"
	"gatehouse/policy/bundle"
)

// entry is one bundle that a configuration or its shadow names.
type entry struct {
	policy.Custom
	// key is the same for entries that lead to the same source. It sums up the
	// files that verify the bundle, as they were when the configuration was read.
	key string
}

// source is where the bundle of an entry comes from.
type source struct {
	*bundle.Source
	entry entry
}

// bundles are what sources gave, by the key of the entry.
type bundles map[string]policy.Bundle

// bundlesOf returns the bundles that a configuration names.
func bundlesOf(c *Config) []entry {
	var all []entry
	for _, custom := range c.Policy.Custom {
		if custom.Bundle != "" {
			all = append(all, entry{custom, keyOf(custom)})
		}
	}
	return all
}

// entries returns the bundles that the configuration and its shadow name.
func (d *draft) entries() []entry {
	if d.shadow == nil {
		return d.named
	}
	return slices.Concat(d.named, d.shadow.named)
}

func keyOf(c policy.Custom) string {
	key, ca, file := c.File(c.Key), c.File(c.CA), c.Bundle
	if c.URL() == nil {
		file = c.File(c.Bundle)
	}
	return "bundle" + fingerprint(c, file, key, ca) + content(key, ca)
}

// compilePolicy compiles the policy of the draft alone, without its shadow's.
func (d *draft) compilePolicy(ctx context.Context, have bundles) (*policy.Policy, error) {
	return d.operators.Compile(ctx, d.cfg.Rules(), have.of(d)...)
}

// of returns the bundles of one draft, without those that are missing.
func (have bundles) of(d *draft) []policy.Bundle {
	var all []policy.Bundle
	for _, e := range d.named {
		if b, ok := have[e.key]; ok {
			all = append(all, b)
		}
	}
	return all
}

// blame reports what is wrong with a bundle: at its entry, or where the shadow is
// named that has it.
func (d *draft) blame(e entry, err error) {
	for i := range d.cfg.Policy.Custom {
		if d.cfg.Policy.Custom[i].Pos == e.Pos {
			d.file.Report().Errorf(e.Pos, "%v", err)
			return
		}
	}
	d.blameShadow(err)
}

// bundleDir is where copies of the servers' bundles are kept.
func (c *Config) bundleDir() string { return filepath.Join(c.DataDir, "bundles") }

// addKept adds the copies of the servers' bundles that are on disk, unless they
// do not fit: a server may have newer ones.
func (d *draft) addKept(have bundles) {
	with, ctx := maps.Clone(have), context.Background()
	for _, e := range d.entries() {
		if e.URL() == nil {
			continue
		}
		source, err := bundle.New(e.Custom, bundle.Options{Dir: d.cfg.bundleDir(), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			continue
		}
		if b, err := source.LoadKept(ctx); err == nil {
			with[e.key] = b
		}
	}
	if len(with) == len(have) {
		return
	}
	for _, j := range d.judges(with) {
		if _, err := j.draft.compilePolicy(ctx, with); err != nil {
			return
		}
	}
	maps.Copy(have, with)
}

// fetch gets the bundles of d for g. A bundle that is had already is not asked
// for again, unless it is a file. What cannot be had is blamed on the file.
func (a *App) fetch(ctx context.Context, g *generation, d *draft) (bundles, error) {
	have := bundles{}
	var errs []error
	for _, e := range d.entries() {
		b, err := a.fetchOne(ctx, g, e)
		if err != nil {
			d.blame(e, err)
			errs = append(errs, err)
			continue
		}
		have[e.key] = b
	}
	return have, errors.Join(errs...)
}

func (a *App) fetchOne(ctx context.Context, g *generation, e entry) (policy.Bundle, error) {
	c := a.config
	o := bundle.Options{Log: a.log}
	if e.URL() != nil {
		if err := c.makeDataDir(); err != nil {
			return policy.Bundle{}, err
		}
		o.Dir = c.bundleDir()
		o.Accept = func(ctx context.Context, b policy.Bundle) error { return a.accept(ctx, e, b) }
	}
	s, err := use(g, e.key, func() (*bundle.Source, work, error) {
		s, err := bundle.New(e.Custom, o)
		if err != nil {
			return nil, work{}, err
		}
		return s, work{run: func(ctx context.Context) { s.Run(ctx, func() { signal(a.bundled) }) }}, nil
	})
	if err != nil {
		return policy.Bundle{}, err
	}
	g.sources = append(g.sources, source{s, e})
	if b := s.Current(); e.URL() != nil && (b.Modules != nil || b.Data != nil) {
		return b, nil
	}
	return s.Load(ctx)
}

// judge is a configuration that bundles must fit, with the ones it has.
type judge struct {
	draft *draft
	have  bundles
}

// judges returns the configurations of a draft that bundles must fit.
func (d *draft) judges(have bundles) []judge {
	all := []judge{{d, have}}
	if d.shadow != nil {
		all = append(all, judge{d.shadow, have})
	}
	return all
}

// accept judges a newer bundle before it takes the place of the one before: it
// must fit a configuration that names it, of those that decide or of those that
// were refused last and may have waited for it.
func (a *App) accept(ctx context.Context, e entry, newer policy.Bundle) error {
	var errs []error
	for _, j := range *a.judging.Load() {
		named := slices.ContainsFunc(j.draft.named, func(o entry) bool { return o.key == e.key })
		if !named {
			continue
		}
		have := maps.Clone(j.have)
		have[e.key] = newer
		_, err := j.draft.compilePolicy(ctx, have)
		if err == nil {
			return nil
		}
		errs = append(errs, fmt.Errorf("it does not fit the configuration: %w", err))
	}
	return errors.Join(errs...)
}

// with returns the plan with these bundles, and the rest as it is. A shadow that
// they do not fit keeps those it had.
func (p *Plan) with(ctx context.Context, have bundles) (*Plan, error) {
	next := *p
	next.bundles = have
	var err error
	next.policy, err = p.draft.compilePolicy(ctx, have)
	if err != nil {
		return nil, err
	}
	if p.shadow != nil {
		if shadow, err := p.shadow.with(ctx, have); err == nil {
			next.shadow = shadow
		}
	}
	next.revise()
	return &next, nil
}
