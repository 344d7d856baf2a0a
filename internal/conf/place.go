package conf

import (
	"reflect"

	"gopkg.in/yaml.v3"
)

// place is a Pos of the file at hand. A large file has hundreds of thousands.
type place struct{ line, column int32 }

func placeOf(n *yaml.Node) place { return place{int32(n.Line), int32(n.Column)} }

func (p place) in(f *File) Pos {
	if p == (place{}) {
		return Pos{}
	}
	return Pos{File: f.name, Line: int(p.line), Column: int(p.column)}
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
	index map[any]place
}

// placedField is a pointer to a field with where its value stands.
type placedField struct {
	field any
	at    place
}

func (p *placed) add(field any, at place) { p.list = append(p.list, placedField{field, at}) }

func (p *placed) find(field any) (at place, ok bool) {
	if p.index == nil {
		p.index = make(map[any]place, len(p.list))
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
	index   map[any]place
}

// decoded is a struct that a map of the file was decoded into.
type decoded struct {
	v      reflect.Value
	schema *schema
	at     place
}

func (n *nearby) add(d decoded) { n.structs = append(n.structs, d) }

func (n *nearby) find(field any) place {
	if n.index == nil {
		n.index = map[any]place{}
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
