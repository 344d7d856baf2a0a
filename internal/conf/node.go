package conf

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Kind is the shape of a Node.
type Kind int

// The three shapes of YAML.
const (
	Scalar Kind = iota
	List
	Map
)

// String names the shape as messages do.
func (k Kind) String() string {
	switch k {
	case List:
		return "a list"
	case Map:
		return "a map of keys"
	default:
		return "a single value"
	}
}

// Unmarshaler is a value of several shapes, such as `allow: anyone` and
// `allow: {groups: [admins]}`. UnmarshalConf reads n into its receiver and
// records mistakes with n.Errorf; a Pos field of the receiver is filled
// already.
type Unmarshaler interface{ UnmarshalConf(n *Node) }

// Node is one value of the file, handed to an Unmarshaler.
type Node struct {
	file *File
	yaml *yaml.Node
	at   *path
	self any // the Unmarshaler that was given this node
	bad  bool
}

// Kind returns the shape of the value.
func (n *Node) Kind() Kind { return kindOf(n.yaml) }

// Pos returns where the value stands.
func (n *Node) Pos() Pos { return n.file.at(n.yaml) }

// Where names the value in a message: `allow of route "admin"`, "" for the
// whole file.
func (n *Node) Where() string { return n.at.String() }

// Scalar returns the value with its references expanded, "" for a list or a
// map. The value counts as harmless and may appear in excerpts: a secret is
// read by Decode into a Secret.
func (n *Node) Scalar() string {
	if n.Kind() != Scalar {
		return ""
	}
	n.file.show(n.yaml)
	s, ok := n.file.expand(n.yaml, n.at)
	n.bad = n.bad || !ok
	return s
}

// Decode reads the value into what into points to, as strictly as any key of
// the file, and reports whether it fits; mistakes have been recorded. Called
// with the Unmarshaler itself it decodes that struct by its tags.
func (n *Node) Decode(into any) bool {
	ok := n.file.decodeNode(n, into)
	n.bad = n.bad || !ok
	return ok
}

// Errorf records an error at the value; text after a line break is help.
func (n *Node) Errorf(format string, a ...any) {
	n.bad = true
	n.file.add(n.Pos(), false, fmt.Sprintf(format, a...))
}

// Warnf records a warning at the value.
func (n *Node) Warnf(format string, a ...any) {
	n.file.add(n.Pos(), true, fmt.Sprintf(format, a...))
}

// Keys returns the keys of a map in the order of the file, without those that
// begin with "x-"; nil for a list or a scalar.
func (n *Node) Keys() []string {
	var keys []string
	for _, p := range n.file.pairsOf(n.yaml) {
		if !strings.HasPrefix(p.key.Value, "x-") {
			keys = append(keys, p.key.Value)
		}
	}
	return keys
}

// Get returns the value of a key of a map, nil when it is absent.
func (n *Node) Get(key string) *Node {
	for _, p := range n.file.pairsOf(n.yaml) {
		if p.key.Value == key {
			n.file.show(p.key)
			return n.child(p.value, n.at.key(key))
		}
	}
	return nil
}

// Items returns the items of a list, and the value itself as the only item for
// anything else: a list of one may be written without brackets.
func (n *Node) Items() []*Node {
	if n.Kind() != List {
		return []*Node{n}
	}
	var items []*Node
	for i, c := range n.yaml.Content {
		items = append(items, n.child(c, n.at.nth(i, resolve(c))))
	}
	return items
}

// Only records an error for each key of a map that is not among known, with
// "did you mean", and reports whether there was none.
func (n *Node) Only(known ...string) bool {
	fine := true
	for _, p := range n.file.pairsOf(n.yaml) {
		if slices.Contains(known, p.key.Value) || strings.HasPrefix(p.key.Value, "x-") {
			continue
		}
		n.file.unknownKey(p.key, n.at, known, "")
		fine = false
	}
	n.bad = n.bad || !fine
	return fine
}

// child ends a list that holds itself with an empty value, for Unmarshalers
// that walk down on their own.
func (n *Node) child(y *yaml.Node, at *path) *Node {
	y = resolve(y)
	if !n.file.enter(y, at) {
		n.bad = true
		y = &yaml.Node{Kind: yaml.ScalarNode, Line: y.Line, Column: y.Column}
	}
	return &Node{file: n.file, yaml: y, at: at}
}

func kindOf(n *yaml.Node) Kind {
	switch n.Kind {
	case yaml.SequenceNode:
		return List
	case yaml.MappingNode:
		return Map
	default:
		return Scalar
	}
}

// resolve follows aliases; YAML lets an alias name only an anchor, so the
// chain is short.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
}
