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
	values, maps := 0, 0
	for n := range f.nodes() {
		switch n.Kind {
		case yaml.MappingNode:
			maps++
			values -= len(n.Content) / 2 // keys
		}
		values++
	}
	f.pos = make(map[any]place, values)
	f.pairs = make(map[*yaml.Node][]pair, maps)
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
