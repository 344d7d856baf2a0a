package signin

import (
	"errors"

	"gatehouse/idp/risk"
)

// BusyRetry is what a browser is told to wait after ErrBusy.
const BusyRetry = risk.BusyRetry

// LimitedError means that the address has sent too many wrong passwords, or
// opened too many sign-in pages.
type LimitedError = risk.LimitedError

var (
	// ErrRefused means: no such person, wrong password, disabled, an account
	// that has to wait, or a passkey that signs nobody in. It is one error so
	// that nobody learns which.
	ErrRefused = errors.New("sign-in refused")
	// ErrWrongCode means that a second factor was not shown: the code is wrong,
	// too old or used, or the passkey did not answer for this person.
	ErrWrongCode = errors.New("wrong code")
	// ErrTooManyTries means that the flow takes no more answers.
	ErrTooManyTries = errors.New("sign-in flow has no tries left")
	// ErrMoved means that the answer is one to an earlier page of the flow: it
	// changes nothing, and the person goes on with the page that is next.
	ErrMoved = errors.New("sign-in has gone on already")
	// ErrNotAsked means an answer that the step does not take.
	ErrNotAsked = errors.New("answer to something else")
	// ErrResetRequired means that the password was right, but does not count any
	// more: the person chooses a new one with what is sent to them.
	ErrResetRequired = errors.New("password must be reset")
	// ErrPassword means that a new password is not good enough; the error's text
	// says why.
	ErrPassword = errors.New("new password refused")
	// ErrNoFactor means that a second factor must be shown and none of the
	// person's can be.
	ErrNoFactor = errors.New("no usable second factor")
	// ErrUnmet means that what waits for the sign-in demands a second factor and
	// this person can have none.
	ErrUnmet = errors.New("second factor cannot be had")
	// ErrBusy means that too many passwords are being checked, or too many
	// answers came under this name at once; it says nothing about this one. Wait
	// BusyRetry.
	ErrBusy = risk.ErrBusy
)
