package conf

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"gopkg.in/yaml.v3"
)

// Limits of what is read. They leave room for ten thousand routes that a program
// wrote, and keep a wrong path or an alias bomb from taking the memory of the
// machine.
const (
	maxFile  = 8 << 20 // bytes of the file
	maxValue = 1 << 20 // bytes of each ${file:…}
	maxNodes = 500_000 // YAML nodes visited, aliases counted each time
	maxDepth = 64      // maps and lists inside each other
)

// File is one configuration file that was read: where its values stand and
// what was found wrong. It is not safe for concurrent use.
type File struct {
	name string
	dir  string
	into any // keeps the struct alive whose addresses are the keys of pos
	src  *source

	pos     placed       // pointer to a field → where its value stands
	near    nearby       // pointer to an absent field → where its struct stands
	failed  map[any]bool // pointer to a field that could not be decoded
	started map[any]bool // pointer to a struct whose Defaults have run

	shown  shown               // scalars whose text may appear in an excerpt
	secret map[*yaml.Node]bool // scalars whose text must not, whatever shown says
	pairs  known
	types  map[reflect.Type]*schema
	digest *[sha256.Size]byte // once computed

	visited  int
	gaveUp   bool
	problems []Problem
	seen     map[string]bool
}

// Load reads the YAML file at path into the struct that into points to.
//
// The error is a *Problems with every mistake when the file could be read, and
// a one-sentence error (errors.Is fs.ErrNotExist and so on) when it could not.
// The File is non-nil whenever the file could be read, so that warnings and
// positions are at hand even beside an error; into is then half filled and
// must not be used. The caller must not copy into before asking for positions.
func Load(path string, into any) (*File, error) {
	text, err := readCapped(path, maxFile)
	if err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	return parse(path, filepath.Dir(path), text, into)
}

// Parse is Load for a text already in memory. name is what messages call the
// file; a relative ${file:…} is looked up beside it.
func Parse(name string, text []byte, into any) (*File, error) {
	return parse(name, filepath.Dir(name), bytes.Clone(text), into)
}

func parse(name, dir string, text []byte, into any) (*File, error) {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("conf: into must be a pointer to a struct, not %T", into))
	}
	f := &File{
		name: name, dir: dir, into: into,
		failed: map[any]bool{}, started: map[any]bool{}, secret: map[*yaml.Node]bool{},
		types: map[reflect.Type]*schema{}, seen: map[string]bool{},
	}
	if len(text) > maxFile {
		return f, f.only("the file is larger than 8 MiB")
	}
	if bytes.HasPrefix(text, []byte("\xff\xfe")) || bytes.HasPrefix(text, []byte("\xfe\xff")) {
		return f, f.only("the file is UTF-16; save it as UTF-8")
	}
	f.src = newSource(text)
	docs, err := readYAML(bytes.NewReader(text))
	if err != nil {
		f.syntaxError(text, err, keysOf(v.Elem().Type()))
		return f, f.Err()
	}
	f.document(docs, v.Elem())
	return f, f.Err()
}

// document decodes the first document and refuses any other: what stands
// behind a second "---" would silently not count.
func (f *File) document(docs []*yaml.Node, v reflect.Value) {
	root := &yaml.Node{Kind: yaml.MappingNode, Line: 1, Column: 1}
	if len(docs) > 0 && len(docs[0].Content) > 0 && !isNull(docs[0].Content[0]) {
		root = docs[0].Content[0]
	}
	f.src.docs = docs
	f.expect()
	if len(docs) > 1 {
		f.add(f.at(docs[1]), false, "a second YAML document begins here; the file must hold one")
	}
	f.decode(root, v, nil)
}

// readYAML returns the documents of r as nodes; a panic of the parser is an
// error like any other.
func readYAML(r io.Reader) (docs []*yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("yaml: the parser gave up")
		}
	}()
	dec := yaml.NewDecoder(r)
	for {
		var n yaml.Node
		if err := dec.Decode(&n); errors.Is(err, io.EOF) {
			return docs, nil
		} else if err != nil {
			return nil, err
		}
		docs = append(docs, &n)
	}
}

// readCapped returns the content of the file at path, at most limit bytes and
// one more, by which the caller sees that there was too much.
func readCapped(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	defer file.Close()
	var text bytes.Buffer
	if info, err := file.Stat(); err == nil {
		text.Grow(int(min(info.Size(), limit)) + bytes.MinRead)
	}
	if _, err := text.ReadFrom(io.LimitReader(file, limit+1)); err != nil {
		return nil, cause(err)
	}
	return text.Bytes(), nil
}

// cause drops the operation and the path that an *fs.PathError repeats.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Name returns the path as it was given to Load or Parse.
func (f *File) Name() string { return f.name }

// Path returns p itself when it is absolute or empty, else p seen from the
// folder of the configuration file: that is what relative paths in it mean.
func (f *File) Path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(f.dir, p)
}

// Pos returns where the value of a field stands. field is a pointer to a field
// inside the struct that was given to Load, or to an element of a slice in it,
// or what a map[string]*T holds; a Pos or *Pos is returned as it is. The
// answer is the zero Pos when the key is absent from the file.
func (f *File) Pos(field any) Pos {
	switch p := field.(type) {
	case Pos:
		return p
	case *Pos:
		return *p
	}
	at, _ := f.pos.find(field)
	return at.In(f.name)
}

// Has reports whether the file sets the field that the pointer names.
func (f *File) Has(field any) bool {
	_, ok := f.pos.find(field)
	return ok
}

// Report returns a Report for checks that need more than one section; what is
// reported appears in Err and Problems.
func (f *File) Report() *Report {
	return &Report{file: f, near: Pos{File: f.name}}
}

// Err returns a *Problems when there is at least one error, else nil: warnings
// alone do not stop anything.
func (f *File) Err() error {
	p := f.Problems()
	if len(p.Errors()) == 0 {
		return nil
	}
	return p
}

// Problems returns what has been found so far, in the order of the file.
func (f *File) Problems() *Problems {
	return newProblems(f)
}

func (f *File) only(message string) error {
	f.add(Pos{File: f.name}, false, message)
	return f.Err()
}

func (f *File) at(n *yaml.Node) Pos {
	return Pos{File: f.name, Line: n.Line, Column: n.Column}
}
