package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	idleConnections = 2000
	idleSockets     = 1000
	// settled is how long a process is left alone before its memory counts.
	settled = time.Second
)

// memory measures what stays in RAM, each time in a process that has done
// nothing else. The gateway has no provider.
func memory(ctx context.Context, w *world) ([]line, error) {
	var atStart, under, own, bare, ownSocket, bareSocket []float64
	// Memory hardly varies from one process to the next.
	for range max(1, w.plan.starts/3) {
		g, start, err := w.untouched(ctx)
		if err != nil {
			return nil, err
		}
		atStart = append(atStart, start)
		peak, err := w.peak(ctx, g.bearer())
		if err != nil {
			return nil, err
		}
		under = append(under, peak)
		for _, kind := range []struct {
			socket    bool
			own, bare *[]float64
		}{{false, &own, &bare}, {true, &ownSocket, &bareSocket}} {
			g, b, err := w.idlePair(ctx, kind.socket)
			if err != nil {
				return nil, err
			}
			*kind.own, *kind.bare = append(*kind.own, g), append(*kind.bare, b)
		}
	}
	ratios := make([]float64, len(own))
	for i := range own {
		ratios[i] = own[i] / bare[i]
	}
	return []line{
		{name: "at start", unit: "MiB", values: atStart, goal: 30},
		{name: "under c=128, bearer", unit: "MiB", values: under, goal: 60},
		{name: fmt.Sprintf("an idle connection, of %d", idleConnections), unit: "KiB", values: own},
		{name: "an idle connection, bare proxy", unit: "KiB", values: bare},
		{name: "an idle connection, against the bare proxy", unit: "×", values: ratios, goal: 1.1},
		{name: fmt.Sprintf("an idle web socket, of %d", idleSockets), unit: "KiB", values: ownSocket, goal: 30},
		{name: "an idle web socket, bare proxy", unit: "KiB", values: bareSocket},
	}, nil
}

// untouched starts a gateway without provider, and takes its memory before
// anybody has signed in.
func (w *world) untouched(ctx context.Context) (g *gateway, mib float64, err error) {
	c, err := w.configure(setup{})
	if err != nil {
		return nil, 0, err
	}
	if g, err = w.launch(ctx, c); err != nil {
		return nil, 0, err
	}
	time.Sleep(settled)
	if mib, err = g.proc.memory(); err != nil {
		return nil, 0, err
	}
	return g, mib, g.signIn(ctx, w)
}

// peak returns the most memory that t's process had while 128 connections
// asked, and ends the process.
func (w *world) peak(ctx context.Context, t target) (most float64, err error) {
	defer t.proc.end()
	t.connections = 128
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
				if mib, err := t.proc.memory(); err == nil {
					most = max(most, mib)
				}
			}
		}
	})
	_, err = w.runLoad(ctx, t, 2*w.plan.duration)
	close(done)
	watching.Wait()
	return most, err
}

// idlePair returns KiB for each idle connection, or web socket, of a gateway
// and of a bare proxy.
func (w *world) idlePair(ctx context.Context, socket bool) (own, bare float64, err error) {
	g, _, err := w.untouched(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer g.proc.end()
	t, key := g.bearer(), bareKey{to: w.app}
	if socket {
		t.prefix, key.to = "/tools", w.tools.url
	}
	b, err := w.startBare(ctx, key)
	if err != nil {
		return 0, 0, err
	}
	defer b.proc.end()
	if own, err = idle(ctx, t, socket); err != nil {
		return 0, 0, err
	}
	t.base, t.prefix, t.proc, t.header = b.base, "", b.proc, nil
	bare, err = idle(ctx, t, socket)
	return own, bare, err
}
