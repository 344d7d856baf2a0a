package conf

import (
	"fmt"
	"reflect"
	"strings"
)

// schema is what the tags of one struct type say.
type schema struct {
	fields []field
	pos    [][]int // index paths of Pos fields
	inline [][]int // index paths of inlined structs, outermost first
	// defaults tells whether the type, or a struct in it, has Defaults.
	defaults bool
}

// field is one key of a struct.
type field struct {
	key   string
	index []int
	help  string // the help tag: what it means that the key is missing
}

func (s *schema) find(key string) (field, bool) {
	for _, f := range s.fields {
		if f.key == key {
			return f, true
		}
	}
	return field{}, false
}

func (s *schema) keys() []string {
	keys := make([]string, len(s.fields))
	for i, f := range s.fields {
		keys[i] = f.key
	}
	return keys
}

var posType = reflect.TypeFor[Pos]()

func (f *File) schemaOf(t reflect.Type) *schema {
	s, ok := f.types[t]
	if !ok {
		s = newSchema(t)
		f.types[t] = s
	}
	return s
}

func newSchema(t reflect.Type) *schema {
	s := &schema{defaults: hasDefaults(t)}
	s.collect(t, nil)
	return s
}

var defaulterType = reflect.TypeFor[Defaulter]()

func hasDefaults(t reflect.Type) bool {
	if t.Kind() != reflect.Struct || isScalarType(t) {
		return false
	}
	if reflect.PointerTo(t).Implements(defaulterType) {
		return true
	}
	for i := range t.NumField() {
		if sf := t.Field(i); sf.IsExported() && hasDefaults(sf.Type) {
			return true
		}
	}
	return false
}

func (s *schema) collect(t reflect.Type, prefix []int) {
	for i := range t.NumField() {
		sf := t.Field(i)
		index := append(append([]int(nil), prefix...), i)
		name, options, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		switch {
		case options == "inline":
			if !sf.IsExported() || sf.Type.Kind() != reflect.Struct {
				panic(fmt.Sprintf("conf: %s.%s: only an exported struct can be inlined", t, sf.Name))
			}
			s.inline = append(s.inline, index)
			s.collect(sf.Type, index)
		case !sf.IsExported():
		case sf.Type == posType && (name == "-" || name == ""):
			s.pos = append(s.pos, index)
		case name == "-":
		default:
			if name == "" {
				name = strings.ToLower(sf.Name)
			}
			s.fields = append(s.fields, field{key: name, index: index, help: sf.Tag.Get("help")})
		}
	}
}

// keysOf returns every key that a struct type and the types in its fields
// know. Where YAML cannot be parsed, these are the only words an excerpt shows.
func keysOf(t reflect.Type) map[string]bool {
	keys, seen := map[string]bool{}, map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(t reflect.Type) {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			walk(t.Elem())
		case reflect.Struct:
			if seen[t] || isScalarType(t) {
				return
			}
			seen[t] = true
			s := newSchema(t)
			for _, f := range s.fields {
				keys[f.key] = true
				walk(t.FieldByIndex(f.index).Type)
			}
		}
	}
	walk(t)
	return keys
}
