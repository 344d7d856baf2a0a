package conf

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

// pair is one key of a map with its value.
type pair struct{ key, value *yaml.Node }

// decode reads y into v, which is addressable, and reports whether it fits.
// What does not fit has been recorded.
func (f *File) decode(y *yaml.Node, v reflect.Value, at *path) bool {
	y = resolve(y)
	self := v.Addr().Interface()
	f.pos.add(self, spotOf(y))
	if v.Type() == secretType {
		f.hide(y)
	}
	if !f.enter(y, at) {
		f.failed[self] = true
		return false
	}
	f.start(v)
	ok, judge := f.fill(y, v, self, at)
	f.setPos(v, f.at(y))
	if !ok {
		f.failed[self] = true
	}
	if judge {
		f.check(self, y)
	}
	return ok
}

// decodeNode is decode for an Unmarshaler that asks for a part of its node, or
// for itself by its tags.
func (f *File) decodeNode(n *Node, into any) bool {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		panic(fmt.Sprintf("conf: Decode needs a pointer, not %T", into))
	}
	if into == n.self {
		ok, _ := f.fillKind(n.yaml, v.Elem(), into, n.at)
		return ok
	}
	return f.decode(n.yaml, v.Elem(), n.at)
}

// enter counts the visit and refuses what no person would write. It then
// refuses all the rest as well: a list that holds itself has no end.
func (f *File) enter(y *yaml.Node, at *path) bool {
	f.visited++
	switch {
	case f.gaveUp:
	case f.visited > maxNodes:
		f.add(f.at(y), false, fmt.Sprintf("the file holds more than %d values once its aliases are followed", maxNodes))
		f.gaveUp = true
	case at.level() > maxDepth:
		f.add(f.at(y), false, fmt.Sprintf("maps and lists are nested more than %d deep here", maxDepth))
		f.gaveUp = true
	}
	return !f.gaveUp
}

// start runs the Defaults of v and of the structs in it once, outermost first.
func (f *File) start(v reflect.Value) {
	if v.Kind() != reflect.Struct || isScalarType(v.Type()) || !f.schemaOf(v.Type()).defaults {
		return
	}
	self := v.Addr().Interface()
	if f.started[self] {
		return
	}
	f.started[self] = true
	if d, ok := self.(Defaulter); ok {
		d.Defaults()
	}
	for i := range v.NumField() {
		if v.Type().Field(i).IsExported() {
			f.start(v.Field(i))
		}
	}
}

func (f *File) setPos(v reflect.Value, pos Pos) {
	if v.Kind() != reflect.Struct || isScalarType(v.Type()) || v.Type() == posType {
		return
	}
	for _, index := range f.schemaOf(v.Type()).pos {
		*v.FieldByIndex(index).Addr().Interface().(*Pos) = pos
	}
}

func (f *File) check(self any, y *yaml.Node) {
	if c, ok := self.(Checker); ok {
		c.Check(&Report{file: f, near: f.at(y)})
	}
}

// fill reports whether y fits v, and whether v holds enough to be checked.
// self is the pointer to v.
func (f *File) fill(y *yaml.Node, v reflect.Value, self any, at *path) (ok, judge bool) {
	if y.Style&yaml.TaggedStyle != 0 {
		f.add(f.at(y), false, at.lead()+"YAML tags are not supported; a value that begins with ! must be quoted")
		return false, false
	}
	if isNull(y) && v.Kind() != reflect.Interface {
		f.add(f.at(y), false, at.lead()+"has no value; remove the key, or quote a value that begins with #, & or ~")
		return false, false
	}
	if u, is := self.(Unmarshaler); is {
		f.setPos(v, f.at(y))
		n := &Node{file: f, yaml: y, at: at, self: self}
		u.UnmarshalConf(n)
		return !n.bad, !n.bad
	}
	return f.fillKind(y, v, self, at)
}

func (f *File) fillKind(y *yaml.Node, v reflect.Value, self any, at *path) (ok, judge bool) {
	if _, is := self.(encoding.TextUnmarshaler); is || isScalarType(v.Type()) {
		ok = f.scalar(y, v, at)
		return ok, ok
	}
	switch v.Kind() {
	case reflect.Pointer:
		ok = f.pointer(y, v, at)
	case reflect.Struct:
		return f.structure(y, v, at)
	case reflect.Slice:
		ok = f.slice(y, v, at)
	case reflect.Map:
		ok = f.mapping(y, v, at)
	case reflect.Interface:
		x, fine := f.plain(y, at)
		if x != nil {
			v.Set(reflect.ValueOf(x))
		}
		ok = fine
	default:
		ok = f.scalar(y, v, at)
	}
	return ok, ok
}

// pointer decodes into a new value. A struct that is partly wrong is kept, so
// that checks can go on; a scalar that is wrong stays nil.
func (f *File) pointer(y *yaml.Node, v reflect.Value, at *path) bool {
	p := reflect.New(v.Type().Elem())
	ok := f.decode(y, p.Elem(), at)
	if ok || p.Elem().Kind() == reflect.Struct && !isScalarType(p.Elem().Type()) {
		v.Set(p)
	}
	return ok
}

func (f *File) structure(y *yaml.Node, v reflect.Value, at *path) (ok, judge bool) {
	if !f.want(y, Map, at) {
		return false, false
	}
	s := f.schemaOf(v.Type())
	ok = true
	for _, p := range f.pairsOf(y) {
		key, known := s.find(p.key.Value)
		switch {
		case known:
			f.show(p.key)
			ok = f.decode(p.value, v.FieldByIndex(key.index), at.key(key.key)) && ok
		case strings.HasPrefix(p.key.Value, "x-"):
			if safeKey(p.key.Value) == p.key.Value {
				f.show(p.key)
			}
		default:
			ok = false
			f.misspelt(p.key, v, s, at)
		}
	}
	f.near.add(decoded{v, s, spotOf(y)})
	for _, index := range s.inline {
		f.check(v.FieldByIndex(index).Addr().Interface(), y)
	}
	return ok, true
}

// misspelt records an unknown key. The field it was probably meant for counts
// as told of, so that a check does not call it missing as well.
func (f *File) misspelt(key *yaml.Node, v reflect.Value, s *schema, at *path) {
	help := ""
	if meant, ok := s.find(Suggest(safeKey(key.Value), s.keys())); ok {
		help = meant.help
		f.failed[v.FieldByIndex(meant.index).Addr().Interface()] = true
	}
	f.unknownKey(key, at, s.keys(), help)
}

var word = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,40}`)

// safeKey returns as much of a key as may be printed: "client_secret:hunter2",
// with the space forgotten, is one word to YAML.
func safeKey(key string) string { return word.FindString(key) }

func (f *File) unknownKey(key *yaml.Node, at *path, known []string, help string) {
	name := safeKey(key.Value)
	message := fmt.Sprintf("unknown key %q", name)
	switch {
	case name == key.Value:
		f.show(key)
		message += at.in() + didYouMean(name, known)
	case strings.HasPrefix(key.Value[len(name):], ":"):
		message = fmt.Sprintf("a space is missing after %q", name+":") + at.in()
	default:
		message = fmt.Sprintf("unknown key that begins with %q", name) + at.in()
	}
	if help == "" && Suggest(name, known) == "" && len(known) > 0 && len(known) <= 16 {
		help = "Keys here: " + strings.Join(known, ", ") + "."
	}
	if help != "" {
		message += "\n" + help
	}
	f.add(f.at(key), false, message)
}

// slice decodes a list; a scalar is a list of one.
func (f *File) slice(y *yaml.Node, v reflect.Value, at *path) bool {
	items := y.Content
	if y.Kind == yaml.ScalarNode {
		items = []*yaml.Node{y}
	} else if !f.want(y, List, at) {
		return false
	}
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	ok := true
	for i, c := range items {
		where := at
		if y.Kind == yaml.SequenceNode {
			where = at.nth(i, resolve(c))
		}
		ok = f.decode(c, v.Index(i), where) && ok
	}
	return ok
}

func (f *File) mapping(y *yaml.Node, v reflect.Value, at *path) bool {
	if v.Type().Key().Kind() != reflect.String {
		panic(fmt.Sprintf("conf: %s: keys must be strings", v.Type()))
	}
	if !f.want(y, Map, at) {
		return false
	}
	v.Set(reflect.MakeMap(v.Type()))
	ok := true
	for _, p := range f.pairsOf(y) {
		f.show(p.key)
		e := reflect.New(v.Type().Elem()).Elem()
		ok = f.decode(p.value, e, at.key(p.key.Value)) && ok
		v.SetMapIndex(reflect.ValueOf(p.key.Value).Convert(v.Type().Key()), e)
	}
	return ok
}

// plain decodes into what encoding/json would give for the same data, but for
// integers, which are int: maps, lists, strings, numbers, booleans, nil.
func (f *File) plain(y *yaml.Node, at *path) (any, bool) {
	y = resolve(y)
	if !f.enter(y, at) {
		return nil, false
	}
	ok := true
	switch y.Kind {
	case yaml.MappingNode:
		m := map[string]any{}
		for _, p := range f.pairsOf(y) {
			f.show(p.key)
			x, fine := f.plain(p.value, at.key(p.key.Value))
			m[p.key.Value] = x
			ok = ok && fine
		}
		return m, ok
	case yaml.SequenceNode:
		list := make([]any, len(y.Content))
		for i, c := range y.Content {
			x, fine := f.plain(c, at.nth(i, resolve(c)))
			list[i] = x
			ok = ok && fine
		}
		return list, ok
	}
	return f.plainScalar(y, at)
}

func (f *File) plainScalar(y *yaml.Node, at *path) (any, bool) {
	f.show(y)
	switch tag := y.ShortTag(); tag {
	case "!!null":
		return nil, true
	case "!!bool", "!!int", "!!float":
		var x any
		if err := y.Decode(&x); err != nil {
			f.add(f.at(y), false, at.lead()+"not a number that can be held")
			return nil, false
		}
		return x, true
	}
	return f.expand(y, at)
}

func (f *File) want(y *yaml.Node, kind Kind, at *path) bool {
	got := kindOf(y)
	if got == kind {
		return true
	}
	f.add(f.at(y), false, fmt.Sprintf("%swant %s, got %s", at.lead(), kind, got))
	return false
}

// show lets the text of a scalar appear in excerpts, unless it is a secret.
func (f *File) show(y *yaml.Node) { f.shown.add(y) }

// hide keeps every scalar below y out of excerpts, whoever else shows it.
func (f *File) hide(y *yaml.Node) {
	y = resolve(y)
	if f.secret[y] {
		return
	}
	f.secret[y] = true
	for _, c := range y.Content {
		f.hide(c)
	}
}
