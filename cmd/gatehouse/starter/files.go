package starter

import (
	"bytes"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// File is one file to write.
type File struct {
	// Path is relative to the directory of the configuration, with slashes.
	Path string
	Text []byte
	// About is a word on what is in it.
	About string
}

// The files, by their paths.
const (
	ConfigFile = "gatehouse.yaml"
	TestsFile  = "policy/tests.yaml"
	IgnoreFile = ".gitignore"
)

//go:embed gatehouse.yaml.tmpl
var configText string

//go:embed tests.yaml.tmpl
var testsText string

var (
	configTemplate = template.Must(template.New(ConfigFile).Funcs(funcs).Parse(configText))
	testsTemplate  = template.Must(template.New(TestsFile).Funcs(funcs).Parse(testsText))
	funcs          = template.FuncMap{"yaml": quote}
)

const ignoreText = "# keys, and what people have stored: not for version control\n/secrets/\n/data/\n"

// Files returns the files of a gateway.
func Files(s Setup) ([]File, error) {
	var config, tests bytes.Buffer
	err := errors.Join(configTemplate.Execute(&config, s), testsTemplate.Execute(&tests, s))
	if err != nil {
		return nil, fmt.Errorf("fill in templates: %w", err)
	}
	return []File{
		{ConfigFile, config.Bytes(), fmt.Sprintf("%d routes", strings.Count(config.String(), "\n  - name: "))},
		{TestsFile, tests.Bytes(), fmt.Sprintf("%d tests", strings.Count(tests.String(), "\n  - name: "))},
		{IgnoreFile, []byte(ignoreText), "secrets/, data/"},
	}, nil
}

// quote writes text as a YAML scalar in which nothing is expanded: as it stands
// where that is plain, else in quotes.
func quote(text string) string {
	plain := text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/:") == ""
	if plain && strings.Contains(text, "://") && !strings.HasSuffix(text, ":") {
		return text
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteString(`\` + string(r))
		case r == '$':
			b.WriteString("$$")
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String() + `"`
}

// Existing returns the files that are in dir already.
func Existing(dir string, files []File) ([]File, error) {
	var there []File
	for _, f := range files {
		_, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(f.Path)))
		if err == nil {
			there = append(there, f)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return there, nil
}

// Write makes dir, and the files in it: each whole or not at all, and none over
// one that is there. Where one cannot be written, those written before it are
// removed again. dir may be a link; below it none is followed.
func Write(dir string, files []File) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	var written []string
	for _, f := range files {
		name := filepath.FromSlash(f.Path)
		if err := create(root, name, f.Text); err != nil {
			for _, w := range written {
				err = errors.Join(err, root.Remove(w))
			}
			return fmt.Errorf("write %s: %w", filepath.Join(dir, name), err)
		}
		written = append(written, name)
	}
	return nil
}

// create writes a file that is not there yet. The name appears when the text is
// complete.
func create(root *os.Root, name string, text []byte) (err error) {
	folder := filepath.Dir(name)
	if err := makeFolder(root, folder); err != nil {
		return err
	}
	unfinished := filepath.Join(folder, ".gatehouse-"+rand.Text())
	tmp, err := root.OpenFile(unfinished, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = root.Remove(unfinished) }() // it has another name by now, or is of no use
	_, err = tmp.Write(text)
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	// Unlike a rename, a link is never made over another file.
	return root.Link(unfinished, name)
}

// makeFolder makes a folder of root. A root is never left by a link; this tells
// of one plainly, and of one that leads elsewhere in root.
func makeFolder(root *os.Root, folder string) error {
	info, err := root.Lstat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return root.Mkdir(folder, 0o755)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is there and is no folder, or a link to one", folder)
	}
	return nil
}
