package login

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
)

var (
	// ErrIssuerDown means that the issuer cannot be reached now: answer 503
	// with Retry-After. It heals by itself.
	ErrIssuerDown = errors.New("issuer cannot be reached")
	// ErrEnded means that the issuer, or a revocation, has ended the session.
	ErrEnded = errors.New("session has ended")
)

// errInterrupted is what those get who waited for a call that panicked.
var errInterrupted = errors.New("the call was interrupted")

// RetryAfter is what to tell a browser while the issuer is down, in seconds.
const RetryAfter = 30

// Error is a sign-in that did not succeed for a reason the person may know.
type Error struct {
	// Status is 400 for an answer that is not ours, used or too late, 403 when
	// the issuer refused or a step-up was not met, 502 when its answer was
	// unusable.
	Status int
	// Code is a word of the closed list below.
	Code string
	// Text is one sentence for the person; it quotes nothing of the request.
	Text string
	// Err is what the log should know; no secrets.
	Err error
}

// The codes of Error.
const (
	CodeUnknown  = "attempt_unknown" // no attempt of this browser, or not this state
	CodeExpired  = "attempt_expired" // too late, twice
	CodeUsed     = "attempt_used"    // the callback came twice
	CodeRequest  = "answer_malformed"
	CodeIssuer   = "issuer_mismatch" // another issuer answers than was asked (RFC 9207)
	CodeDenied   = "access_denied"
	CodeRefused  = "issuer_refused" // any other error of the issuer
	CodeGrant    = "code_refused"   // the issuer does not take its code back
	CodeToken    = "token_invalid"  // an ID token that does not verify
	CodeTooLarge = "session_too_large"
	CodeRevoked  = "session_revoked"
	CodeStepUp   = "step_up_failed"     // the sign-in lacks what the page requires
	CodeOther    = "step_up_other_user" // another person came back from a step-up
)

// Error describes the failure for the log.
func (e *Error) Error() string {
	if e.Err == nil {
		return "sign in: " + e.Code
	}
	return fmt.Sprintf("sign in: %s: %v", e.Code, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func failure(code string, err error) *Error {
	e := &Error{Status: http.StatusBadRequest, Code: code, Err: err}
	switch code {
	case CodeUnknown:
		e.Text = "This sign-in was not begun in this browser, or too long ago. Please sign in again."
	case CodeExpired:
		e.Text = "Signing in took too long. Please sign in again."
	case CodeUsed:
		e.Text = "This sign-in has been completed already. Please sign in again."
	case CodeRequest, CodeIssuer:
		e.Text = "The answer of the sign-in page was not what we asked for. Please sign in again."
	case CodeDenied:
		e.Status, e.Text = http.StatusForbidden, "You cancelled, or were not allowed to sign in."
	case CodeRefused:
		e.Status, e.Text = http.StatusBadGateway, "The sign-in page reported an error. Please try again later."
	case CodeGrant:
		e.Text = "Signing in took too long or was repeated. Please sign in again."
	case CodeToken:
		e.Status, e.Text = http.StatusBadGateway, "The sign-in service sent an answer we cannot accept."
	case CodeTooLarge:
		e.Status, e.Text = http.StatusBadGateway, "Your account carries more data than a session can hold. Please ask your administrator."
	case CodeRevoked:
		e.Status, e.Text = http.StatusForbidden, "Your session was ended. Please sign in again."
	case CodeStepUp:
		e.Status, e.Text = http.StatusForbidden, "Your sign-in did not include what this page asks for."
	case CodeOther:
		e.Status, e.Text = http.StatusForbidden, "Somebody else signed in. You are still signed in as before; sign out first to change who you are."
	}
	return e
}

// errorWord is what an error code may look like in a log.
var errorWord = regexp.MustCompile(`^[a-z_]{1,40}$`)

// word returns an OAuth error code fit for a log.
func word(code string) string {
	if errorWord.MatchString(code) {
		return code
	}
	return "other"
}
