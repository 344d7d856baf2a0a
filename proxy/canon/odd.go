package canon

import (
	"fmt"
	"math/bits"
	"strings"
)

// Oddity is a set of things that make a request odd: spellings that servers
// read differently. The zero set is an ordinary request.
type Oddity uint32

// Oddities a route may list. All are refused unless it does.
const (
	// EncodedSlash is %2F in the path.
	EncodedSlash Oddity = 1 << iota
	// EncodedBackslash is %5C in the path.
	EncodedBackslash
	// EncodedPercent is %25 that is not followed by two hex digits.
	EncodedPercent
	// DoubleEncoding is %25 followed by two hex digits: a path encoded twice,
	// as Jenkins does with the names of branches. It stands for EncodedPercent
	// too.
	DoubleEncoding
	// Semicolon is a raw ";" in the last segment: a path parameter (RFC 3986
	// §3.3), such as ;jsessionid=1.
	Semicolon
	// EncodedSemicolon is %3B in the last segment.
	EncodedSemicolon
	// EncodedQuestion is %3F in the path.
	EncodedQuestion
	// EncodedHash is %23 in the path.
	EncodedHash
	// SegmentSpace is white space at the beginning or the end of a segment.
	SegmentSpace
	// NonASCII is a raw byte above 0x7F in the path, where a URI has %XX; the
	// upstream gets %XX.
	NonASCII

	// Control is a C0 or C1 control character or DEL, raw or encoded.
	Control
	// BadUTF8 is a path that is not UTF-8 once decoded.
	BadUTF8
	// RawHash is a "#" in the target.
	RawHash
	// RawBackslash is a "\" in the path.
	RawBackslash
	// DotSegment is a segment of dots only, literal or encoded, also when
	// spaces, parameters or another separator stand beside the dots.
	DotSegment
	// DeepEncoding is a path encoded twice that hides more than a "/" or
	// ordinary characters, or that is encoded three times.
	DeepEncoding
	// Ambiguous is a path with more than two readings.
	Ambiguous
	// AbsoluteForm is a target that does not begin with "/".
	AbsoluteForm
	// EmptyHost is a request without a host, as HTTP/1.0 allows.
	EmptyHost

	afterLast
)

const (
	// Never are the oddities that no route may take; Parse refuses them.
	Never = Control | BadUTF8 | RawHash | RawBackslash | DotSegment | DeepEncoding | Ambiguous | AbsoluteForm | EmptyHost

	// twoReadings are the oddities that give a path a second reading.
	twoReadings = EncodedSlash | EncodedBackslash | DoubleEncoding | Semicolon | EncodedSemicolon | EncodedQuestion | EncodedHash | SegmentSpace
)

// names are the words for YAML and logs, in the order of the bits.
var names = [...]string{
	"encoded_slash", "encoded_backslash", "encoded_percent", "double_encoding",
	"semicolon", "encoded_semicolon", "encoded_question", "encoded_hash",
	"segment_space", "non_ascii",
	"control", "bad_utf8", "raw_hash", "raw_backslash", "dot_segment",
	"deep_encoding", "ambiguous", "absolute_form", "empty_host",
}

// String returns the names of the set, comma-separated, in a fixed order; ""
// for the empty set.
func (o Oddity) String() string {
	var list []string
	for ; o != 0; o &= o - 1 {
		if i := bits.TrailingZeros32(uint32(o)); i < len(names) {
			list = append(list, names[i])
		}
	}
	return strings.Join(list, ",")
}

// ParseOddities returns the set of the names a route lists. A name that is
// unknown, or of an oddity no route may take, is an error that says which
// names there are.
func ParseOddities(list []string) (Oddity, error) {
	var set Oddity
	for _, name := range list {
		o := oddity(name)
		switch {
		case o == 0:
			return 0, fmt.Errorf("%q is not an oddity of a path; a route can take %s", name, takeable())
		case o&Never != 0:
			return 0, fmt.Errorf("%s is never taken, whatever a route says; a route can take %s", name, takeable())
		}
		set |= o
	}
	return set, nil
}

func oddity(name string) Oddity {
	for i, n := range names {
		if n == name {
			return 1 << i
		}
	}
	return 0
}

func takeable() string {
	return strings.ReplaceAll(((afterLast - 1) &^ Never).String(), ",", ", ")
}
