package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
)

// Class says in which of a few ways an exchange failed. The words are stable:
// they may appear in logs, metrics and problem documents.
type Class string

const (
	// Down: no connection could be made, or it ended without an answer.
	Down Class = "upstream_down"
	// Timeout: the upstream did not answer in time.
	Timeout Class = "upstream_timeout"
	// TooLarge: the request body is larger than max_body.
	TooLarge Class = "body_too_large"
	// BadResponse: what came back is no answer to this request.
	BadResponse Class = "upstream_bad_response"
	// BadRequest: the request, or its body half-way, cannot be passed on.
	BadRequest Class = "bad_request"
	// Canceled: the client went away, or the caller ended the exchange.
	Canceled Class = "canceled"
)

// Status is the HTTP status that fits the class: 502, 504, 413, 400, and for
// Canceled 499, which nobody is left to read but the log.
func (c Class) Status() int {
	switch c {
	case Timeout:
		return http.StatusGatewayTimeout
	case TooLarge:
		return http.StatusRequestEntityTooLarge
	case BadRequest:
		return http.StatusBadRequest
	case Canceled:
		return 499
	}
	return http.StatusBadGateway
}

// Error is what Forward.Failed is given. Its text names the upstream and the
// class and may be shown to anybody. The cause may name addresses: it is for
// the log, reached by Cause, and left out of the error chain so that no
// formatting verb brings it to a client.
type Error struct {
	// Upstream is the name of the upstream in the configuration.
	Upstream string
	// Class says what went wrong.
	Class Class
	cause error
}

// Error returns, for example, `upstream "app": upstream_down`.
func (e *Error) Error() string { return `upstream "` + e.Upstream + `": ` + string(e.Class) }

// Cause is the underlying error, for the log only; may be nil.
func (e *Error) Cause() error { return e.cause }

// Is makes errors.Is(err, Down) and so on work.
func (e *Error) Is(target error) bool {
	c, ok := target.(Class)
	return ok && c == e.Class
}

// Error makes a Class usable as a target of errors.Is.
func (c Class) Error() string { return string(c) }

// failure turns err into an *Error. What the client did wrong goes first: a
// body that breaks off makes the transport fail in ways that look like the
// upstream's fault.
func (x *exchange) failure(err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	return &Error{Upstream: x.up.name, Class: x.classify(err), cause: err}
}

func (x *exchange) classify(err error) Class {
	if c, ok := x.body.failure(); ok {
		return c
	}
	if x.as.End.came() {
		return Canceled
	}
	if ctx := x.in.Context(); ctx.Err() != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return Timeout
		}
		return Canceled
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return Timeout
	}
	if noAnswer(err) {
		return Down
	}
	return BadResponse
}

// noAnswer reports whether err means that not a byte of an answer came.
func noAnswer(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	if errors.As(err, &op) || errors.As(err, &dns) || errors.As(err, &cert) ||
		errors.As(err, &record) || errors.As(err, &alert) {
		return true
	}
	for _, gone := range []error{io.EOF, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNREFUSED} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}
