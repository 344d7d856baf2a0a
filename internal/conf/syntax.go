package conf

import (
	"io"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// searching bounds how long the text is parsed again to find where a syntax
// error stands: deeply nested brackets cost the parser quadratic time.
const searching = time.Second

// syntaxError records that the text is not YAML. The parser tells a line that
// is often wrong and no column, and it may quote a secret (`password: *abc`
// is "unknown anchor 'abc'"); so the place is searched and the words are ours.
func (f *File) syntaxError(text []byte, err error, known map[string]bool) {
	f.src.known = known
	f.src.split()
	line, column, stop := f.src.locate(text)
	message := "this is not YAML: " + reason(err.Error())
	if l, c, ok := f.src.brace(line, stop); ok && inFlow(err.Error()) {
		line, column = l, c
		message = "values with braces must be quoted inside { } and [ ]" + braceHelp
	} else if m := indentTab.FindStringIndex(f.src.lines[line-1]); m != nil {
		column = utf8.RuneCountInString(f.src.lines[line-1][:m[1]])
		message = "this is not YAML: a tab cannot indent; use spaces"
	}
	f.add(Pos{File: f.name, Line: line, Column: column}, false, message)
}

const braceHelp = "\n" + `Write { secret: "${NAME}" }, or put each key on a line of its own.`

var indentTab = regexp.MustCompile(`^ *\t`)

// reasons maps what the parser says to what a person can act on.
var reasons = []struct{ says, means string }{
	{"mapping values are not allowed", `": " cannot stand here; quote the value, or check the indentation of this line and the one before`},
	{"cannot start any token", "a value that begins with @, %, ` or a tab must be quoted"},
	{"did not find expected ',' or '}'", "a { is not closed, a comma is missing, or a value with braces needs quotes"},
	{"did not find expected ',' or ']'", "a [ is not closed, a comma is missing, or a value with braces needs quotes"},
	{"did not find expected node content", "a value is missing, or begins with a sign that must be quoted"},
	{"did not find expected key", "this line is indented differently from its neighbours, or a quote is in its way"},
	{"did not find expected '-' indicator", "this line is indented differently from the items of the list"},
	{"could not find expected ':'", "a key without a colon and a space behind it"},
	{"unexpected end of stream", "a quote is not closed"},
	{"unexpected document indicator", "a quote is not closed"},
	{"block sequence entries are not allowed", "a list must begin on a line of its own"},
	{"unknown anchor", "an alias names an anchor that is not there; a value that begins with * must be quoted"},
	{"alphabetic or numeric character", "a value that begins with * or & must be quoted"},
	{"tag", "a value that begins with ! must be quoted"},
	{"control characters are not allowed", "a control character stands here"},
	{"UTF-8", "the text is not UTF-8"},
	{"unknown escape character", `this \ sequence is not known; use single quotes`},
	{"block scalar", "the indentation of a | or > block is broken"},
}

func reason(parser string) string {
	for _, r := range reasons {
		if strings.Contains(parser, r.says) {
			return r.means
		}
	}
	return "it cannot be read from here on"
}

func inFlow(parser string) bool {
	return strings.Contains(parser, "or '}'") || strings.Contains(parser, "or ']'") ||
		strings.Contains(parser, "node content") || strings.Contains(parser, "expected key") ||
		strings.Contains(parser, "mapping values")
}

var (
	openBrace = regexp.MustCompile(`[{\[,][^"'#]*?(\$\{)`)
	lineBrace = regexp.MustCompile(`^[^"'#]*?(\$\{)`)
)

// brace finds an unquoted ${ inside { } or [ ] between the line where YAML
// ends and the one where the parser gave up.
func (s *source) brace(line, stop int) (l, column int, ok bool) {
	pattern := openBrace
	for l := line; l <= stop; l++ {
		if m := pattern.FindStringSubmatchIndex(s.lines[l-1]); m != nil {
			return l, utf8.RuneCountInString(s.lines[l-1][:m[2]]) + 1, true
		}
		pattern = lineBrace // the brace that is open stands above
	}
	return 0, 0, false
}

// drip hands out one byte at a time, and so knows how far the parser read.
type drip struct {
	text []byte
	read int
}

func (d *drip) Read(p []byte) (int, error) {
	if d.read == len(d.text) {
		return 0, io.EOF
	}
	p[0] = d.text[d.read]
	d.read++
	return 1, nil
}

// locate returns the line and column, from 1, behind the longest beginning of
// the text that is YAML: whole lines first, then within the next line. stop is
// the line where the parser gave up, which may be far below.
func (s *source) locate(text []byte) (line, column, stop int) {
	d := &drip{text: text}
	_, _ = readYAML(d)
	stop = s.lineOf(max(d.read-1, 0))
	until := time.Now().Add(searching)
	late := func() bool { return time.Now().After(until) }
	fits := func(n int) bool {
		_, err := readYAML(strings.NewReader(string(text[:n])))
		return err == nil
	}
	good := stop
	for good > 0 && !late() && !fits(s.starts[good-1]) {
		good--
	}
	if good == 0 || late() {
		return stop, 1, stop
	}
	content := s.lines[good-1]
	cut := len(content)
	for cut > 0 && !late() && !fits(s.starts[good-1]+cut) {
		_, width := utf8.DecodeLastRuneInString(content[:cut])
		cut -= width
	}
	blank := len(content) - len(strings.TrimLeft(content, " "))
	return good, utf8.RuneCountInString(content[:max(cut, blank)]) + 1, stop
}

// lineOf returns the line, from 1, that holds the byte at offset.
func (s *source) lineOf(offset int) int {
	line := 1
	for line < len(s.starts) && s.starts[line] <= offset {
		line++
	}
	return line
}
