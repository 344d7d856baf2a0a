package httpx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxJSON is the most bytes a JSON body of ours may have: 256 KiB.
const MaxJSON = 256 << 10

// maxDepth is how deep a JSON body may be nested.
const maxDepth = 16

// ReadJSON reads the body of r, application/json and at most max bytes, into v,
// a pointer to a struct whose fields have json tags. It returns an *Error for
// anything else: 415 for another type, 413 for too many bytes, 400 for what is
// not one JSON object in UTF-8, and 422 naming the field for one that occurs
// twice, is not known, is null, or is of another type.
func ReadJSON(w http.ResponseWriter, r *http.Request, max int64, v any) error {
	kinds := r.Header.Values("Content-Type")
	kind := ""
	if len(kinds) == 1 {
		kind, _, _ = mime.ParseMediaType(kinds[0])
	}
	if kind != "application/json" {
		return &Error{Status: http.StatusUnsupportedMediaType, Code: "invalid_request", Public: "the body must be application/json"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(Bare(w), r.Body, max))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return &Error{Status: http.StatusRequestEntityTooLarge, Code: "invalid_request", Public: fmt.Sprintf("the body is larger than %d bytes", max)}
	}
	if err != nil {
		return &Error{Status: http.StatusBadRequest, Public: "the body cannot be read", Err: err}
	}
	return ParseJSON(body, v)
}

// ParseJSON is ReadJSON for a body that has been read.
func ParseJSON(body []byte, v any) error {
	if !utf8.Valid(body) {
		return &Error{Status: http.StatusBadRequest, Public: "the body is not UTF-8"}
	}
	if err := checkObject(body); err != nil {
		return err
	}
	if name, found := unknownField(body, v); found {
		return Field(name, "is not known here")
	}
	if name, found := nullField(body); found {
		return Field(name, "is null, which would say nothing: leave it out")
	}
	err := json.Unmarshal(body, v)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		return Field(wrong.Field, "is a "+wrong.Value+", which it must not be")
	case err != nil:
		return &Error{Status: http.StatusBadRequest, Public: "the body is not well-formed JSON"}
	}
	return nil
}

// Field is the *Error for a field of a body that is not what it must be: 422,
// with a text that begins with the field's name.
func Field(name, why string) *Error {
	return &Error{Status: http.StatusUnprocessableEntity, Code: "invalid_field", Public: name + " " + why}
}

// checkObject demands one JSON object without a name that occurs twice in one
// object: two readers of such a body may see two values.
func checkObject(body []byte) error {
	malformed := &Error{Status: http.StatusBadRequest, Public: "the body is not one JSON object"}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return malformed
	}
	if err := checkMembers(d, 1); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return malformed
	}
	return nil
}

// checkMembers reads the members of an object up to its end.
func checkMembers(d *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return &Error{Status: http.StatusBadRequest, Public: "the body is not well-formed JSON"}
		}
		if seen[name] {
			return Field(name, "occurs twice")
		}
		seen[name] = true
		if err := checkValue(d, depth); err != nil {
			return err
		}
	}
	return closes(d)
}

func checkValue(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil || depth > maxDepth {
		return &Error{Status: http.StatusBadRequest, Public: "the body is not well-formed JSON, or nested too deeply"}
	}
	switch t {
	case json.Delim('{'):
		return checkMembers(d, depth+1)
	case json.Delim('['):
		for d.More() {
			if err := checkValue(d, depth+1); err != nil {
				return err
			}
		}
		return closes(d)
	}
	return nil
}

// closes reads the end of an object or an array.
func closes(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return &Error{Status: http.StatusBadRequest, Public: "the body is not well-formed JSON"}
	}
	return nil
}

// nullField returns a member of the object that is null, the first by name, and
// whether there is one: json.Unmarshal passes it over.
func nullField(body []byte) (string, bool) {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return "", false
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if string(members[name]) == "null" {
			return name, true
		}
	}
	return "", false
}

// unknownField returns a member of the object that no field of v has the name
// of, and whether there is one. Names are compared exactly, which json.Unmarshal does
// not do.
func unknownField(body []byte, v any) (string, bool) {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return "", false
	}
	known := map[string]bool{}
	t := reflect.TypeOf(v).Elem()
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		known[name] = true
	}
	for name := range members {
		if !known[name] {
			return name, true
		}
	}
	return "", false
}
