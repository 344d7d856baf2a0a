package httpx

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Error is what a handler returns when the answer is not the usual one. It
// speaks to two audiences: Code and Public reach the client, Err only the log.
type Error struct {
	// Status is the HTTP status, 400 to 599; anything else counts as 500.
	Status int
	// Code is a machine word of a closed list, such as the `error` values of
	// RFC 6749 §5.2. Empty means the word for Status, see DefaultCode.
	Code string
	// Public is one sentence for the client, without internal detail. Empty
	// means the status text.
	Public string
	// Challenge is the value of WWW-Authenticate, "" for none.
	Challenge string
	// RetryAfter is sent in whole seconds, rounded up; zero sends nothing.
	RetryAfter time.Duration
	// Err is the cause, for the log only; may be nil.
	Err error
}

// Error returns the text for the log.
func (e *Error) Error() string {
	text := fmt.Sprintf("%d %s", e.status(), e.code())
	if e.Public != "" {
		text += ": " + e.Public
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// As returns err as an *Error that is complete: Status, Code and Public are
// never empty. An error of another type is the server's fault: 500, without
// detail. err must not be nil.
func As(err error) *Error {
	var e *Error
	if !errors.As(err, &e) {
		return (&Error{Status: http.StatusInternalServerError, Err: err}).complete()
	}
	c := *e
	// What was wrapped around e belongs in the log, too.
	if err != error(e) {
		c.Err = err
	}
	return c.complete()
}

func (e *Error) complete() *Error {
	e.Status, e.Code = e.status(), e.code()
	if e.Public == "" {
		e.Public = http.StatusText(e.Status)
	}
	return e
}

func (e *Error) status() int {
	if e.Status < 400 || e.Status > 599 {
		return http.StatusInternalServerError
	}
	return e.Status
}

func (e *Error) code() string {
	if e.Code != "" {
		return e.Code
	}
	return DefaultCode(e.status())
}

// DefaultCode returns the machine word for a status that has no better one.
func DefaultCode(status int) string {
	switch status {
	case http.StatusNotFound:
		return "not_found"
	case http.StatusMethodNotAllowed:
		return "method_not_allowed"
	case http.StatusForbidden:
		return "forbidden"
	case http.StatusTooManyRequests:
		return "too_many_requests"
	case http.StatusServiceUnavailable:
		return "temporarily_unavailable"
	case http.StatusRequestEntityTooLarge:
		return "too_large"
	}
	if status >= 500 {
		return "server_error"
	}
	return "invalid_request"
}
