package account

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"gatehouse/idp/pool"
	"gatehouse/idp/risk"
)

// ChangePassword sets a new password of u, who is signed in and types the old one
// again. Whoever has no password gets one without. Every session ends, and the
// person is told. What the old one may be refused with, and pool.ErrInvalid for
// the new one.
func (a *Accounts) ChangePassword(ctx context.Context, u pool.User, old Old, pass string) error {
	if err := a.again(ctx, u, old); err != nil {
		return err
	}
	h, err := a.hash(ctx, u, pass)
	if err != nil {
		return err
	}
	err = a.has.Journal.InTx(ctx, func(ctx context.Context) error {
		now, err := a.get(ctx, u.ID)
		if err != nil {
			return err
		}
		// Somebody else may have changed it, or disabled the account, meanwhile.
		if !now.Enabled || !now.PasswordSet.Equal(u.PasswordSet) {
			return ErrWrongPassword
		}
		return a.setPassword(ctx, now, h)
	})
	if err != nil {
		return fmt.Errorf("change password: %w", err)
	}
	return nil
}

// Old is the password that somebody who is signed in types again, and where it
// came from. It counts as a try of the account and of the address, as in a
// sign-in: ErrWrongPassword, also while the account has to wait; a *LimitedError
// for the address; ErrBusy.
type Old struct {
	Password string
	// From may be the zero Addr, if it is unknown.
	From netip.Addr
}

// again asks u, who has a password, for it.
func (a *Accounts) again(ctx context.Context, u pool.User, old Old) error {
	if u.PasswordHash == "" {
		return nil
	}
	guess := risk.Guess{
		Name: pool.Canonical(u.Username), Address: old.From,
		Account: func(context.Context) (string, error) { return u.ID, nil },
	}
	_, err := a.has.Guard.Guess(ctx, guess, func(ctx context.Context) error {
		err := a.has.Pool.VerifyPassword(ctx, u, old.Password)
		if errors.Is(err, pool.ErrWrongPassword) {
			return risk.ErrWrong
		}
		return err
	})
	var limited *risk.LimitedError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, risk.ErrWrong):
		return ErrWrongPassword
	case errors.As(err, &limited):
		return &LimitedError{RetryAfter: limited.RetryAfter}
	case errors.Is(err, risk.ErrBusy):
		return ErrBusy
	}
	return fmt.Errorf("check password: %w", err)
}

// ChangeProfile changes attributes of u, name among them; "" removes one. write
// are those that may be changed; nil means those of the configuration. Nothing is
// changed unless everything may be. A *FieldError.
func (a *Accounts) ChangeProfile(ctx context.Context, u pool.User, fields map[string]string, write []string) error {
	if write == nil {
		write = a.cfg.Attributes
	}
	c := pool.Changes{Attributes: map[string]string{}}
	required := a.has.Pool.Schema().Required()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value := fields[name]
		switch {
		case !slices.Contains(write, name) || name == "email" || name == "phone_number":
			return &FieldError{name, "it cannot be changed here"}
		case value == "" && slices.Contains(required, name):
			return &FieldError{name, "it is needed"}
		case name == "name":
			c.Name = &value
		default:
			c.Attributes[name] = value
		}
	}
	if err := a.has.Pool.Change(ctx, u.ID, c); err != nil {
		return fieldOf(err)
	}
	return nil
}

// Delete ends the account of u, who has signed in recently and types the password
// again; whoever has none needs none. It is gone at once: sessions, tokens, names.
// The person is told. ErrClosed, and what the password may be refused with.
func (a *Accounts) Delete(ctx context.Context, u pool.User, old Old) error {
	if !a.cfg.Delete {
		return ErrClosed
	}
	if err := a.again(ctx, u, old); err != nil {
		return err
	}
	err := a.has.Journal.InTx(ctx, func(ctx context.Context) error {
		if err := a.has.Pool.Delete(ctx, u.ID); err != nil {
			return err
		}
		if err := a.drop(ctx, u.ID, ForReset, ForResetCode, ForInvite, ForEmail, ForPhone); err != nil {
			return err
		}
		return a.notice(ctx, u, AccountDeleted)
	})
	if err != nil {
		return fmt.Errorf("delete own account: %w", err)
	}
	return nil
}
