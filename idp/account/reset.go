package account

import (
	"context"
	"fmt"
	"slices"

	"gatehouse/idp/pool"
)

// CheckReset returns whose password the link with that token can set, or ErrLink.
// It changes nothing.
func (a *Accounts) CheckReset(ctx context.Context, token string) (pool.User, error) {
	if !a.RecoversBy(Email) {
		return pool.User{}, ErrLink
	}
	_, u, err := a.link(ctx, ForReset, token)
	return u, err
}

// Reset sets a new password with the token of a link, which works once, ends
// every session of the person and tells them, and returns where the link was asked
// for. Second factors stay. ErrLink, password.ErrBusy, and pool.ErrInvalid for the
// password.
func (a *Accounts) Reset(ctx context.Context, token, pass string) (Asked, error) {
	if !a.RecoversBy(Email) {
		return Asked{}, ErrLink
	}
	c, u, err := a.link(ctx, ForReset, token)
	if err != nil {
		return Asked{}, err
	}
	// Hash before the transaction: it takes long and the store has one writer.
	h, err := a.hash(ctx, u, pass)
	if err != nil {
		return Asked{}, err
	}
	return c.Asked, a.choose(ctx, c, h, ErrLink)
}

// link returns the code of a link and its user, if both are still good.
func (a *Accounts) link(ctx context.Context, p Purpose, token string) (Code, pool.User, error) {
	c, err := findLink(a, p, token, func(hash []byte) (Code, error) { return a.has.Codes.FindLink(ctx, p, hash) })
	if err != nil {
		return Code{}, pool.User{}, fmt.Errorf("find link: %w", err)
	}
	u, err := a.stillBound(ctx, c, ErrLink)
	return c, u, err
}

// stillBound returns the user of a code, or refusal when the code has expired, or
// the account is gone, disabled, or no longer as it was.
func (a *Accounts) stillBound(ctx context.Context, c Code, refusal error) (pool.User, error) {
	if !a.has.Now().Before(c.Expires) {
		return pool.User{}, refusal
	}
	u, err := a.get(ctx, c.Owner)
	if err != nil {
		return pool.User{}, err
	}
	if !u.Enabled || !a.bound(c, u) {
		return pool.User{}, refusal
	}
	barred, err := a.barred(ctx, c)
	if barred {
		err = refusal
	}
	if err != nil {
		return pool.User{}, err
	}
	return u, nil
}

// barred tells whether a new password went over a channel that brings codes of a
// second factor by now.
func (a *Accounts) barred(ctx context.Context, c Code) (bool, error) {
	channel, resets := map[Purpose]Channel{ForReset: Email, ForResetCode: Phone}[c.Purpose]
	if !resets {
		return false, nil
	}
	taken, err := a.has.Factors.Over(ctx, c.Owner)
	if err != nil {
		return false, fmt.Errorf("read factors: %w", err)
	}
	return slices.Contains(taken, channel), nil
}

// choose consumes c and sets the password, unless the account has changed.
func (a *Accounts) choose(ctx context.Context, c Code, hash string, refusal error) error {
	err := a.has.Journal.InTx(ctx, func(ctx context.Context) error {
		was, err := a.has.Codes.Take(ctx, c)
		if err != nil {
			return err
		}
		if !was {
			return refusal
		}
		u, err := a.stillBound(ctx, c, refusal)
		if err != nil {
			return err
		}
		return a.setPassword(ctx, u, hash)
	})
	if err != nil {
		return fmt.Errorf("reset password: %w", err)
	}
	return nil
}

// setPassword sets the password that a person has chosen, ends what was sent to
// set another, and tells them.
func (a *Accounts) setPassword(ctx context.Context, u pool.User, hash string) error {
	if err := a.has.Pool.SetPasswordHash(ctx, u.ID, hash); err != nil {
		return err
	}
	if err := a.drop(ctx, u.ID, ForReset, ForResetCode, ForInvite); err != nil {
		return err
	}
	return a.notice(ctx, u, PasswordChanged)
}
