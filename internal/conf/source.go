package conf

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// source is the text of a file by lines, and where the scalars stand in it.
type source struct {
	text     []byte
	docs     []*yaml.Node
	lines    []string       // without line breaks; split makes them
	starts   []int          // byte offset of each line
	spans    map[int][]span // by line, from 0
	measured bool
	known    map[string]bool // not nil: the text is not YAML, show these words only
}

// span is a part of a line that belongs to a scalar, in runes from 0. node is
// nil where the end of the scalar is not certain.
type span struct {
	from, to int
	node     *yaml.Node
}

func newSource(text []byte) *source { return &source{text: text, spans: map[int][]span{}} }

// split finds the lines, which only messages need.
func (s *source) split() {
	if s.lines != nil {
		return
	}
	rest := strings.TrimPrefix(string(s.text), "\ufeff")
	offset := len(s.text) - len(rest)
	for {
		i, width := lineBreak(rest)
		s.lines = append(s.lines, rest[:i])
		s.starts = append(s.starts, offset)
		if width == 0 {
			return
		}
		rest = rest[i+width:]
		offset += i + width
	}
}

// lineBreak finds the end of the first line the way YAML 1.1 does, which knows
// more breaks than an editor; else positions of the parser would be misread.
func lineBreak(s string) (at, width int) {
	for i, r := range s {
		switch r {
		case '\r':
			if strings.HasPrefix(s[i:], "\r\n") {
				return i, 2
			}
			return i, 1
		case '\n', '\u0085', '\u2028', '\u2029':
			return i, utf8.RuneLen(r)
		}
	}
	return len(s), 0
}

// each yields the nodes of the documents, parents before their children, in the
// order in which they are written. Aliases are not followed: what counts is what
// stands in the text.
func (s *source) each(yield func(*yaml.Node) bool) {
	var walk func(n *yaml.Node) bool
	walk = func(n *yaml.Node) bool {
		if n.Kind != yaml.DocumentNode && !yield(n) {
			return false
		}
		for _, c := range n.Content {
			if !walk(c) {
				return false
			}
		}
		return true
	}
	for _, d := range s.docs {
		if !walk(d) {
			return
		}
	}
}

// measure finds the extent of each scalar. Where it is not certain (scalars of
// several lines, anchors), all up to the next node counts as the scalar.
func (s *source) measure() {
	if s.measured {
		return
	}
	s.measured = true
	nodes := slices.SortedStableFunc(s.each, func(a, b *yaml.Node) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	for i, n := range nodes {
		if n.Kind != yaml.ScalarNode && n.Kind != yaml.AliasNode || n.Line < 1 || n.Line > len(s.lines) {
			continue
		}
		line := []rune(s.lines[n.Line-1])
		from := min(max(n.Column-1, 0), len(line))
		if length, ok := extent(line[from:], n); ok {
			s.spans[n.Line-1] = append(s.spans[n.Line-1], span{from, from + length, n})
			continue
		}
		s.cover(n, from+indicator(line[from:], n), next(nodes[i:]))
	}
}

// next returns the first node that stands behind the first of nodes, nil if
// there is none.
func next(nodes []*yaml.Node) *yaml.Node {
	n := nodes[0]
	for _, m := range nodes[1:] {
		if m.Line > n.Line || m.Column > n.Column {
			return m
		}
	}
	return nil
}

// cover marks everything from n up to end as text of a scalar of uncertain
// extent. The dash or brace before end belongs to end.
func (s *source) cover(n *yaml.Node, from int, end *yaml.Node) {
	last := len(s.lines)
	if end != nil {
		last = min(end.Line, last)
	}
	for l := n.Line - 1; l < last; l++ {
		line := []rune(s.lines[l])
		to := len(line)
		if end != nil && l == end.Line-1 {
			to = min(end.Column-1, to)
			if l > n.Line-1 && strings.Trim(string(line[:to]), " \t-?[{,") == "" {
				return
			}
		}
		s.spans[l] = append(s.spans[l], span{from: min(from, to), to: to})
		from = 0
	}
}

// indicator returns the length of "|-" or ">" in front of a block scalar.
func indicator(text []rune, n *yaml.Node) int {
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		return 0
	}
	i := 0
	for i < len(text) && strings.ContainsRune("|>+-123456789", text[i]) {
		i++
	}
	return i
}

// extent returns how many runes of text the scalar n takes, if it is certain
// that it ends within the line.
func extent(text []rune, n *yaml.Node) (int, bool) {
	value := n.Value
	switch {
	case n.Kind == yaml.AliasNode:
		value = "*" + value
	case n.Anchor != "" || n.Style&yaml.TaggedStyle != 0:
		return 0, false
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return quoted(text, '"', '\\')
	case n.Style&yaml.SingleQuotedStyle != 0:
		return quoted(text, '\'', '\'')
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return 0, false
	}
	return utf8.RuneCountInString(value), strings.HasPrefix(string(text), value)
}

// quoted returns the length of a quoted scalar. escape is the rune that takes
// the meaning of the one behind it; in single quotes that is the quote itself.
func quoted(text []rune, quote, escape rune) (int, bool) {
	if len(text) == 0 || text[0] != quote {
		return 0, false
	}
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == escape && i+1 < len(text) && (escape != quote || text[i+1] == quote):
			i++
		case text[i] == quote:
			return i + 1, true
		}
	}
	return 0, false
}
