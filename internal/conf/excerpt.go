package conf

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

// windowed is how many columns of a long line are shown.
const windowed = 120

// excerpt renders the line of pos with a caret, and the line before it:
//
//	20 |     match: { path: /admin/** }
//	21 |     alow: { *** }
//	   |     ^^^^
func (f *File) excerpt(pos Pos) string {
	s := f.src
	s.split()
	if pos.Line < 1 || pos.Line > len(s.lines) {
		return ""
	}
	s.measure()
	var b strings.Builder
	if pos.Line > 1 {
		before := f.mask(pos.Line - 2)
		if text := strings.TrimRight(string(before.text), " "); text != "" {
			fmt.Fprintf(&b, "%5d | %s\n", pos.Line-1, cut(text, 0))
		}
	}
	m := f.mask(pos.Line - 1)
	from, to := m.token(s.spans[pos.Line-1], pos.Column-1)
	shift := 0
	if from > windowed-20 {
		shift = from - 40
	}
	fmt.Fprintf(&b, "%5d | %s\n", pos.Line, strings.TrimRight(cut(string(m.text), shift), " "))
	width := max(1, min(to, shift+windowed)-from)
	fmt.Fprintf(&b, "      | %s%s", strings.Repeat(" ", from-shift), strings.Repeat("^", width))
	return b.String()
}

// cut shows a window of a long line.
func cut(text string, from int) string {
	r := []rune(text)
	if from > 0 {
		r = r[from:]
		r[0] = '…'
	}
	if len(r) > windowed {
		return string(r[:windowed]) + "…"
	}
	return string(r)
}

// masked is a line with everything hidden that is not known to be harmless.
type masked struct {
	text []rune
	col  []int // column of the line → column of text; one more than the line has
}

// token returns where in the text the scalar that begins at column stands.
func (m masked) token(spans []span, column int) (from, to int) {
	at := func(c int) int { return m.col[min(max(c, 0), len(m.col)-1)] }
	for _, sp := range spans {
		if sp.from == column {
			return at(column), at(sp.to)
		}
	}
	return at(column), at(column) + 1
}

// visibility of one rune of a line.
type visibility byte

const (
	between visibility = iota // no scalar: punctuation is shown, the rest hidden
	visible
	hidden
)

// mask renders line l, counted from 0. Whatever is hidden becomes "***", once
// for neighbours; a comment is dropped.
func (f *File) mask(l int) masked {
	line := []rune(f.src.lines[l])
	see := make([]visibility, len(line))
	if f.src.known != nil {
		f.src.showWords(line, see)
	}
	spans := f.src.spans[l]
	for _, sp := range spans {
		for i := sp.from; i < sp.to; i++ {
			see[i] = visible
		}
	}
	// Where two overlap, hidden wins.
	for _, sp := range spans {
		for i := f.hiddenFrom(sp, l, line); i < sp.to; i++ {
			see[i] = hidden
		}
	}
	return render(line, see)
}

// hiddenFrom returns from which column of line l the scalar of sp is hidden:
// sp.to if nowhere.
func (f *File) hiddenFrom(sp span, l int, line []rune) int {
	n := sp.node
	switch {
	case n == nil:
		return sp.from
	case n.Kind == yaml.ScalarNode && onlyReference.MatchString(n.Value):
		return sp.to
	case !f.shown.has(n) || f.secret[n] || hasUserinfo(n.Value):
		return sp.from
	case !hasQuery(n.Value):
		return sp.to
	}
	// Only on its first line, and only if nothing is escaped, is the first
	// question mark that is seen certain to be the one that begins the query.
	if n.Line != l+1 || n.Style&yaml.DoubleQuotedStyle != 0 && slices.Contains(line[sp.from:sp.to], '\\') {
		return sp.from
	}
	if i := slices.Index(line[sp.from:sp.to], '?'); i >= 0 {
		return sp.from + i + 1
	}
	return sp.from
}

func render(line []rune, see []visibility) masked {
	m := masked{col: make([]int, 0, len(line)+1)}
	hiding := false
	for i, r := range line {
		if see[i] == between && r == '#' && (i == 0 || unicode.IsSpace(line[i-1])) {
			for range line[i:] {
				m.col = append(m.col, len(m.text))
			}
			break
		}
		show := see[i] == visible || see[i] == between && strings.ContainsRune(" \t-:,?{}[]|>$", r)
		if !show {
			if !hiding {
				m.text = append(m.text, '*', '*', '*')
			}
			hiding = true
			m.col = append(m.col, len(m.text)-3)
			continue
		}
		hiding = false
		m.col = append(m.col, len(m.text))
		m.text = append(m.text, printable(r))
	}
	m.col = append(m.col, len(m.text))
	return m
}

// printable keeps a file from moving the cursor of the terminal it is shown on.
func printable(r rune) rune {
	switch {
	case r == '\t':
		return ' '
	case !unicode.IsPrint(r):
		return '\ufffd'
	}
	return r
}

var keyWord = regexp.MustCompile(`(^|[\s{,])([A-Za-z0-9_-]+):(\s|$)`)

// showWords shows the keys that any section knows, in a text that YAML could
// not read: there is no telling values from secrets.
func (s *source) showWords(line []rune, see []visibility) {
	text := string(line)
	for _, m := range keyWord.FindAllStringSubmatchIndex(text, -1) {
		if !s.known[text[m[4]:m[5]]] {
			continue
		}
		from := len([]rune(text[:m[4]]))
		for i := range m[5] - m[4] {
			see[from+i] = visible
		}
	}
}
