package app

import (
	"context"
	"sync"
)

// part is something that generations share as long as its configuration is the
// same: connections to an upstream, keys of an issuer, a log.
type part struct {
	work
	key   string
	value any
	users int                // generations that hold it
	stop  context.CancelFunc // nil while it does not run
}

// work is what a part does by itself. All of it may be nil.
type work struct {
	// run works until its context ends.
	run func(context.Context)
	// close ends what run does not; it is called after run, and without it.
	close func()
}

// parts are those that some generation holds. They are for one goroutine: first
// Open, then the loop of reloads, then Close.
type parts struct {
	all     map[string]*part
	working context.Context // nil before Run
	group   sync.WaitGroup  // of parts that run, and of those that are ending
}

// begin makes parts work, these and those to come, until ctx ends.
func (ps *parts) begin(ctx context.Context) {
	ps.working = ctx
	for _, p := range ps.all {
		ps.start(p)
	}
}

func (ps *parts) start(p *part) {
	if ps.working == nil || p.run == nil || p.stop != nil {
		return
	}
	var ctx context.Context
	ctx, p.stop = context.WithCancel(ps.working)
	ps.group.Go(func() {
		p.run(ctx)
		if p.close != nil {
			p.close()
		}
	})
}

// release gives one hold of a part back. A part that nobody holds ends; nobody
// waits for that here.
func (ps *parts) release(p *part) {
	if p.users--; p.users > 0 {
		return
	}
	delete(ps.all, p.key)
	switch {
	case p.stop != nil:
		p.stop()
	case p.close != nil:
		p.close()
	}
}

// wait returns when every part that ran has ended.
func (ps *parts) wait() { ps.group.Wait() }

// use returns the part of this key for g: the one that another generation holds,
// or a new one. The key tells kind and configuration.
func use[T any](g *generation, key string, open func() (T, work, error)) (T, error) {
	if p := g.parts.all[key]; p != nil {
		g.hold(p)
		return p.value.(T), nil
	}
	value, w, err := open()
	if err != nil {
		return value, err
	}
	p := &part{key: key, value: value, work: w}
	g.parts.all[key] = p
	g.hold(p)
	return value, nil
}

func (g *generation) hold(p *part) {
	p.users++
	g.held = append(g.held, p)
}

// start makes the parts of g work.
func (g *generation) start() {
	for _, p := range g.held {
		g.parts.start(p)
	}
}

// release gives all parts of g back.
func (g *generation) release() {
	for _, p := range g.held {
		g.parts.release(p)
	}
	g.held = nil
}
