package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"unicode/utf8"

	"gatehouse/internal/conf"
)

const (
	maxData      = 16 << 20 // bytes of a file of policy.data
	maxDataDepth = 100      // lists and objects inside each other
)

// readData reads the files of policy.data. All that cannot be read is reported
// together.
func (s *Sources) readData() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.cfg.Data)) {
		if problem := dataProblem(name, s.cfg.Data[name]); problem != "" {
			errs = append(errs, &Error{s.cfg.Pos, errors.New("policy.data: " + problem)})
			continue
		}
		path := beside(s.cfg.Pos, s.cfg.Data[name])
		text, err := readRegular(path, maxData)
		if err != nil {
			errs = append(errs, s.dataError(name, err))
			continue
		}
		s.data = append(s.data, sourceFile{path: path, name: name, text: string(text)})
	}
	return errors.Join(errs...)
}

// decodeData decodes the files of policy.data; each is a source of its own. All
// mistakes are reported together.
func (s *Sources) decodeData() ([]source, error) {
	var sources []source
	var errs []error
	for _, f := range s.data {
		value, err := f.decode()
		if err != nil {
			errs = append(errs, s.dataError(f.name, err))
			continue
		}
		sources = append(sources, source{
			name: "policy.data." + f.name, pos: s.cfg.Pos, files: []string{f.path},
			data: map[string]any{f.name: value}, roots: []root{{path: []string{f.name}, what: "data." + f.name}},
		})
	}
	return sources, errors.Join(errs...)
}

func (s *Sources) dataError(name string, err error) error {
	return &Error{s.cfg.Pos, fmt.Errorf("read policy.data.%s: %w", name, err)}
}

// decode returns the one value that the JSON or YAML file holds.
func (f sourceFile) decode() (any, error) {
	if filepath.Ext(f.path) == ".json" {
		return decodeJSON(f.path, []byte(f.text))
	}
	return conf.Data(f.path, []byte(f.text))
}

// readRegular returns the content of a regular file of at most limit bytes. A
// pipe or a device could keep whoever opens it waiting for ever.
func readRegular(file string, limit int64) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("read %s: more than %d bytes", file, limit)
	}
	return text, nil
}

// decodeJSON returns the one JSON value (RFC 8259) that text is, with numbers as
// json.Number. Names repeated in an object and bytes that are not UTF-8 are
// errors: readers differ on what they mean. Errors show no value.
func decodeJSON(file string, text []byte) (any, error) {
	at := func(offset int64, what string) error {
		before := text[:min(max(offset, 0), int64(len(text)))]
		line := 1 + bytes.Count(before, []byte("\n"))
		return fmt.Errorf("%s:%d: %s", file, line, what)
	}
	if !utf8.Valid(text) {
		return nil, at(0, "the file is not UTF-8")
	}
	var whole json.RawMessage
	if err := json.Unmarshal(text, &whole); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, at(syntax.Offset, "this is not one JSON value")
		}
		return nil, at(0, "this is not one JSON value")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	v, err := strictValue(dec, 0)
	if err != nil {
		return nil, at(dec.InputOffset(), err.Error())
	}
	return v, nil
}

// strictValue reads the next value of dec, whose text is known to be JSON.
func strictValue(dec *json.Decoder, depth int) (any, error) {
	if depth > maxDataDepth {
		return nil, fmt.Errorf("lists and objects are nested more than %d deep here", maxDataDepth)
	}
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			v, err := strictValue(dec, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = dec.Token()
		return list, err
	case json.Delim('{'):
		return strictObject(dec, depth)
	}
	return t, nil
}

func strictObject(dec *json.Decoder, depth int) (any, error) {
	object := map[string]any{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, _ := t.(string) // the text is JSON
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("the name %s is written twice in one object", plain(name))
		}
		if object[name], err = strictValue(dec, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := dec.Token()
	return object, err
}
