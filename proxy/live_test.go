package proxy

import (
	"context"
	"testing"

	"gatehouse/session"
)

// The timer of an exchange may fire in the moment the exchange ends, and come
// second: what has ended is not put under observation for ever.
func TestEndedExchangeIsNotObserved(t *testing.T) {
	var l live
	decided := 0
	s := &stream{allowed: func(look) bool { decided++; return true }, end: func() {}}
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

// hanging is an issuer whose keys do not come; it counts who waits for them.
type hanging struct{ asked int }

func (h *hanging) Verify(_ context.Context, _ string) (*session.Identity, error) {
	h.asked++
	return nil, ErrIssuerDown
}

func TestOneLookWaitsOnceForASilentIssuer(t *testing.T) {
	issuer := &hanging{}
	g := &Gate{parts: Parts{Tokens: issuer}}
	silent := look{}
	for range 5 {
		var b belief
		b.last.Store(&believed{&Gate{}, &session.Identity{Credential: session.Bearer, Issuer: "https://slow.example"}})
		if b.by(t.Context(), g, silent) == nil {
			t.Fatal("a stream ended because its issuer is silent")
		}
	}
	if issuer.asked != 1 {
		t.Errorf("one look waited %d times, want once", issuer.asked)
	}
	var b belief
	b.last.Store(&believed{&Gate{}, &session.Identity{Credential: session.Bearer, Issuer: "https://other.example"}})
	if b.by(t.Context(), g, silent); issuer.asked != 2 {
		t.Error("another issuer was not asked")
	}
}
