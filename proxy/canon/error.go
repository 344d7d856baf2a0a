package canon

import "net/http"

// Error says why a request has no canonical form. Errors are shared values,
// so that a flood of bad requests stays cheap.
type Error struct {
	// Status is the HTTP status to answer with: 400, 405, 414, 417, 431 or 501.
	Status int
	// Code is one machine word of a closed list: target_too_long,
	// too_many_fields, two_lengths, method_not_allowed, method_case,
	// unknown_method, bad_expect, bad_host, bad_target, bad_query, bad_path,
	// odd_request.
	Code string
	// Odd is the oddity that is never taken, when Code is odd_request; 0 otherwise.
	Odd Oddity
}

// Error names the code and the oddity, never bytes of the request: those may
// hold secrets and control characters.
func (e *Error) Error() string {
	if e.Odd != 0 {
		return "canonicalise request: " + e.Code + ": " + e.Odd.String()
	}
	return "canonicalise request: " + e.Code
}

var (
	errTargetLength = &Error{Status: http.StatusRequestURITooLong, Code: "target_too_long"}
	errFields       = &Error{Status: http.StatusRequestHeaderFieldsTooLarge, Code: "too_many_fields"}
	errLengths      = &Error{Status: http.StatusBadRequest, Code: "two_lengths"}
	errMethod       = &Error{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed"}
	errMethodCase   = &Error{Status: http.StatusBadRequest, Code: "method_case"}
	errMethodNew    = &Error{Status: http.StatusNotImplemented, Code: "unknown_method"}
	errExpect       = &Error{Status: http.StatusExpectationFailed, Code: "bad_expect"}
	errHost         = &Error{Status: http.StatusBadRequest, Code: "bad_host"}
	errTarget       = &Error{Status: http.StatusBadRequest, Code: "bad_target"}
	errQuery        = &Error{Status: http.StatusBadRequest, Code: "bad_query"}
	errPath         = &Error{Status: http.StatusBadRequest, Code: "bad_path"}

	errControl      = neverTaken(Control)
	errBadUTF8      = neverTaken(BadUTF8)
	errRawHash      = neverTaken(RawHash)
	errRawBackslash = neverTaken(RawBackslash)
	errDotSegment   = neverTaken(DotSegment)
	errDeepEncoding = neverTaken(DeepEncoding)
	errAmbiguous    = neverTaken(Ambiguous)
	errAbsoluteForm = neverTaken(AbsoluteForm)
	errEmptyHost    = neverTaken(EmptyHost)
)

func neverTaken(o Oddity) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "odd_request", Odd: o}
}
