package accesslog

import (
	"net/netip"
	"strconv"
	"time"
	"unicode/utf8"

	"gatehouse/internal/conf"
)

const (
	digits   = "0123456789abcdef"
	ellipsis = "…"
	replaced = `\ufffd`
)

// appendText appends a member whose value is text, none when it is empty. lead
// is all that stands before the text: a line is made of few pieces, as each costs
// more than its bytes. A text of more than longest bytes is cut.
func appendText(line []byte, lead, text string, longest int) []byte {
	if text == "" {
		return line
	}
	line = append(line, lead...)
	if len(text) <= longest {
		return append(appendEscaped(line, text), '"')
	}
	line = appendEscaped(line, cut(text, longest-len(ellipsis)))
	return append(line, ellipsis+`"`...)
}

// cut returns the beginning of text, n bytes or a few less, so that no rune is
// torn.
func cut(text string, n int) string {
	for end := n; end > n-utf8.UTFMax; end-- {
		if utf8.RuneStart(text[end]) {
			return text[:end]
		}
	}
	return text[:n] // this is no UTF-8 anyway
}

// appendEscaped appends what stands between the quotes of a JSON string (RFC 8259
// §7). Beyond what JSON asks for, the C1 controls and DEL are escaped, as a line
// may be read on a terminal, and U+2028 and U+2029, which some take for the end
// of a line.
func appendEscaped(line []byte, text string) []byte {
	n := ordinary(text)
	line = append(line, text[:n]...)
	if n < len(text) {
		line = appendOdd(line, text[n:])
	}
	return line
}

// Eight bytes at once: each of them 0x01, and each with its highest bit alone.
const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// ordinary returns how many bytes of text, from its beginning, are ASCII that
// stands in JSON as it is. It may stop some bytes early.
func ordinary(text string) int {
	i := 0
	for ; i+8 <= len(text); i += 8 {
		if odd(eight(text[i : i+8])) {
			return i
		}
	}
	if len(text) >= 8 && !odd(eight(text[len(text)-8:])) {
		return len(text) // the last eight, some of them seen twice
	}
	for i < len(text) && asItIs(text[i]) {
		i++
	}
	return i
}

// eight returns the first eight bytes of t as one word.
func eight(t string) uint64 {
	return uint64(t[0]) | uint64(t[1])<<8 | uint64(t[2])<<16 | uint64(t[3])<<24 |
		uint64(t[4])<<32 | uint64(t[5])<<40 | uint64(t[6])<<48 | uint64(t[7])<<56
}

// odd tells whether one of eight bytes is not to be copied as it is: of ASCII,
// each term sets the top bit for what it looks for and for nothing else, and
// carries into another byte only then.
func odd(w uint64) bool {
	return (w|(w+ones)|(w-ones*' ')|((w^ones*'"')-ones)|((w^ones*'\\')-ones))&tops != 0
}

// asItIs tells whether a byte of ASCII needs no escape; of others it says no.
func asItIs(c byte) bool { return c >= ' ' && c < 0x7f && c != '"' && c != '\\' }

// appendOdd appends a text that must be looked at rune by rune.
func appendOdd(line []byte, text string) []byte {
	plain := 0 // text[plain:i] is copied as it is
	for i := 0; i < len(text); {
		if asItIs(text[i]) {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if r >= 0xa0 && r != '\u2028' && r != '\u2029' && (r != utf8.RuneError || size > 1) {
			i += size
			continue
		}
		line = appendRune(append(line, text[plain:i]...), r)
		i += size
		plain = i
	}
	return append(line, text[plain:]...)
}

// appendRune appends the escape of a rune that needs one.
func appendRune(line []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(line, '\\', byte(r))
	case '\n':
		return append(line, '\\', 'n')
	case '\r':
		return append(line, '\\', 'r')
	case '\t':
		return append(line, '\\', 't')
	case '\u2028', '\u2029':
		return append(line, '\\', 'u', '2', '0', '2', digits[r&0xf])
	case utf8.RuneError:
		return append(line, replaced...)
	}
	return append(line, '\\', 'u', '0', '0', digits[r>>4&0xf], digits[r&0xf])
}

// appendInt appends a member with a number.
func appendInt(line []byte, lead string, n int64) []byte {
	return strconv.AppendInt(append(line, lead...), n, 10)
}

// appendMillis appends a member: d in milliseconds with three decimals, or null
// when it is below zero.
func appendMillis(line []byte, lead string, d time.Duration) []byte {
	line = append(line, lead...)
	if d < 0 {
		return append(line, "null"...)
	}
	us := d.Microseconds()
	line = strconv.AppendInt(line, us/1000, 10)
	us %= 1000
	return append(line, '.', byte('0'+us/100), byte('0'+us/10%10), byte('0'+us%10))
}

// appendTime appends t as RFC 3339 in UTC with milliseconds. It is done by hand,
// as time's own general way costs three times as much; remembering the second
// would cost a word that all cores write to.
func appendTime(line []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	year = min(max(year, 0), 9999) // RFC 3339 §1 knows no other
	text := [24]byte{4: '-', 7: '-', 10: 'T', 13: ':', 16: ':', 19: '.', 23: 'Z'}
	two := func(i, n int) { text[i], text[i+1] = byte('0'+n/10), byte('0'+n%10) }
	two(0, year/100)
	two(2, year%100)
	two(5, int(month))
	two(8, day)
	two(11, hour)
	two(14, minute)
	two(17, second)
	ms := t.Nanosecond() / int(time.Millisecond)
	two(20, ms/10)
	text[22] = byte('0' + ms%10)
	return append(line, text[:]...)
}

// appendAddr appends a member: an address, an IPv4 one in IPv6 as IPv4. The zone
// is any text.
func appendAddr(line []byte, lead string, addr netip.Addr) []byte {
	if !addr.IsValid() {
		return line
	}
	line = addr.WithZone("").Unmap().AppendTo(append(line, lead...))
	if zone := addr.Zone(); zone != "" {
		line = appendEscaped(append(line, '%'), zone[:min(len(zone), maxValue)])
	}
	return append(line, '"')
}

// appendPos appends a member: file:line; none for the zero Pos.
func appendPos(line []byte, lead string, p conf.Pos) []byte {
	if p.File == "" {
		return line
	}
	// The end of a long path tells more than its beginning.
	line = appendEscaped(append(line, lead...), p.File[max(len(p.File)-maxValue, 0):])
	if p.Line > 0 {
		line = strconv.AppendInt(append(line, ':'), int64(p.Line), 10)
	}
	return append(line, '"')
}
