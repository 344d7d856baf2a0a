package upstream

import "sync"

// End lets somebody else end an exchange, at any time. The zero End is ready for
// one exchange, and safe for concurrent use.
//
// It does what cancelling a context would do, and costs a request less: most end
// by themselves.
type End struct {
	mu    sync.Mutex
	ended bool
	how   func()
}

// Now ends the exchange, or keeps it from beginning. It returns at once; ending
// twice is ending.
func (e *End) Now() {
	e.mu.Lock()
	e.ended = true
	how := e.how
	e.how = nil
	e.mu.Unlock()
	if how != nil {
		how()
	}
}

// by says how the exchange is ended from now on; nil when there is nothing left to
// end. When its end has come already, how is called at once.
func (e *End) by(how func()) {
	if e == nil {
		return
	}
	e.mu.Lock()
	late := e.ended
	if e.how = how; late {
		e.how = nil
	}
	e.mu.Unlock()
	if late && how != nil {
		how()
	}
}

// came tells whether the exchange was ended.
func (e *End) came() bool {
	if e == nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ended
}
