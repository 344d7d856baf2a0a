package account

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
)

// ByCode is what somebody comes back with who was sent a code by phone.
type ByCode struct {
	// Name and Browser are those of the Forgotten. The name may be another of the
	// same account.
	Name, Browser string
	// Code is eight digits, as they were typed.
	Code string
	// Password is the new one.
	Password string
	From     netip.Addr
}

// ResetByCode sets a new password with a code, which takes five answers and works
// once, in the browser that asked for it; ends every session of the person and
// tells them, and returns where the code was asked for. Second factors stay.
// ErrWrongCode is the one answer to a code that is wrong, used, expired, tried too
// often or another browser's, and to a stranger's; ErrClosed, a *LimitedError for
// the network, password.ErrBusy, and a *FieldError for the password.
func (a *Accounts) ResetByCode(ctx context.Context, q ByCode) (Asked, error) {
	if !a.RecoversBy(Phone) {
		return Asked{}, ErrClosed
	}
	if q.Browser == "" {
		return Asked{}, ErrWrongCode
	}
	if err := a.network(ctx, "reset-code", q.From); err != nil {
		return Asked{}, err
	}
	u, err := a.find(ctx, q.Name)
	if err != nil {
		return Asked{}, err
	}
	owner := a.owner(u, q.Name)
	c, err := a.countAnswer(ctx, owner, hashAsked(owner, q.Browser))
	if err != nil {
		return Asked{}, err
	}
	if c.Tries > codeTries || !a.proves(proof{ForResetCode, owner, q.Browser, q.Code}, c.CodeHash) {
		return Asked{}, ErrWrongCode
	}
	if u, err = a.stillBound(ctx, c, ErrWrongCode); err != nil {
		return Asked{}, err
	}
	// Hash before the transaction: it takes long and the store has one writer.
	h, err := a.hash(ctx, u, q.Password)
	if err != nil {
		return Asked{}, err
	}
	return c.Asked, a.choose(ctx, c, h, ErrWrongCode)
}

// countAnswer counts an answer to the code that a browser asked for, and returns
// it. An answer from elsewhere cannot be right, so it is counted as nobody's, or
// whoever knows a name could use up the answers of its person. That writes as much:
// a statement that changes no row is over sooner, and the clock would tell.
func (a *Accounts) countAnswer(ctx context.Context, owner string, asked []byte) (Code, error) {
	c, err := a.has.Codes.FindLink(ctx, ForResetCode, asked)
	if errors.Is(err, ErrLink) {
		_, _, err = a.raise(ctx, hour, "nobody's answer", owner)
		return Code{}, err
	}
	if err != nil {
		return Code{}, fmt.Errorf("find code: %w", err)
	}
	if c, err = a.has.Codes.CountTry(ctx, ForResetCode, c.Owner); err != nil {
		return Code{}, fmt.Errorf("count try: %w", err)
	}
	return c, nil
}

// hashAsked is what a code is found by: whose it is, and which browser asked. The
// secret of a browser cannot be guessed, so it needs no key: one look finds it
// under whichever key the code was made, and a stranger's costs no more.
func hashAsked(owner, browser string) []byte {
	return hashBrowser("asked " + owner + "\n" + browser)
}
