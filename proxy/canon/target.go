package canon

import (
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf8"
)

// target is a request target taken apart; see Request for the fields.
type target struct {
	path, other, escaped, query string
	odd                         Oddity
}

// parseTarget takes a target in origin form (RFC 9112 §3.2.1). The absolute
// form is refused: in it, net/http lets the target overrule the Host header.
func parseTarget(raw string) (target, error) {
	if raw == "" || raw == "*" {
		return target{}, errTarget
	}
	if raw[0] != '/' {
		return target{}, errAbsoluteForm
	}
	path, query, _ := strings.Cut(raw, "?")
	if err := checkQuery(query); err != nil {
		return target{}, err
	}
	if ordinary(path) {
		return target{path: path, escaped: path, query: query}, nil
	}
	t, err := parsePath(path)
	if err != nil {
		return target{}, err
	}
	t.query = query
	return t, nil
}

// checkQuery keeps the query as it is, but for bytes that would end the target
// or the line when it is forwarded.
func checkQuery(query string) *Error {
	for i := range len(query) {
		switch c := query[i]; {
		case c == '#':
			return errRawHash
		case c <= ' ' || c == 0x7F:
			return errQuery
		}
	}
	return nil
}

// ordinary is the fast path: it reports that path is canonical as it stands.
// It may be wrong only in one direction: parsePath answers the same.
func ordinary(path string) bool {
	last := byte(0)
	for i := range len(path) {
		c := path[i]
		if !plain[c] || (last == '/' && (c == '/' || c == '.')) {
			return false
		}
		last = c
	}
	return true
}

// plain are the bytes that stand for themselves in EscapedPath.
var plain = func() (set [256]bool) {
	const chars = "/-._~!$&'()*,=:@" + "0123456789" +
		"abcdefghijklmnopqrstuvwxyz" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for i := range len(chars) {
		set[chars[i]] = true
	}
	return set
}()

// reader decodes a raw path once and writes its forms side by side.
type reader struct {
	eager   []byte // every separator is "/", merged
	literal []byte // an encoded "/" stays %2F, a "\" stays itself
	escaped []byte
	odd     Oddity
}

// parsePath takes the path of a target, which begins with "/", apart.
func parsePath(raw string) (target, error) {
	var rd reader
	rd.eager = make([]byte, 0, len(raw))
	rd.literal = make([]byte, 0, len(raw))
	rd.escaped = make([]byte, 0, len(raw)+16)
	for i := 0; i < len(raw); {
		c, n := decode(raw[i:])
		if n == 0 {
			return target{}, errPath
		}
		if err := rd.add(c, n > 1); err != nil {
			return target{}, err
		}
		i += n
	}
	if err := checkText(rd.eager); err != nil {
		return target{}, err
	}
	rd.odd |= doublyEncoded(rd.eager)
	t := target{path: string(rd.eager), escaped: string(rd.escaped)}
	t.odd = rd.odd | shape(t.path)
	if t.odd&DotSegment != 0 {
		return target{}, errDotSegment
	}
	if err := t.readings(rd.literal); err != nil {
		return target{}, err
	}
	return t, nil
}

// add writes one decoded byte to the three forms.
func (rd *reader) add(c byte, encoded bool) *Error {
	switch {
	case c < ' ' || c == 0x7F:
		return errControl
	case c == '#' && !encoded:
		return errRawHash
	case c == '\\' && !encoded:
		return errRawBackslash
	case c == ' ' && !encoded:
		return errPath
	}
	rd.odd |= oddityOf(c, encoded)
	separator := c == '/' || c == '\\'
	if c == '/' && !encoded && len(rd.escaped) > 0 && rd.escaped[len(rd.escaped)-1] == '/' {
		return nil
	}
	if !separator {
		rd.eager = append(rd.eager, c)
	} else if len(rd.eager) == 0 || rd.eager[len(rd.eager)-1] != '/' {
		rd.eager = append(rd.eager, '/')
	}
	if c == '/' && encoded {
		rd.literal = appendEscape(rd.literal, c)
	} else {
		rd.literal = append(rd.literal, c)
	}
	// A raw ";" stays raw and an encoded one encoded: it is the only character
	// whose two spellings differ in meaning and which may come both ways.
	if plain[c] && !(c == '/' && encoded) || c == ';' && !encoded {
		rd.escaped = append(rd.escaped, c)
	} else {
		rd.escaped = appendEscape(rd.escaped, c)
	}
	return nil
}

func oddityOf(c byte, encoded bool) Oddity {
	if !encoded {
		switch {
		case c == ';':
			return Semicolon
		case c >= 0x80:
			return NonASCII
		}
		return 0
	}
	switch c {
	case '/':
		return EncodedSlash
	case '\\':
		return EncodedBackslash
	case '%':
		return EncodedPercent
	case ';':
		return EncodedSemicolon
	case '?':
		return EncodedQuestion
	case '#':
		return EncodedHash
	}
	return 0
}

// checkText refuses what is not UTF-8 and the C1 controls U+0080–U+009F.
func checkText(path []byte) *Error {
	if !utf8.Valid(path) {
		return errBadUTF8
	}
	for i := 0; i+1 < len(path); i++ {
		if path[i] == 0xC2 && path[i+1] < 0xA0 {
			return errControl
		}
	}
	return nil
}

// doublyEncoded finds a "%" that would be decoded again by a second pass.
func doublyEncoded(path []byte) Oddity {
	for i := range path {
		if path[i] == '%' {
			if _, n := decode(string(path[i:min(i+3, len(path))])); n == 3 {
				return DoubleEncoding
			}
		}
	}
	return 0
}

// shape looks for dots at every run of characters that some server would take
// for a segment: between separators, before parameters, before what could pass
// for a query or a fragment. White space counts where a segment begins or ends.
func shape(path string) (odd Oddity) {
	for segment := range strings.SplitSeq(path, "/") {
		head := segment
		if i := strings.IndexAny(segment, ";?#"); i >= 0 {
			head = segment[:i]
		}
		if strings.TrimFunc(segment, unicode.IsSpace) != segment || strings.TrimFunc(head, unicode.IsSpace) != head {
			odd |= SegmentSpace
		}
		for piece := range strings.FieldsFuncSeq(segment, func(c rune) bool { return strings.ContainsRune(`\;?#`, c) }) {
			piece = strings.TrimFunc(piece, unicode.IsSpace)
			if piece != "" && strings.Trim(piece, ".") == "" {
				odd |= DotSegment
			}
		}
	}
	return odd
}

// readings turns t.path, so far with all separators decoded, into what the most
// eager server reads, and sets t.other when a literal one reads differently.
func (t *target) readings(literal []byte) error {
	kinds := t.odd & twoReadings
	if kinds&DoubleEncoding != 0 {
		t.odd &^= EncodedPercent // it says the same again
	}
	if bits.OnesCount32(uint32(kinds)) > 1 {
		return errAmbiguous
	}
	var err error
	switch kinds {
	case 0:
	case EncodedSlash, EncodedBackslash:
		t.other = string(literal)
	case Semicolon, EncodedSemicolon:
		t.other = string(literal)
		head, parameters, _ := strings.Cut(t.path, ";")
		if strings.Contains(parameters, "/") {
			return errAmbiguous
		}
		t.path = head
	case EncodedQuestion, EncodedHash:
		t.other = string(literal)
		t.path = t.path[:strings.IndexAny(t.path, "?#")]
	case SegmentSpace:
		t.other = string(literal)
		t.path = trimSegments(t.path)
	case DoubleEncoding:
		t.other, err = decodeAgain(t.path)
	}
	return err
}

// trimSegments removes white space around each segment, and the segments that
// had nothing else.
func trimSegments(path string) string {
	out := make([]byte, 0, len(path))
	for segment := range strings.SplitSeq(path[1:], "/") {
		if len(out) == 0 || out[len(out)-1] != '/' {
			out = append(out, '/')
		}
		out = append(out, strings.TrimFunc(segment, unicode.IsSpace)...)
	}
	return string(out)
}

// decodeAgain decodes a path a second time, for the servers that do. Only a "/"
// and characters that would not be odd may be hidden that deep.
func decodeAgain(path string) (string, error) {
	out := make([]byte, 0, len(path))
	for i := 0; i < len(path); {
		c, n := decode(path[i:])
		if n == 0 {
			c, n = path[i], 1 // a "%" that stands for itself
		} else if n == 3 && (c < ' ' || c == 0x7F || oddityOf(c, true)&^EncodedSlash != 0) {
			return "", errDeepEncoding
		}
		i += n
		if c != '/' || len(out) == 0 || out[len(out)-1] != '/' {
			out = append(out, c)
		}
	}
	again := string(out)
	if checkText(out) != nil || doublyEncoded(out) != 0 || shape(again) != 0 {
		return "", errDeepEncoding
	}
	return again, nil
}

// decode returns the first byte of s, percent-decoded, and how many bytes of s
// spell it: 1 or 3, or 0 for a "%" without two hex digits.
func decode(s string) (c byte, n int) {
	if s[0] != '%' {
		return s[0], 1
	}
	if len(s) < 3 {
		return 0, 0
	}
	high, ok1 := unhex(s[1])
	low, ok2 := unhex(s[2])
	if !ok1 || !ok2 {
		return 0, 0
	}
	return high<<4 | low, 3
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

func appendEscape(b []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(b, '%', digits[c>>4], digits[c&15])
}
