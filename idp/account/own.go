package account

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"gatehouse/idp/pool"
)

// ChangePassword sets a new password of u, who is signed in and types the old one
// again, which counts as a try of the account. Whoever has no password gets one
// without. Every session ends, and the person is told. ErrWrongPassword,
// password.ErrBusy, and pool.ErrInvalid for the new one.
func (a *Accounts) ChangePassword(ctx context.Context, u pool.User, old, pass string) error {
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

// again asks u, who has a password, for it.
func (a *Accounts) again(ctx context.Context, u pool.User, pass string) error {
	if u.PasswordHash == "" {
		return nil
	}
	if err := a.has.Reauth.Password(ctx, u, pass); err != nil {
		return fmt.Errorf("check password: %w", err)
	}
	return nil
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
// again, which counts as a try; whoever has none needs none. It is gone at once:
// sessions, tokens, names. The person is told. ErrClosed, ErrWrongPassword,
// password.ErrBusy.
func (a *Accounts) Delete(ctx context.Context, u pool.User, pass string) error {
	if !a.cfg.Delete {
		return ErrClosed
	}
	if err := a.again(ctx, u, pass); err != nil {
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
