package conf

import (
	"reflect"

	"gopkg.in/yaml.v3"
)

// Spot is a Pos in a file that is known from elsewhere, in a quarter of the room:
// a large file has hundreds of thousands.
type Spot struct{ line, column int32 }

func spotOf(n *yaml.Node) Spot { return Spot{int32(n.Line), int32(n.Column)} }

// Spot returns p without its file.
func (p Pos) Spot() Spot { return Spot{int32(p.Line), int32(p.Column)} }

// In returns the Pos of s in a file; the zero Pos for the zero Spot.
func (s Spot) In(file string) Pos {
	if s == (Spot{}) {
		return Pos{}
	}
	return Pos{File: file, Line: int(s.line), Column: int(s.column)}
}

// expect makes room for what decoding the documents will note.
func (f *File) expect() {
	nodes, keys := 0, 0
	for n := range f.nodes() {
		nodes++
		if n.Kind == yaml.MappingNode {
			keys += len(n.Content) / 2
		}
	}
	f.pos.list = make([]placedField, 0, nodes-keys)
	f.shown.list = make([]*yaml.Node, 0, nodes)
}

// placed are fields with their places, a list until somebody asks.
type placed struct {
	list  []placedField
	index map[any]Spot
}

// placedField is a pointer to a field with where its value stands.
type placedField struct {
	field any
	at    Spot
}

func (p *placed) add(field any, at Spot) { p.list = append(p.list, placedField{field, at}) }

func (p *placed) find(field any) (at Spot, ok bool) {
	if p.index == nil {
		p.index = make(map[any]Spot, len(p.list))
	}
	for _, d := range p.list {
		p.index[d.field] = d.at
	}
	p.list = p.list[:0]
	at, ok = p.index[field]
	return at, ok
}

// nearby finds the struct that lacks a field. It is asked only when something
// is wrong, so it is a list until then.
type nearby struct {
	structs []decoded
	index   map[any]Spot
}

// decoded is a struct that a map of the file was decoded into.
type decoded struct {
	v      reflect.Value
	schema *schema
	at     Spot
}

func (n *nearby) add(d decoded) { n.structs = append(n.structs, d) }

func (n *nearby) find(field any) Spot {
	if n.index == nil {
		n.index = map[any]Spot{}
	}
	for _, d := range n.structs {
		for _, key := range d.schema.fields {
			n.index[d.v.FieldByIndex(key.index).Addr().Interface()] = d.at
		}
	}
	n.structs = nil
	return n.index[field]
}

// shown is a set of scalars, a list until somebody asks.
type shown struct {
	list []*yaml.Node
	set  map[*yaml.Node]bool
}

func (s *shown) add(n *yaml.Node) { s.list = append(s.list, n) }

func (s *shown) has(n *yaml.Node) bool {
	if s.set == nil {
		s.set = make(map[*yaml.Node]bool, len(s.list))
	}
	for _, n := range s.list {
		s.set[n] = true
	}
	s.list = nil
	return s.set[n]
}
