package risk

import (
	"context"
	"time"
)

// Try is one answer that is about to be checked.
type Try struct {
	// Account is the canonical account: pool.Pool.Account, so that username,
	// e-mail address and every spelling of both are counted together.
	Account string
	// Now is the time of the answer.
	Now time.Time
	// Free is how many answers in a row come without a wait in between. After
	// the n-th, n ≥ Free, the account waits 2^(n - Free) seconds, at most MaxWait.
	Free    int
	MaxWait time.Duration
}

// Tries counts the answers of accounts. All methods are safe for concurrent use
// and by several processes on one store. Count must not be called inside a
// transaction that may be rolled back, or the try would not count.
type Tries interface {
	// Count raises the account's count by one, unless the account has to wait,
	// in one step and before the answer is checked. It returns how long the
	// account has to wait: zero means that the answer may be checked. A refused
	// answer neither counts nor makes the wait longer, but is as much work: a
	// write. A count is forgotten a day
	// after the last answer that was let through.
	Count(ctx context.Context, t Try) (time.Duration, error)
	// Clear forgets the account's count, after a right answer.
	Clear(ctx context.Context, account string) error
}
