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
	name   string     // "session"; "" for an item of a list
	index  int        // of the item
	item   *yaml.Node // the item itself
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.@/-]{0,63}$`)

func (p *path) key(name string) *path {
	return &path{parent: p, depth: p.level() + 1, name: name}
}

// nth is item i of the list that p names.
func (p *path) nth(i int, n *yaml.Node) *path {
	return &path{parent: p, depth: p.level() + 1, index: i, item: n}
}

// step is "session", or "[2]".
func (p *path) step() string {
	if p.item == nil {
		return p.name
	}
	return fmt.Sprintf("[%d]", p.index)
}

// label is `route "admin"` for a list item that has a name or an id, else "":
// that finds its place faster than routes[4].
func (p *path) label() string {
	n := p.item
	if p.parent == nil || n == nil || n.Kind != yaml.MappingNode {
		return ""
	}
	for j := 0; j+1 < len(n.Content); j += 2 {
		k, v := n.Content[j], n.Content[j+1]
		named := k.Value == "name" || k.Value == "id"
		if named && v.Kind == yaml.ScalarNode && plainName.MatchString(v.Value) {
			return fmt.Sprintf("%s %q", singular(p.parent.step()), v.Value)
		}
	}
	return ""
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
		if label := p.label(); label != "" {
			if keys == "" {
				return label
			}
			return keys + " of " + label
		}
		switch {
		case keys == "" || keys[0] == '[':
			keys = p.step() + keys
		default:
			keys = p.step() + "." + keys
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
