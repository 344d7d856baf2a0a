package session

import (
	"net/http"
	"strings"
)

// maxParts is how many cookies one session may be cut into.
const maxParts = 4

// found are the session cookies of one request, by part.
type found struct {
	value [maxParts]string
	count [maxParts]int
	any   bool
}

// twice tells whether one name came more than once. Nobody can tell which one
// is ours then (RFC 6265 §8.6), so none is.
func (f *found) twice() bool {
	for _, n := range f.count {
		if n > 1 {
			return true
		}
	}
	return false
}

// present returns the number of the highest part, plus one.
func (f *found) present() int {
	for i := maxParts - 1; i >= 0; i-- {
		if f.count[i] > 0 {
			return i + 1
		}
	}
	return 0
}

// find collects the cookies that are called name, name-1, name-2 and name-3,
// exactly. It allocates nothing: most requests pass here.
func (f *found) find(r *http.Request, name string) {
	for _, line := range r.Header["Cookie"] {
		for line != "" {
			var key, value string
			key, value, line = nextCookie(line)
			suffix, ok := strings.CutPrefix(key, name)
			if !ok {
				continue
			}
			part := -1
			switch {
			case suffix == "":
				part = 0
			case len(suffix) == 2 && suffix[0] == '-' && suffix[1] >= '1' && suffix[1] < '0'+maxParts:
				part = int(suffix[1] - '0')
			}
			if part >= 0 {
				f.value[part], f.any = value, true
				f.count[part]++
			}
		}
	}
}

// EachCookie calls f with the name and value of each cookie of r whose name
// begins with prefix. Nothing is decoded; names and values lose spaces and
// tabs around them, as in RFC 6265 §5.2.
func EachCookie(r *http.Request, prefix string, f func(name, value string)) {
	for _, line := range r.Header["Cookie"] {
		for line != "" {
			var key, value string
			key, value, line = nextCookie(line)
			if strings.HasPrefix(key, prefix) {
				f(key, value)
			}
		}
	}
}

// nextCookie cuts the first pair off a Cookie header. A pair without "=" is a
// value without a name (RFC 6265bis §5.6) and never ours.
func nextCookie(line string) (name, value, rest string) {
	pair, rest, _ := strings.Cut(line, ";")
	name, value, named := strings.Cut(pair, "=")
	if !named {
		return "", "", rest
	}
	return strings.Trim(name, " \t"), strings.Trim(value, " \t"), rest
}
