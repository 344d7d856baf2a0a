package httpx

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxForm is the most bytes a form of ours may have: 64 KiB.
const MaxForm = 64 << 10

// MaxFields is the most fields a form or query of ours may have.
const MaxFields = 64

// Form holds the fields of a form or a query. Its methods exist because
// RFC 6749 §3.1 forbids a parameter to occur twice: with url.Values.Get two
// readers of one request may see two values.
type Form struct {
	values url.Values
}

// ReadForm reads the body of r, application/x-www-form-urlencoded and at most
// max bytes, and nothing of the query. It returns an *Error with 400, 413 or
// 415 for anything else: fields that occur twice, more than MaxFields of them,
// invalid UTF-8 or a NUL in them.
func ReadForm(w http.ResponseWriter, r *http.Request, max int64) (Form, error) {
	kinds := r.Header.Values("Content-Type")
	kind := ""
	if len(kinds) == 1 {
		kind, _, _ = mime.ParseMediaType(kinds[0])
	}
	if kind != "application/x-www-form-urlencoded" {
		return Form{}, &Error{
			Status: http.StatusUnsupportedMediaType, Code: "invalid_request",
			Public: "the body must be application/x-www-form-urlencoded",
		}
	}
	body, err := io.ReadAll(http.MaxBytesReader(Bare(w), r.Body, max))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return Form{}, &Error{
			Status: http.StatusRequestEntityTooLarge, Code: "invalid_request",
			Public: fmt.Sprintf("the form is larger than %d bytes", max),
		}
	}
	if err != nil {
		return Form{}, &Error{Status: http.StatusBadRequest, Public: "the form cannot be read", Err: err}
	}
	return ParseForm(string(body))
}

// ParseForm parses an encoded query or form body. It returns an *Error with
// 400 under the same conditions as ReadForm.
func ParseForm(encoded string) (Form, error) {
	values, err := url.ParseQuery(encoded)
	if err != nil {
		// The parser's error quotes the input, which may hold a password.
		return Form{}, &Error{Status: http.StatusBadRequest, Public: "the parameters are not well formed"}
	}
	if len(values) > MaxFields {
		return Form{}, &Error{Status: http.StatusBadRequest, Public: "there are too many parameters"}
	}
	for name, all := range values {
		if len(all) > 1 {
			return Form{}, &Error{Status: http.StatusBadRequest, Public: "a parameter occurs more than once"}
		}
		for _, text := range []string{name, all[0]} {
			if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
				return Form{}, &Error{Status: http.StatusBadRequest, Public: "a parameter is not valid text"}
			}
		}
	}
	return Form{values: values}, nil
}

// Get returns the field's value, "" when it is absent.
func (f Form) Get(name string) string { return f.values.Get(name) }

// Has tells whether the field is there, also with an empty value.
func (f Form) Has(name string) bool { return f.values.Has(name) }

// Names returns the names of all fields, sorted.
func (f Form) Names() []string { return slices.Sorted(maps.Keys(f.values)) }

// Encode returns the fields, sorted by name, as a query.
func (f Form) Encode() string { return f.values.Encode() }
