package signin

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"gatehouse/idp/password"
	"gatehouse/idp/pool"
)

// maxName is how long a name can be that anybody has, in bytes; longer ones are
// nobody's, and are not worth a row each.
const maxName = 1024

// Answer is what a person typed.
type Answer struct {
	// Username is a username or an e-mail address, in any spelling.
	Username string
	Password string
	// Address is what the answer came from; the zero Addr if unknown.
	Address netip.Addr
}

// Done is a complete sign-in. It has no effect until it is closed.
type Done struct {
	Pending Pending
	// Browser is the secret of the browser that gave the answers.
	Browser string
	User    pool.User
	// AuthTime is when the person proved who they are; AMR is how (RFC 8176).
	AuthTime time.Time
	AMR      []string
}

// Password checks an answer to a flow that Find has returned for this browser.
// It returns ErrRefused, ErrMustChange, ErrTooManyTries, ErrFlowNotFound,
// ErrBusy, a *LimitedError, or an error of the store.
func (m *Machine) Password(ctx context.Context, p Pending, browser string, a Answer) (Done, error) {
	if len(a.Username) > maxName {
		a.Username = ""
	}
	if wait := m.failures.take(a.Address, m.Now()); wait > 0 {
		return Done{}, &LimitedError{RetryAfter: wait}
	}
	user, err := m.inTurn(ctx, p, a)
	if !errors.Is(err, ErrRefused) {
		m.failures.give(a.Address)
	}
	if err != nil {
		return Done{}, err
	}
	return Done{Pending: p, Browser: browser, User: user, AuthTime: m.Now(), AMR: []string{"pwd"}}, nil
}

// inTurn waits for the answers under the same name that came before, then checks
// this one. A person who answers in more tabs at once than there are free tries
// is not told that the right password is wrong: each right answer has cleared
// the count before the next is counted.
func (m *Machine) inTurn(ctx context.Context, p Pending, a Answer) (pool.User, error) {
	// By the name as typed and never by the account: who waits for whom would
	// tell which names are one person's.
	end, err := m.turns.take(ctx, pool.Canonical(a.Username))
	if err != nil {
		return pool.User{}, err
	}
	defer end()
	return m.password(ctx, p, a)
}

// password raises the counts, checks the password, and only then looks at what
// they said: an account that waits must cost what any other costs.
func (m *Machine) password(ctx context.Context, p Pending, a Answer) (pool.User, error) {
	tries, err := m.Flows.CountTry(ctx, p.ID)
	if err != nil {
		return pool.User{}, fmt.Errorf("count try: %w", err)
	}
	if tries > m.cfg.FlowTries {
		return pool.User{}, ErrTooManyTries
	}
	account, err := m.Pool.Account(ctx, a.Username)
	if err != nil {
		return pool.User{}, err
	}
	// An account that has to wait is refused and not waited for: that would tell
	// by the clock that it is there, and by which names.
	wait, err := m.Tries.Count(ctx, Try{Account: account, Now: m.Now(), Free: m.cfg.AccountTries, MaxWait: m.cfg.MaxWait})
	if err != nil {
		return pool.User{}, fmt.Errorf("count try: %w", err)
	}
	user, err := m.check(ctx, a)
	if err == nil && wait > 0 {
		err = ErrRefused
	}
	if errors.Is(err, ErrRefused) {
		// No name: people type passwords into that field.
		m.Log.InfoContext(ctx, "sign-in refused", "address", a.Address, "waiting", wait > 0)
	}
	if err != nil {
		return pool.User{}, err
	}
	if err := m.Tries.Clear(ctx, account); err != nil {
		return pool.User{}, fmt.Errorf("clear tries: %w", err)
	}
	if user.Status == pool.ForceChangePassword {
		// Changing it here would let whoever chose the password choose the
		// next one as well.
		return pool.User{}, ErrMustChange
	}
	return user, nil
}

// check asks the pool and makes one error of all that must look alike.
func (m *Machine) check(ctx context.Context, a Answer) (pool.User, error) {
	user, err := m.Pool.CheckPassword(ctx, a.Username, a.Password)
	switch {
	case err == nil:
		return user, nil
	case errors.Is(err, pool.ErrWrongPassword), errors.Is(err, password.ErrTooLong), errors.Is(err, password.ErrForm):
		return pool.User{}, ErrRefused
	case errors.Is(err, password.ErrHash):
		// A row that cannot be used must not tell that it is there.
		m.Log.ErrorContext(ctx, "stored password hash not usable", "error", err)
		return pool.User{}, ErrRefused
	case errors.Is(err, password.ErrBusy):
		return pool.User{}, ErrBusy
	}
	return pool.User{}, err
}
