package h1

import (
	"sync"
	"time"
)

// pool holds idle connections, the one used last on top: so the fewest are
// kept busy and the others grow old. One timer, which runs only while there
// are any, removes the old and those the server has closed.
type pool struct {
	max  int
	life time.Duration

	mu      sync.Mutex
	idle    []*conn // by the time they became idle
	timer   *time.Timer
	ticking bool
	closed  bool
	count   Stats
}

// take returns the connection that was used last, nil if there is none.
func (p *pool) take() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = false
	last := len(p.idle) - 1
	if last < 0 {
		return nil
	}
	c := p.idle[last]
	p.idle[last] = nil
	p.idle = p.idle[:last]
	if time.Since(c.since) > p.life {
		// Then so are all below it.
		p.clear()
		c.Close()
		return nil
	}
	p.count.Reuses++
	return c
}

// put takes a connection back, or closes it.
func (p *pool) put(c *conn) {
	c.rest()
	c.since = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= p.max {
		c.Close()
		return
	}
	p.idle = append(p.idle, c)
	if p.ticking {
		return
	}
	p.ticking = true
	if p.timer == nil {
		p.timer = time.AfterFunc(p.tick(), p.sweep)
	} else {
		p.timer.Reset(p.tick())
	}
}

// tick is how often idle connections are looked at: often enough that those
// the server has closed do not pile up.
func (p *pool) tick() time.Duration { return min(p.life/4+time.Millisecond, 10*time.Second) }

// sweep removes the connections that are too old or no longer quiet.
func (p *pool) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.idle[:0]
	for _, c := range p.idle {
		if time.Since(c.since) > p.life || !c.quiet() {
			c.Close()
			continue
		}
		kept = append(kept, c)
	}
	clear(p.idle[len(kept):])
	p.idle = kept
	if p.ticking = len(kept) > 0; p.ticking {
		p.timer.Reset(p.tick())
	}
}

func (p *pool) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.clear()
	if p.timer != nil && p.timer.Stop() {
		p.ticking = false
	}
}

// clear closes all idle connections; p.mu is held.
func (p *pool) clear() {
	for _, c := range p.idle {
		c.Close()
	}
	clear(p.idle)
	p.idle = p.idle[:0]
}

func (p *pool) stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.count
	s.Idle = len(p.idle)
	return s
}

func (p *pool) dialed() {
	p.mu.Lock()
	p.count.Dials++
	p.mu.Unlock()
}

func (p *pool) retried() {
	p.mu.Lock()
	p.count.Retries++
	p.mu.Unlock()
}
