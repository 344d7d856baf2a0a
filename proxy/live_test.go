package proxy

import "testing"

// The timer of an exchange may fire in the moment the exchange ends, and come
// second: what has ended is not put under observation for ever.
func TestEndedExchangeIsNotObserved(t *testing.T) {
	var l live
	decided := 0
	s := &stream{allowed: func() bool { decided++; return true }, end: func() {}}
	l.remove(s)
	l.join(s)
	l.add(s)
	if n := len(l.snapshot()); n != 0 || decided != 0 {
		t.Errorf("an exchange that has ended: %d observed, decided about %d times, want none", n, decided)
	}
	other := &stream{allowed: s.allowed, end: s.end}
	l.join(other)
	if n := len(l.snapshot()); n != 1 || decided != 1 {
		t.Errorf("an exchange under way: %d observed, decided about %d times, want once each", n, decided)
	}
	l.remove(other)
	if n := len(l.snapshot()); n != 0 {
		t.Errorf("%d observed after the end, want none", n)
	}
}
