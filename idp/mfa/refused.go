package mfa

import (
	"errors"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
)

// refused is ErrWrong with a reason for the log.
func refused(why string) error { return fmt.Errorf("%w: %s", ErrWrong, why) }

// reason returns what the verifier says, without what the browser sent.
func reason(err error) string {
	var e *protocol.Error
	if errors.As(err, &e) {
		return e.Details
	}
	return "answer cannot be read"
}

// unknown makes ErrWrong of ErrNotFound: an answer in the name of nobody.
func unknown(err error) error {
	if errors.Is(err, ErrNotFound) {
		return refused("nobody has this user handle")
	}
	return fmt.Errorf("verify passkey: %w", err)
}
