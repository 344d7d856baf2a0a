package signin

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/idp/mfa"
	"gatehouse/idp/password"
	"gatehouse/idp/pool"
	"gatehouse/idp/risk"
)

// maxName is how long a name can be that anybody has, in bytes; longer ones are
// nobody's, and are not worth a row each.
const maxName = 1024

// amrPassword is the amr value of a password (RFC 8176 §2).
const amrPassword = "pwd"

// password checks a password. Up to the moment where it is found right,
// everything is the same for everybody: what kind of account it is, and whether
// there is a second factor, shows only after.
func (m *Machine) password(ctx context.Context, w *walk, a Password) error {
	if len(a.Username) > maxName {
		a.Username = ""
	}
	var user pool.User
	known := false
	guess := risk.Guess{
		Name: pool.Canonical(a.Username), Address: w.browser.Address,
		Account: func(ctx context.Context) (string, error) {
			if err := m.count(ctx, w); err != nil {
				return "", err
			}
			return m.Pool.Account(ctx, a.Username)
		},
		Known: func(ctx context.Context, account string) (_ bool, err error) {
			known, err = m.Factors.TryDevice(ctx, account, w.browser.Device)
			return known, err
		},
	}
	out, err := m.Guard.Guess(ctx, guess, func(ctx context.Context) (err error) {
		if known {
			// A quarter of the places is kept for them.
			ctx = password.Known(ctx)
		}
		user, err = m.check(ctx, a)
		return err
	})
	if errors.Is(err, risk.ErrWrong) {
		reason := reasonPassword
		if out.Waiting {
			reason = reasonWaiting
		}
		// No name: people type passwords into that field.
		m.refused(ctx, w, reason)
		return ErrRefused
	}
	if err != nil {
		return err
	}
	return m.proved(ctx, w, user, a.Password)
}

// proved goes on after a right password.
func (m *Machine) proved(ctx context.Context, w *walk, user pool.User, pass string) error {
	if err := m.person(ctx, &w.Pending, user); err != nil {
		return err
	}
	leak := NotStolen
	if m.Stolen != nil {
		// Only of a password that is right: guesses are told to nobody.
		leak = m.Stolen.Look(ctx, user, pass)
	}
	if user.Status == pool.ResetRequired || leak == StolenBlocked || m.expired(user) {
		m.refused(ctx, w, reasonReset)
		return ErrResetRequired
	}
	st := &w.state
	st.UserID, st.PasswordSet, st.AMR = user.ID, user.PasswordSet, []string{amrPassword}
	st.Leaked = leak == StolenChange
	st.Replace = st.Leaked || user.Status == pool.ForceChangePassword
	if err := m.device(ctx, w); err != nil {
		return err
	}
	if err := m.next(ctx, w); err != nil {
		return err
	}
	return m.sendFirst(ctx, w)
}

// expired tells whether a password that somebody else has set is too old to be
// replaced by whoever knows it.
func (m *Machine) expired(user pool.User) bool {
	return user.Status == pool.ForceChangePassword && m.TemporaryTTL > 0 && !user.PasswordSet.IsZero() &&
		m.Now().Sub(user.PasswordSet) >= m.TemporaryTTL
}

// device exchanges the token of a remembered device, which clears its count.
func (m *Machine) device(ctx context.Context, w *walk) error {
	token, _, err := m.Factors.UseDevice(ctx, w.user.ID, w.browser.Device)
	if errors.Is(err, mfa.ErrNotFound) {
		return nil
	}
	w.device, w.skip = token, err == nil
	return err
}

// check asks the pool and makes one error of all that must look alike.
func (m *Machine) check(ctx context.Context, a Password) (pool.User, error) {
	user, err := m.Pool.CheckPassword(ctx, a.Username, a.Password)
	switch {
	case err == nil:
		return user, nil
	case errors.Is(err, pool.ErrWrongPassword), errors.Is(err, password.ErrTooLong), errors.Is(err, password.ErrForm):
		return pool.User{}, risk.ErrWrong
	case errors.Is(err, password.ErrHash):
		// A row that cannot be used must not tell that it is there.
		m.Log.ErrorContext(ctx, "stored password hash not usable", "error", err)
		return pool.User{}, risk.ErrWrong
	case errors.Is(err, password.ErrBusy):
		return pool.User{}, ErrBusy
	}
	return pool.User{}, err
}

// newPassword replaces a password that somebody else has chosen. It ends all
// that was signed in with it.
func (m *Machine) newPassword(ctx context.Context, w *walk, a NewPassword) error {
	if err := m.count(ctx, w); err != nil {
		return err
	}
	// The old one is known to whoever has set it, or stolen it. It is looked at
	// by the person, as not every name is one to sign in with.
	err := m.Pool.VerifyPassword(ctx, w.user, a.Password)
	if err == nil {
		return fmt.Errorf("%w: choose one that is not the one you were given", ErrPassword)
	}
	if errors.Is(err, password.ErrBusy) {
		return ErrBusy
	}
	err = m.Pool.ReplacePassword(ctx, w.user.ID, a.Password)
	var weak *password.RefusedError
	if errors.Is(err, pool.ErrInvalid) || errors.As(err, &weak) {
		return fmt.Errorf("%w: %w", ErrPassword, err)
	}
	if errors.Is(err, password.ErrBusy) {
		return ErrBusy
	}
	if err != nil {
		return err
	}
	user, err := m.Pool.Get(ctx, w.user.ID)
	if err != nil {
		return fmt.Errorf("find user of sign-in: %w", err)
	}
	w.user, w.state.PasswordSet, w.state.Replace, w.state.Leaked = user, user.PasswordSet, false, false
	m.Tell(ctx, user, Notice{What: PasswordChanged})
	return m.next(ctx, w)
}
