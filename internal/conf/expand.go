package conf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"
)

var (
	envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	// onlyReference is a whole value that names where a secret is kept and
	// holds nothing of it.
	onlyReference = regexp.MustCompile(`^\$\{(?:[A-Z_][A-Z0-9_]*|file:[^}]*)\}$`)
)

// expand returns the value of a scalar with ${NAME}, ${NAME:-default},
// ${file:/path} and $$ replaced. This happens after parsing, so that no value
// can add keys; what a reference yields is not expanded again. Messages name
// the variable or the file, never what it holds.
func (f *File) expand(y *yaml.Node, at *path) (string, bool) {
	if strings.IndexByte(y.Value, '$') < 0 {
		return y.Value, true
	}
	var out strings.Builder
	for rest := y.Value; ; {
		i := strings.IndexByte(rest, '$')
		if i < 0 || i+1 == len(rest) {
			out.WriteString(rest)
			return out.String(), true
		}
		out.WriteString(rest[:i])
		rest = rest[i:]
		switch rest[1] {
		case '$':
			out.WriteByte('$')
			rest = rest[2:]
		case '{':
			end := strings.IndexByte(rest, '}')
			if end < 0 {
				f.add(f.at(y), false, at.lead()+`"${" without "}"; write $$ for a dollar sign`)
				return "", false
			}
			value, err := f.reference(rest[2:end])
			if err != nil {
				f.add(f.at(y), false, err.Error()+at.usedBy())
				return "", false
			}
			out.WriteString(value)
			rest = rest[end+1:]
		default:
			out.WriteByte('$')
			rest = rest[1:]
		}
	}
}

// reference returns what the text between "${" and "}" stands for.
func (f *File) reference(ref string) (string, error) {
	if file, ok := strings.CutPrefix(ref, "file:"); ok {
		return f.contentOf(file)
	}
	name, fallback, hasFallback := strings.Cut(ref, ":-")
	if !envName.MatchString(name) {
		return "", errors.New("${…} must hold NAME, NAME:-default or file:/path; write $$ for a dollar sign")
	}
	value, set := os.LookupEnv(name)
	switch {
	case hasFallback && value == "":
		return fallback, nil
	case !set:
		return "", fmt.Errorf("environment variable %s is not set", name)
	}
	return value, nil
}

// contentOf reads a file that a reference names. One trailing line break is
// dropped: editors and echo add it, and no secret ends in one. Only regular
// files are read, for a pipe could block the start for ever.
func (f *File) contentOf(name string) (string, error) {
	if name == "" {
		return "", errors.New("${file:} names no file")
	}
	name = f.Path(name)
	info, err := os.Stat(name)
	if err != nil {
		return "", fmt.Errorf("cannot read %s: %w", name, cause(err))
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("cannot read %s: %w", name, notRegular(info.Mode()))
	}
	text, err := readCapped(name, maxValue)
	if err != nil {
		return "", fmt.Errorf("cannot read %s: %w", name, err)
	}
	if len(text) > maxValue {
		return "", fmt.Errorf("cannot read %s: it is larger than 1 MiB", name)
	}
	s := strings.TrimSuffix(string(text), "\n")
	return strings.TrimSuffix(s, "\r"), nil
}

func notRegular(mode fs.FileMode) error {
	if mode.IsDir() {
		return errors.New("it is a folder")
	}
	return errors.New("it is not a regular file")
}
