package body

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// maxDepth is how deep arrays and objects nest.
	maxDepth = 64
	// maxNumber is how many bytes a number is written in, at most: some readers
	// take time or memory with the square of it.
	maxNumber = 64
	// maxExponent is the largest exponent that is written, either side of zero:
	// that of a double (IEEE 754 binary64).
	maxExponent = 308
	// share is how much memory is reserved at once while parsing.
	share = 4096
)

// What values weigh, in bytes of memory, besides their text.
const (
	weightValue  = 32 // a place in a list, with what growing it wastes
	weightText   = 16 // the head of a string
	weightMember = 64 // a place in an object
	weightList   = 24
	weightObject = 48
)

var errBroken = errors.New("not exactly one JSON value")

// parser reads one JSON value. It is stricter than RFC 8259 where readers
// differ; see the package comment.
type parser struct {
	text  []byte
	at    int
	depth int
	lease *lease
	// weight is what the value takes so far, held what has been reserved.
	weight, held int64
}

// document reads the whole text. The value is as encoding/json decodes it, with
// numbers as json.Number. The error is ErrBusy or says that the text is not
// exactly one value; held counts in both cases.
func (p *parser) document() (any, error) {
	if !utf8.Valid(p.text) {
		return nil, errBroken
	}
	v, err := p.value()
	if err != nil {
		return nil, err
	}
	if p.space(); p.at < len(p.text) {
		return nil, errBroken
	}
	return v, nil
}

// weigh reserves memory for n more bytes.
func (p *parser) weigh(n int) error {
	if p.weight += int64(n); p.weight <= p.held {
		return nil
	}
	more := max(p.weight-p.held, share)
	if !p.lease.take(more) {
		return ErrBusy
	}
	p.held += more
	return nil
}

// space passes over white space (RFC 8259 §2). A byte order mark is none.
func (p *parser) space() {
	for p.at < len(p.text) {
		switch p.text[p.at] {
		case ' ', '\t', '\n', '\r':
			p.at++
		default:
			return
		}
	}
}

// next passes over white space and returns the byte that follows, 0 at the end.
func (p *parser) next() byte {
	if p.space(); p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

// eat passes over c, if that is what follows.
func (p *parser) eat(c byte) bool {
	if p.next() != c {
		return false
	}
	p.at++
	return true
}

func (p *parser) value() (any, error) {
	if err := p.weigh(weightValue); err != nil {
		return nil, err
	}
	switch c := p.next(); c {
	case '{':
		return p.nested(p.object)
	case '[':
		return p.nested(p.list)
	case '"':
		return p.str()
	case 't':
		return true, p.word("true")
	case 'f':
		return false, p.word("false")
	case 'n':
		return nil, p.word("null")
	default:
		return p.number()
	}
}

func (p *parser) nested(read func() (any, error)) (any, error) {
	p.at++
	if p.depth++; p.depth > maxDepth {
		return nil, errBroken
	}
	v, err := read()
	p.depth--
	return v, err
}

func (p *parser) word(w string) error {
	if end := p.at + len(w); end > len(p.text) || string(p.text[p.at:end]) != w {
		return errBroken
	}
	p.at += len(w)
	return nil
}

func (p *parser) list() (any, error) {
	list := []any{}
	if err := p.weigh(weightList); err != nil || p.eat(']') {
		return list, err
	}
	for {
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if p.eat(']') {
			return list, nil
		}
		if !p.eat(',') {
			return nil, errBroken
		}
	}
}

func (p *parser) object() (any, error) {
	object := map[string]any{}
	if err := p.weigh(weightObject); err != nil || p.eat('}') {
		return object, err
	}
	for {
		name, err := p.name()
		if err != nil {
			return nil, err
		}
		if _, twice := object[name]; twice {
			return nil, errBroken
		}
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		object[name] = v
		if p.eat('}') {
			return object, nil
		}
		if !p.eat(',') {
			return nil, errBroken
		}
	}
}

// name reads the name of a member and the colon behind it.
func (p *parser) name() (string, error) {
	if p.next() != '"' {
		return "", errBroken
	}
	name, err := p.str()
	if err != nil {
		return "", err
	}
	if err := p.weigh(weightMember); err != nil {
		return "", err
	}
	if !p.eat(':') {
		return "", errBroken
	}
	return name, nil
}

// str reads a string, which begins here.
func (p *parser) str() (string, error) {
	p.at++
	begin := p.at
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '"':
			if err := p.weigh(weightText + p.at - begin); err != nil {
				return "", err
			}
			s := string(p.text[begin:p.at])
			p.at++
			return s, nil
		case c == '\\':
			return p.escaped(begin)
		case c < ' ':
			return "", errBroken
		}
		p.at++
	}
	return "", errBroken
}

// escaped reads on in a string that began at begin and has its first escape
// here.
func (p *parser) escaped(begin int) (string, error) {
	out := append([]byte(nil), p.text[begin:p.at]...)
	for p.at < len(p.text) {
		c := p.text[p.at]
		p.at++
		switch {
		case c == '"':
			// Twice: for a moment the bytes and the string are both there.
			return string(out), p.weigh(weightText + 2*len(out))
		case c < ' ':
			return "", errBroken
		case c != '\\':
			out = append(out, c)
			continue
		}
		r, ok := p.escape()
		if !ok {
			return "", errBroken
		}
		out = utf8.AppendRune(out, r)
	}
	return "", errBroken
}

// escape reads what follows a backslash (RFC 8259 §7). Half a surrogate pair
// is nothing.
func (p *parser) escape() (rune, bool) {
	if p.at >= len(p.text) {
		return 0, false
	}
	c := p.text[p.at]
	p.at++
	switch c {
	case '"', '\\', '/':
		return rune(c), true
	case 'b':
		return '\b', true
	case 'f':
		return '\f', true
	case 'n':
		return '\n', true
	case 'r':
		return '\r', true
	case 't':
		return '\t', true
	case 'u':
		return p.unicode()
	}
	return 0, false
}

func (p *parser) unicode() (rune, bool) {
	r, ok := p.hex()
	if !ok || !utf16.IsSurrogate(r) {
		return r, ok
	}
	if p.at+2 > len(p.text) || p.text[p.at] != '\\' || p.text[p.at+1] != 'u' {
		return 0, false
	}
	p.at += 2
	low, ok := p.hex()
	both := utf16.DecodeRune(r, low)
	return both, ok && both != utf8.RuneError
}

// hex reads four hexadecimal digits.
func (p *parser) hex() (rune, bool) {
	if p.at+4 > len(p.text) {
		return 0, false
	}
	var r rune
	for _, c := range p.text[p.at : p.at+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	p.at += 4
	return r, true
}

// number reads a number (RFC 8259 §6) that a double can hold.
func (p *parser) number() (any, error) {
	begin := p.at
	if p.at < len(p.text) && p.text[p.at] == '-' {
		p.at++
	}
	zero := p.at < len(p.text) && p.text[p.at] == '0'
	if n := p.digits(); n == 0 || zero && n > 1 {
		return nil, errBroken
	}
	if p.at < len(p.text) && p.text[p.at] == '.' {
		p.at++
		if p.digits() == 0 {
			return nil, errBroken
		}
	}
	mantissa := p.text[begin:p.at]
	if err := p.exponent(); err != nil {
		return nil, err
	}
	text := string(p.text[begin:min(p.at, begin+maxNumber+1)])
	f, err := strconv.ParseFloat(text, 64)
	// A number that is not zero and reads as zero would be two numbers.
	if len(text) > maxNumber || err != nil || math.IsInf(f, 0) || f == 0 && !zeros(mantissa) {
		return nil, errBroken
	}
	return json.Number(text), p.weigh(weightText + len(text))
}

func (p *parser) digits() (n int) {
	for p.at < len(p.text) && p.text[p.at] >= '0' && p.text[p.at] <= '9' {
		p.at++
		n++
	}
	return n
}

// exponent reads e+10, if it follows.
func (p *parser) exponent() error {
	if p.at >= len(p.text) || p.text[p.at]|0x20 != 'e' {
		return nil
	}
	p.at++
	if p.at < len(p.text) && (p.text[p.at] == '+' || p.text[p.at] == '-') {
		p.at++
	}
	begin := p.at
	if p.digits() == 0 {
		return errBroken
	}
	if e, err := strconv.Atoi(string(p.text[begin:min(p.at, begin+maxNumber)])); err != nil || e > maxExponent {
		return errBroken
	}
	return nil
}

// zeros tells whether a number without exponent is zero.
func zeros(mantissa []byte) bool {
	for _, c := range mantissa {
		if c >= '1' && c <= '9' {
			return false
		}
	}
	return true
}
