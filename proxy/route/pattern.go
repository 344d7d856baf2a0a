package route

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// pattern is a compiled path pattern: segments, then perhaps "**".
type pattern struct {
	segments []segment
	deep     bool
	// names are the segments that set a path variable, from left to right; each
	// is a star among segments, so that matching knows nothing of them.
	names []named
}

// segment is one segment of a pattern: literal text, or text with "*" in it.
type segment struct {
	text string
	wild bool
}

// star is the segment that takes every segment.
var star = segment{text: "*", wild: true}

// parsePattern compiles the pattern text. What no decoded path can contain is
// an error: such a pattern would look like protection and never match.
func parsePattern(text string) (pattern, error) {
	var p pattern
	if err := checkPattern(text); err != nil {
		return p, err
	}
	text = strings.TrimSuffix(text[1:], "/")
	if text == "" {
		return p, nil
	}
	p.segments = make([]segment, 0, strings.Count(text, "/")+1)
	for part := range strings.SplitSeq(text, "/") {
		if p.deep {
			return p, errors.New("** stands only at the end: it takes everything below")
		}
		if part == "**" {
			p.deep = true
			continue
		}
		if err := checkSegment(part); err != nil {
			return p, err
		}
		if name, ok, err := variable(part); err != nil {
			return p, err
		} else if ok {
			if slices.ContainsFunc(p.names, func(n named) bool { return n.name == name }) {
				return p, fmt.Errorf("%s stands twice: a pattern sets each path variable once", part)
			}
			p.names = append(p.names, named{name, len(p.segments)})
			part = star.text
		}
		p.segments = append(p.segments, segment{part, strings.Contains(part, "*")})
	}
	return p, nil
}

func checkPattern(text string) error {
	if text == "" || text[0] != '/' {
		return errors.New(`a path begins with "/"`)
	}
	if !utf8.ValidString(text) {
		return errors.New("a path is UTF-8")
	}
	if strings.Contains(text, "//") {
		return errors.New("// is merged to / before matching; write one slash")
	}
	for _, c := range text {
		if c < ' ' || (c >= 0x7F && c < 0xA0) {
			return errors.New("a path has no control characters")
		}
		if strings.ContainsRune(`?#;\`, c) {
			return errors.New("a decoded path never has " + string(c) + " in it")
		}
	}
	for i := range len(text) - 2 {
		if text[i] == '%' && hex(text[i+1]) && hex(text[i+2]) {
			return errors.New("patterns are compared with the decoded path: write the character, not " + text[i:i+3])
		}
	}
	return nil
}

func checkSegment(part string) error {
	switch {
	case strings.Contains(part, "**"):
		return errors.New("** is a whole segment, as in /files/**; inside a segment write *")
	case strings.Trim(part, ".") == "":
		return errors.New("a canonical path has no dot segments")
	case strings.TrimSpace(part) != part:
		return errors.New("a segment does not begin or end with a space")
	}
	return nil
}

func hex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// likeRegexp guesses that the pattern was meant as a regular expression.
func likeRegexp(text string) bool {
	return strings.Contains(text, "/.*") || strings.Contains(text, ".+") || strings.HasSuffix(text, "$")
}

// takes reports whether the segment takes one segment of a path. A "*" alone
// takes no empty segment; inside a segment it may stand for nothing.
func (s segment) takes(part string) bool {
	switch {
	case part == "":
		return false
	case !s.wild:
		return s.text == part
	case s == star:
		return true
	}
	return glob(s.text, part)
}

// covers reports whether s takes everything that other takes. A "*" of other
// is read as one letter that only a "*" can take, which never claims too much.
func (s segment) covers(other segment) bool {
	if other == star {
		return s == star
	}
	return s.takes(other.text) && (s.wild || !other.wild)
}

// glob matches text against a pattern in which "*" stands for any run of bytes.
// It goes back only to the last "*", which is enough and keeps it quadratic at
// worst. Text may itself hold "*", which only a "*" takes.
func glob(pattern, text string) bool {
	p, t := 0, 0
	back, from := -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			back, from = p, t
			p++
		case p < len(pattern) && pattern[p] == text[t]:
			p++
			t++
		case back >= 0:
			from++
			p, t = back+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
