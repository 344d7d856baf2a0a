package conf

import (
	"fmt"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// path says where in the tree of keys the walk stands; nil is the root. It
// serves messages only.
type path struct {
	parent *path
	depth  int
	name   string // "session", or "[2]"
	label  string // `route "admin"` for a list item that has a name
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.@/-]{0,63}$`)

func (p *path) key(name string) *path {
	return &path{parent: p, depth: p.level() + 1, name: name}
}

// item describes item i of the list that p names. A map with a name or an id
// is called by it: `route "admin"` finds its place faster than routes[4].
func (p *path) item(i int, n *yaml.Node) *path {
	q := &path{parent: p, depth: p.level() + 1, name: fmt.Sprintf("[%d]", i)}
	if p == nil || n.Kind != yaml.MappingNode {
		return q
	}
	for j := 0; j+1 < len(n.Content); j += 2 {
		k, v := n.Content[j], n.Content[j+1]
		named := k.Value == "name" || k.Value == "id"
		if named && v.Kind == yaml.ScalarNode && plainName.MatchString(v.Value) {
			q.label = fmt.Sprintf("%s %q", singular(p.name), v.Value)
			return q
		}
	}
	return q
}

func singular(noun string) string {
	if stem, ok := strings.CutSuffix(noun, "ies"); ok {
		return stem + "y"
	}
	return strings.TrimSuffix(noun, "s")
}

func (p *path) level() int {
	if p == nil {
		return 0
	}
	return p.depth
}

// String renders `session.idle`, or `match.path of route "admin"`.
func (p *path) String() string {
	keys := ""
	for ; p != nil; p = p.parent {
		if p.label != "" {
			if keys == "" {
				return p.label
			}
			return keys + " of " + p.label
		}
		switch {
		case keys == "" || keys[0] == '[':
			keys = p.name + keys
		default:
			keys = p.name + "." + keys
		}
	}
	return keys
}

// in renders ` in route "admin"`, "" at the root.
func (p *path) in() string {
	if p == nil {
		return ""
	}
	return " in " + p.String()
}

// lead renders `session.idle: `, the beginning of a message about a value.
func (p *path) lead() string {
	if p == nil {
		return ""
	}
	return p.String() + ": "
}

// usedBy renders ` (used by session.idle)`.
func (p *path) usedBy() string {
	if p == nil {
		return ""
	}
	return " (used by " + p.String() + ")"
}
