package bearer

// Reason says in one word of a closed list why a token was refused.
type Reason string

// The reasons. None tells the holder of a token more than they know; all but
// Unavailable mean the token, not us.
const (
	Malformed   Reason = "malformed"   // no JWT of an accepted form
	WrongIssuer Reason = "issuer"      // iss is none of the configured ones
	BadKey      Reason = "signature"   // unknown key, wrong algorithm or signature
	WrongType   Reason = "type"        // not an access token
	Audience    Reason = "audience"    // made for somebody else
	Expired     Reason = "expired"     // no exp, past it, or not valid yet
	Unavailable Reason = "unavailable" // the issuer's keys cannot be had
)

// Error is why Verify refused a token. It holds nothing of the token.
type Error struct {
	Reason Reason
	// Err is the cause, may be nil.
	Err error
}

// Error describes the refusal for the log.
func (e *Error) Error() string {
	if e.Err == nil {
		return "bearer token refused: " + string(e.Reason)
	}
	return "bearer token refused: " + string(e.Reason) + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
