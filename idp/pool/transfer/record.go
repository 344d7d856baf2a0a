package transfer

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxCSV is how many characters a row of a CSV file has at most (Cognito's).
const maxCSV = 16000

// record returns the cells of the next record and the line it begins at. A quoted
// cell may go on over lines (RFC 4180). Besides *RowError and io.EOF comes ErrFile
// for a quote that never ends: nobody can tell then where the next row begins.
func (c *csvReader) record() ([]string, int, error) {
	begin := 0
	var text []byte
	for {
		line, err := c.lines.next()
		switch {
		case begin > 0 && (errors.Is(err, io.EOF) || errors.Is(err, errLong)):
			return nil, begin, fmt.Errorf("%w: line %d: a quote is not closed", ErrFile, begin)
		case errors.Is(err, errLong):
			return nil, c.lines.n, tooLong(c.lines.n)
		case err != nil:
			return nil, 0, err
		}
		if begin == 0 {
			if len(line) == 0 || string(line) == "\r" {
				continue // an empty line is no row
			}
			begin = c.lines.n
		} else {
			text = append(text, '\n')
		}
		text = append(text, line...)
		if len(text) > 4*maxCSV {
			return nil, begin, fmt.Errorf("%w: line %d: a quote is not closed within %d characters", ErrFile, begin, maxCSV)
		}
		if why := refuses(text); why != "" {
			return nil, begin, &RowError{Line: begin, Reason: why}
		}
		cells, open, why := split(strings.TrimSuffix(string(text), "\r"))
		switch {
		case why != "":
			return nil, begin, &RowError{Line: begin, Reason: why}
		case open:
			continue
		case utf8.RuneCount(text) > maxCSV:
			return nil, begin, tooLong(begin)
		}
		return cells, begin, nil
	}
}

func tooLong(line int) *RowError {
	return &RowError{Line: line, Reason: fmt.Sprintf("it has more than %d characters", maxCSV)}
}

// split cuts a record into its cells. A cell that begins with a quote ends with
// one, and "" in it is a quote; in others \, is a comma (Cognito's). It reports
// whether a quote is still open, and why the record is none.
func split(text string) (cells []string, open bool, why string) {
	for {
		var cell string
		var rest string
		if quoted, ok := strings.CutPrefix(text, `"`); ok {
			if cell, rest, open = unquote(quoted); open {
				return nil, true, ""
			}
			if rest != "" && rest[0] != ',' {
				return nil, false, "there is text after a closing quote"
			}
		} else {
			cell, rest = bare(text)
		}
		cells = append(cells, cell)
		if rest == "" {
			return cells, false, ""
		}
		text = rest[1:]
	}
}

// unquote returns the text up to the closing quote and what follows it.
func unquote(text string) (cell, rest string, open bool) {
	var b strings.Builder
	for {
		i := strings.IndexByte(text, '"')
		if i < 0 {
			return "", "", true
		}
		b.WriteString(text[:i])
		if !strings.HasPrefix(text[i+1:], `"`) {
			return b.String(), text[i+1:], false
		}
		b.WriteByte('"')
		text = text[i+2:]
	}
}

// bare returns the text up to the next comma that no backslash precedes.
func bare(text string) (cell, rest string) {
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == ',':
			return strings.ReplaceAll(text[:i], `\,`, ","), text[i:]
		case strings.HasPrefix(text[i:], `\,`):
			i++
		}
	}
	return strings.ReplaceAll(text, `\,`, ","), ""
}

// join writes cells as a record without its line break. Commas are escaped as
// Cognito wants it; what that form cannot hold is quoted.
func join(cells []string) string {
	out := make([]string, len(cells))
	for i, cell := range cells {
		switch {
		case strings.ContainsAny(cell, "\"\\\r\n"):
			out[i] = `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
		default:
			out[i] = strings.ReplaceAll(cell, ",", `\,`)
		}
	}
	return strings.Join(out, ",")
}

// again returns the first of names that stood there before, "" for none.
func again(names []string) string {
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return name
		}
	}
	return ""
}
