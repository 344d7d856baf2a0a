package signin

import (
	"errors"
	"fmt"
	"time"
)

// BusyRetry is what a browser is told to wait after ErrBusy.
const BusyRetry = time.Second

var (
	// ErrRefused means: no such person, wrong password, disabled, or an account
	// that has to wait. It is one error so that nobody learns which.
	ErrRefused = errors.New("sign-in refused")
	// ErrTooManyTries means that the flow takes no more answers.
	ErrTooManyTries = errors.New("sign-in flow has no tries left")
	// ErrMustChange means that the password was right, but was chosen by
	// somebody else and has to be replaced first.
	ErrMustChange = errors.New("password must be changed first")
	// ErrBusy means that too many passwords are being checked, or too many
	// answers came under this name at once; it says nothing about this one. Wait BusyRetry.
	ErrBusy = errors.New("too many sign-ins at once")
)

// LimitedError means that the address has sent too many wrong passwords, or
// opened too many sign-in pages.
type LimitedError struct {
	// RetryAfter is how long it has to wait; more than zero.
	RetryAfter time.Duration
}

func (e *LimitedError) Error() string {
	return fmt.Sprintf("address has to wait %v", e.RetryAfter)
}
