package identity

import (
	"net/http"
	"strings"
)

// StripCookies removes from the Cookie lines of h each cookie whose name owns
// says is ours. All others stay byte for byte, in their order and on their
// lines; a line that held only ours disappears.
//
// A name is asked for as a lenient parser would read it: without quotes,
// leading "=", white space of any kind or bytes that are not printable ASCII
// around it.
func StripCookies(h http.Header, owns func(name string) bool) {
	lines, ok := h["Cookie"]
	if !ok {
		return
	}
	kept := make([]string, 0, len(lines))
	for _, line := range lines {
		if rest := otherCookies(line, owns); rest != "" {
			kept = append(kept, rest)
		}
	}
	if len(kept) == 0 {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = kept
}

// otherCookies returns line without the cookies that are ours. It splits at
// every semicolon, quoted or not: the browser and our own reader do too, and a
// parser that honours quotes sees no boundary that this one does not.
func otherCookies(line string, owns func(string) bool) string {
	found := false
	for part := range strings.SplitSeq(line, ";") {
		found = found || owns(cookieName(part))
	}
	if !found {
		return line
	}
	var kept []string
	for part := range strings.SplitSeq(line, ";") {
		if !owns(cookieName(part)) {
			kept = append(kept, part)
		}
	}
	return strings.Trim(strings.Join(kept, ";"), " \t")
}

// cookieName returns the name in one name=value pair. A pair without a name,
// "=a=b", is read as a=b: some servers do.
func cookieName(pair string) string {
	pair = strings.TrimLeftFunc(pair, func(r rune) bool { return odd(r) || r == '=' })
	name, _, _ := strings.Cut(pair, "=")
	return strings.TrimRightFunc(name, odd)
}

// odd reports whether r is something that parsers of cookies trim away. The
// replacement rune stands for bytes that are not UTF-8.
func odd(r rune) bool { return r <= ' ' || r == '"' || r == ',' || r >= 0x7f }
