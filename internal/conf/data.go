package conf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"gopkg.in/yaml.v3"
)

const (
	maxDataValues = 2_000_000 // values of a data file, aliases counted each time
	maxDataDepth  = 100       // maps and lists inside each other
	maxDataTold   = 10        // mistakes that are told
)

// jsonNumber is a number as JSON writes it (RFC 8259 §6): the only form whose
// meaning all readers agree on.
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// Data reads one YAML document that is data, not configuration, as
// encoding/json would read it: map[string]any, []any, string, bool, nil, and
// numbers as json.Number in the text of the file. References (${NAME}) mean
// nothing in it; a date is a string.
//
// It is as strict as a configuration: keys written twice, a second document,
// tags, and numbers that JSON does not know (017, 0x1F, 1_000, .inf) are
// errors. The error names each mistake with name, line and column, and shows no
// value of the file. Bounding the size of text is the caller's.
func Data(name string, text []byte) (any, error) {
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		return nil, fmt.Errorf("%s: the file is UTF-16; save it as UTF-8", name)
	}
	f := &File{
		name: name, src: newSource(text),
		secret: map[*yaml.Node]bool{}, seen: map[string]bool{},
	}
	docs, err := readYAML(bytes.NewReader(text))
	switch {
	case err != nil:
		f.syntaxError(text, err, map[string]bool{})
	case len(docs) == 0 || len(docs[0].Content) == 0:
		return nil, fmt.Errorf("%s: the file is empty", name)
	case len(docs) > 1:
		f.add(f.at(docs[1]), false, "a second YAML document begins here; the file must hold one")
	}
	if err := f.told(); err != nil {
		return nil, err
	}
	d := data{file: f}
	v := d.value(docs[0].Content[0], 0)
	return v, f.told()
}

// told returns what has been found as one error of a line for each mistake.
func (f *File) told() error {
	var errs []error
	for i, p := range f.Problems().Errors() {
		if i == maxDataTold {
			errs = append(errs, errors.New("and more"))
			break
		}
		errs = append(errs, fmt.Errorf("%s:%d:%d: %s", p.Pos.File, p.Pos.Line, p.Pos.Column, p.Message))
	}
	return errors.Join(errs...)
}

// data walks the nodes of one document.
type data struct {
	file    *File
	visited int
	gaveUp  bool
}

// value returns what y holds; what cannot be read is recorded and nil.
func (d *data) value(y *yaml.Node, depth int) any {
	y = resolve(y)
	if !d.enter(y, depth) {
		return nil
	}
	if y.Style&yaml.TaggedStyle != 0 {
		d.errorf(y, "YAML tags are not supported; a value that begins with ! must be quoted")
		return nil
	}
	switch y.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(y.Content)/2)
		for _, p := range d.file.pairsOf(y) {
			m[p.key.Value] = d.value(p.value, depth+1)
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, 0, len(y.Content))
		for _, c := range y.Content {
			list = append(list, d.value(c, depth+1))
		}
		return list
	default:
		return d.scalar(y)
	}
}

func (d *data) enter(y *yaml.Node, depth int) bool {
	d.visited++
	switch {
	case d.gaveUp:
	case d.visited > maxDataValues:
		d.errorf(y, "the file holds more than %d values once its aliases are followed", maxDataValues)
		d.gaveUp = true
	case depth > maxDataDepth:
		d.errorf(y, "maps and lists are nested more than %d deep here", maxDataDepth)
		d.gaveUp = true
	}
	return !d.gaveUp
}

func (d *data) scalar(y *yaml.Node) any {
	switch y.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return y.Value == "true" || y.Value == "True" || y.Value == "TRUE"
	case "!!int", "!!float":
		if !jsonNumber.MatchString(y.Value) {
			d.errorf(y, "a number that JSON does not know; write it in decimal, or quote it")
			return nil
		}
		return json.Number(y.Value)
	default:
		return y.Value
	}
}

func (d *data) errorf(y *yaml.Node, format string, a ...any) {
	d.file.add(d.file.at(y), false, fmt.Sprintf(format, a...))
}
