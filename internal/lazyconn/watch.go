package lazyconn

import "time"

// watch is the wait of somebody who reads a single byte. Its timer runs on from
// one wait into the next, and finds those that have lasted: setting one for each
// would cost more than what is put off.
type watch struct {
	parked  bool // somebody waits
	round   uint32
	seen    uint32 // the round at the last tick
	ticking bool   // the timer runs
	timer   *time.Timer
	look    chan bool // whether to look; false for a deadline that has passed
}

// linger waits until there is reason to look at the connection, and reports false
// if a deadline passes first.
func (c *conn) linger() bool {
	c.mu.Lock()
	w := &c.watch
	// With a deadline, the connection has to be looked at by then anyway.
	if c.closed || c.exact || w.parked || !c.want.IsZero() {
		c.mu.Unlock()
		return true
	}
	if w.look == nil {
		w.look = make(chan bool, 1)
		w.timer = time.AfterFunc(glance, c.tick)
		w.ticking = true
	}
	if !w.ticking {
		w.ticking = true
		w.timer.Reset(glance)
	}
	w.parked = true
	w.round++
	c.mu.Unlock()
	return <-w.look
}

// tick sends somebody to look who waited at the last tick already.
func (c *conn) tick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := &c.watch
	switch {
	case c.closed || !w.parked && w.seen == w.round:
		w.ticking = false
	case w.parked && w.seen == w.round:
		w.ticking = false
		w.end(true)
	default:
		w.seen = w.round
		w.timer.Reset(glance)
	}
}

// end ends the wait, if somebody waits, while the connection is locked.
func (w *watch) end(look bool) {
	if w.parked {
		w.parked = false
		w.look <- look
	}
}

// stop ends the wait and the timer for good.
func (w *watch) stop() {
	if w.timer != nil {
		w.timer.Stop()
	}
	w.end(true)
}
