package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gatehouse/idp/password"
)

// NewHash checks a password that u, or whoever becomes u, wants to have, and
// returns its hash; a u that was never made has no Created. ErrInvalid with a
// *password.RefusedError, and the errors of hashing. It is for outside a
// transaction: SetPasswordHash, or Add, comes after.
func (p *Pool) NewHash(ctx context.Context, u User, pass string) (string, error) {
	return p.hash(ctx, u, pass)
}

// VerifyPassword returns nil when the password is u's, who is signed in, and else
// ErrWrongPassword; password.ErrBusy. It counts no tries.
func (p *Pool) VerifyPassword(ctx context.Context, u User, pass string) error {
	err := p.has.Hasher.Verify(ctx, u.PasswordHash, pass)
	switch {
	case errors.Is(err, password.ErrWrong), errors.Is(err, password.ErrTooLong), errors.Is(err, password.ErrForm):
		return ErrWrongPassword
	case err != nil:
		return fmt.Errorf("verify password: %w", err)
	}
	return nil
}

// CheckEmail returns ErrInvalid with a reason unless email is one bare address.
func CheckEmail(email string) error { return checkEmail(email) }

// CheckPhone returns ErrInvalid with a reason unless phone is a number in E.164.
func CheckPhone(phone string) error {
	if !phoneForm.MatchString(phone) {
		return fmt.Errorf("%w phone number: it begins with + and the country, such as +41791234567", ErrInvalid)
	}
	return nil
}

// SignsInWith reports whether people may sign in with that kind of name.
func (p *Pool) SignsInWith(kind string) bool {
	return p.has.SignInWith == nil || slices.Contains(p.has.SignInWith, kind)
}
