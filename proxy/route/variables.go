package route

import (
	"fmt"
	"slices"
	"strings"
)

// Variable is one path variable of a request: {tenant} of /tenants/{tenant}.
type Variable struct {
	Name string
	// Value is the decoded path segment; never empty, never with a "/".
	Value string
}

// named is a segment of a pattern that sets a variable.
type named struct {
	name string
	at   int // index of the segment
}

// Variables returns the path variables of a route for a decoded path: those of
// the route's first pattern, in the order of the file, that takes the path, from
// left to right. It returns nil for a pattern without variables, and if no
// pattern takes the path. Without variables it allocates nothing.
func (t *Table) Variables(route int, path string) []Variable {
	if route < 0 || route >= len(t.rules) || !t.rules[route].variables {
		return nil
	}
	patterns := t.rules[route].patterns
	for i := range patterns {
		if patterns[i].takes(path) {
			return patterns[i].values(path)
		}
	}
	return nil
}

// values reads the variables of p from a path that p takes.
func (p *pattern) values(path string) []Variable {
	if len(p.names) == 0 {
		return nil
	}
	list := make([]Variable, 0, len(p.names))
	rest, part := path[1:], ""
	for i := range p.segments {
		part, rest, _ = strings.Cut(rest, "/")
		if n := p.names[len(list)]; n.at == i {
			list = append(list, Variable{n.name, part})
			if len(list) == len(p.names) {
				break
			}
		}
	}
	return list
}

// Variables returns the names of the path variables that every pattern of the
// match sets, sorted. Patterns that cannot be read set none.
func (m *Match) Variables() []string {
	var every []string
	for i, text := range m.Path {
		p, err := parsePattern(text)
		if err != nil {
			return nil
		}
		sets := func(name string) bool {
			return slices.ContainsFunc(p.names, func(n named) bool { return n.name == name })
		}
		if i == 0 {
			for _, n := range p.names {
				every = append(every, n.name)
			}
		}
		every = slices.DeleteFunc(every, func(name string) bool { return !sets(name) })
	}
	slices.Sort(every)
	return every
}

// variable returns the name in a segment "{name}"; ok is false for a segment
// without braces.
func variable(part string) (name string, ok bool, err error) {
	if !strings.ContainsAny(part, "{}") {
		return "", false, nil
	}
	name, opened := strings.CutPrefix(part, "{")
	name, closed := strings.CutSuffix(name, "}")
	if !opened || !closed || strings.ContainsAny(name, "{}") {
		return "", false, fmt.Errorf("%s: a path variable is a whole segment, as in /tenants/{tenant}/**", part)
	}
	if !isName(name) {
		return "", false, fmt.Errorf("%s: the name of a path variable is of a-z, 0-9 and _ and begins with no digit", part)
	}
	return name, true, nil
}

func isName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c == '_':
		case c >= '0' && c <= '9' && i > 0:
		default:
			return false
		}
	}
	return s != ""
}
