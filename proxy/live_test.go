package proxy

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"gatehouse/session"
)

// An exchange may end in the moment in which it becomes a stream: what has ended
// is not put under observation for ever.
func TestEndedExchangeIsNotObserved(t *testing.T) {
	var l live
	new := func() *stream {
		s := &stream{allowed: func(look) bool { return true }, end: func() {}, began: time.Now().Add(-streamAfter)}
		l.begin(s, 0)
		return s
	}
	gone, first, second := new(), new(), new()
	l.leave(gone)
	if l.promote(gone) {
		t.Error("an exchange that has ended became a stream")
	}
	if !l.promote(first) || l.promote(first) {
		t.Error("an exchange that says it will last becomes a stream, once")
	}
	if got := l.matured(time.Now()); !slices.Equal(got, []*stream{first, second}) {
		t.Errorf("%d exchanges have lasted, want the two that are under way", len(got))
	}
	if l.promote(second) || len(l.matured(time.Now())) != 0 || len(l.snapshot()) != 2 {
		t.Error("a stream becomes one again")
	}
	for range 2 { // whoever leaves twice has left
		l.leave(first)
		l.leave(second)
	}
	if n := len(l.snapshot()); n != 0 {
		t.Errorf("%d observed after the end, want none", n)
	}
}

// Exchanges begin, last and end at once, on one shard: none is lost, none stays.
func TestManyExchangesComeAndGo(t *testing.T) {
	var l live
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 500 {
				s := &stream{began: time.Now().Add(-streamAfter)}
				l.begin(s, 3)
				switch i % 3 {
				case 0:
					l.promote(s)
				case 1:
					l.matured(time.Now())
				}
				l.leave(s)
			}
		})
	}
	all.Wait()
	if l.shards[3].ring != (links{}) || len(l.snapshot()) != 0 {
		t.Errorf("after the end %v and %d streams are observed, want none", l.shards[3].ring, len(l.snapshot()))
	}
}

// hanging is an issuer whose keys do not come; it counts who waits for them.
type hanging struct{ asked int }

func (h *hanging) ID() string         { return "hanging" }
func (h *hanging) Generation() uint64 { return 0 }

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
