package risk

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// BusyRetry is what a browser is told to wait after ErrBusy.
const BusyRetry = time.Second

var (
	// ErrWrong is what the caller's look says of a wrong guess. Guess returns it
	// also for a right one of an account that has to wait.
	ErrWrong = errors.New("wrong guess")
	// ErrBusy means that too many guesses came under this name at once; it says
	// nothing about this one. Wait BusyRetry.
	ErrBusy = errors.New("too many guesses at once")
)

// LimitedError means that the address has done too much of what is limited.
type LimitedError struct {
	// RetryAfter is how long it has to wait; more than zero.
	RetryAfter time.Duration
}

// Error says so in a sentence.
func (e *LimitedError) Error() string { return fmt.Sprintf("address has to wait %v", e.RetryAfter) }

// Limits bound guesses. All are more than zero.
type Limits struct {
	// AccountTries is how many guesses an account takes before each further one
	// makes it wait, at most MaxWait; see Try.
	AccountTries int
	MaxWait      time.Duration
	// AddressTries is how many wrong guesses may come from one address within
	// AddressWindow.
	AddressTries  int
	AddressWindow time.Duration
}

// Guard stands before whatever looks at a guess. It is safe for concurrent use.
type Guard struct {
	limits   Limits
	tries    Tries
	failures *Addresses
	turns    *turns
	now      func() time.Time
}

// New returns a Guard; it starts nothing. A nil now is time.Now.
func New(l Limits, tries Tries, now func() time.Time) *Guard {
	if now == nil {
		now = time.Now
	}
	return &Guard{limits: l, tries: tries, failures: NewAddresses(l.AddressTries, l.AddressWindow), turns: newTurns(), now: now}
}

// Guess is one guess that is about to be looked at.
type Guess struct {
	// Name is what was typed, in its one spelling. Guesses under one name pass
	// one at a time; by the name and never by the account, because who waits for
	// whom would tell which names are one person's.
	Name string
	// Address is what the guess came from; the zero Addr if unknown.
	Address netip.Addr
	// Account returns the key that is counted: the same for all names of one
	// account.
	Account func(ctx context.Context) (string, error)
	// Known counts a guess of a device and reports whether it is one of that
	// account's, which need not wait; nil when there is none.
	Known func(ctx context.Context, account string) (bool, error)
}

// Outcome is what became of a guess, for the record.
type Outcome struct {
	// Account is the key that was counted, "" if it did not come to that.
	Account string
	// Waiting tells that the account had to wait.
	Waiting bool
}

// Guess counts a guess and then calls look, which returns ErrWrong, perhaps
// wrapped, for a wrong one. A right one forgets the account's count. It returns
// ErrWrong, a *LimitedError, ErrBusy, or what look or the store returned.
func (g *Guard) Guess(ctx context.Context, t Guess, look func(ctx context.Context) error) (Outcome, error) {
	if wait := g.failures.Take(t.Address, g.now()); wait > 0 {
		return Outcome{}, &LimitedError{RetryAfter: wait}
	}
	out, err := g.inTurn(ctx, t, look)
	if !errors.Is(err, ErrWrong) {
		g.failures.Give(t.Address)
	}
	return out, err
}

// inTurn waits for the guesses under the same name that came before, then counts
// this one. A person who answers in more tabs at once than there are free tries
// is not told that the right password is wrong: each right answer has cleared
// the count before the next is counted.
func (g *Guard) inTurn(ctx context.Context, t Guess, look func(ctx context.Context) error) (Outcome, error) {
	end, err := g.turns.take(ctx, t.Name)
	if err != nil {
		return Outcome{}, err
	}
	defer end()
	account, err := t.Account(ctx)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Account: account}
	// An account that has to wait is refused and not waited for: that would tell
	// by the clock that it is there, and by which names.
	wait, err := g.tries.Count(ctx, Try{Account: account, Now: g.now(), Free: g.limits.AccountTries, MaxWait: g.limits.MaxWait})
	if err != nil {
		return out, fmt.Errorf("count try: %w", err)
	}
	known := false
	if t.Known != nil {
		if known, err = t.Known(ctx, account); err != nil {
			return out, err
		}
	}
	out.Waiting = wait > 0 && !known
	if err := look(ctx); err != nil {
		return out, err
	}
	if out.Waiting {
		return out, ErrWrong
	}
	if err := g.tries.Clear(ctx, account); err != nil {
		return out, fmt.Errorf("clear tries: %w", err)
	}
	return out, nil
}
