package risk_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatehouse/idp/risk"
	"gatehouse/idp/store/storetest"
)

// bench is a guard over a real store, and what happened in which order.
type bench struct {
	*testing.T
	guard *risk.Guard
	clock *storetest.Clock
	order []string
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t, clock: storetest.NewClock()}
	db := storetest.Open(t, b.clock.Now)
	b.guard = risk.New(risk.Limits{AccountTries: 2, MaxWait: time.Minute, AddressTries: 4, AddressWindow: time.Minute}, db.Tries(), b.clock.Now)
	return b
}

var home = netip.MustParseAddr("192.0.2.1")

// guess makes one guess, right when answer is nil; known says what Known says.
func (b *bench) guess(from netip.Addr, known bool, answer error) (risk.Outcome, error) {
	b.order = nil
	return b.guard.Guess(b.Context(), risk.Guess{
		Name: "alice", Address: from,
		Account: func(context.Context) (string, error) { b.order = append(b.order, "account"); return "u1", nil },
		Known: func(_ context.Context, account string) (bool, error) {
			b.order = append(b.order, "known "+account)
			return known, nil
		},
	}, func(context.Context) error { b.order = append(b.order, "look"); return answer })
}

func TestGuessIsCountedBeforeTheLook(t *testing.T) {
	b := newBench(t)
	want := []string{"account", "known u1", "look"}
	for i := range 3 {
		from := netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + i)})
		if out, err := b.guess(from, false, risk.ErrWrong); !errors.Is(err, risk.ErrWrong) || out.Account != "u1" || !slices.Equal(b.order, want) {
			t.Errorf("wrong guess %d = %+v, %v in the order %q", i, out, err, b.order)
		}
	}
	// The account waits: it is looked at all the same, and refused.
	if out, err := b.guess(netip.Addr{}, false, nil); !errors.Is(err, risk.ErrWrong) || !out.Waiting || !slices.Equal(b.order, want) {
		t.Errorf("a right guess while the account waits = %+v, %v in the order %q", out, err, b.order)
	}
	// A known device need not wait, and a right guess forgets the count.
	if out, err := b.guess(netip.Addr{}, true, nil); err != nil || out.Waiting {
		t.Errorf("a known device = %+v, %v", out, err)
	}
	if _, err := b.guess(netip.Addr{}, false, nil); err != nil {
		t.Errorf("after a right guess = %v", err)
	}
}

func TestAddressIsLimitedBeforeAnythingElse(t *testing.T) {
	b := newBench(t)
	for range 10 {
		if _, err := b.guess(home, false, nil); err != nil {
			t.Fatalf("right guesses count as failures: %v", err)
		}
	}
	for range 4 {
		_, _ = b.guess(home, true, risk.ErrWrong)
	}
	var limited *risk.LimitedError
	if _, err := b.guess(home, true, nil); !errors.As(err, &limited) || limited.RetryAfter <= 0 || len(b.order) != 0 {
		t.Errorf("fifth failure = %v after %q, want *LimitedError before anything", err, b.order)
	}
	// What fails for another reason is no wrong guess.
	b = newBench(t)
	broken := errors.New("broken")
	for range 6 {
		if _, err := b.guess(home, true, broken); !errors.Is(err, broken) {
			t.Fatalf("a store that fails = %v", err)
		}
	}
}
