package account

import (
	"errors"
	"fmt"
	"time"

	"gatehouse/idp/password"
	"gatehouse/idp/pool"
)

// BusyRetry is what a browser is told to wait after ErrBusy.
const BusyRetry = time.Second

// ErrBusy means that too many passwords are being checked; it says nothing about
// this one. Wait BusyRetry.
var ErrBusy = password.ErrBusy

var (
	// ErrClosed means that the configuration does not offer this.
	ErrClosed = errors.New("not offered here")
	// ErrLink means a link or a sign-up that is unknown, used, expired, or made
	// worthless by what happened since; it is one error so that nobody learns
	// which.
	ErrLink = errors.New("link cannot be used")
	// ErrWrongCode means a code that is wrong, used or expired, or none at all.
	ErrWrongCode = errors.New("wrong code")
	// ErrTooManyTries means that no further code is taken: another has to be
	// sent, or the person begins again.
	ErrTooManyTries = errors.New("too many tries")
	// ErrWrongPassword means a wrong password, or an account that has to wait.
	ErrWrongPassword = errors.New("wrong password")
	// ErrAddressTaken means that somebody has shown in the meantime that the
	// address or number is theirs. Only who has shown the same is told.
	ErrAddressTaken = errors.New("address belongs to another account")
)

// NameTakenError means that the username of a sign-up belongs to somebody. Only
// who has confirmed is told, and chooses another.
type NameTakenError struct {
	// Token confirms in place of what was confirmed with.
	Token string
}

func (e *NameTakenError) Error() string { return "username is taken" }

// FieldError means that a field may not be what it is. Reason is for the person
// and holds nothing of what they typed.
type FieldError struct{ Field, Reason string }

// Unwrap returns pool.ErrInvalid.
func (e *FieldError) Unwrap() error { return pool.ErrInvalid }

func (e *FieldError) Error() string { return fmt.Sprintf("field %s: %s", e.Field, e.Reason) }

// LimitedError means that a network has asked too often, or a person who is
// signed in.
type LimitedError struct {
	// RetryAfter is how long to wait; more than zero.
	RetryAfter time.Duration
}

func (e *LimitedError) Error() string { return fmt.Sprintf("asked too often: wait %v", e.RetryAfter) }
