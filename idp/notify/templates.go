package notify

import (
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"
)

// english is the language that has every text.
const english = "en"

//go:embed templates
var embedded embed.FS

// The texts of a kind: what stands behind its name in that of a file.
const (
	partSubject = ".subject.txt"
	partText    = ".txt"
	partHTML    = ".html"
	partSMS     = ".sms.txt"
)

// maxTemplate bounds one file, maxText what a template may write.
const (
	maxTemplate = 256 << 10
	maxText     = 512 << 10
)

// Templates are the texts of all messages. They are safe for concurrent use.
type Templates struct {
	// texts are parsed plain texts by "lang/kind.part", pages the HTML ones.
	texts map[string]*template.Template
	pages map[string]*htmltemplate.Template
}

// NewTemplates returns our texts, with those of directory dir in place of ours;
// "" for none. A file is called KIND.subject.txt, KIND.txt, KIND.html or
// KIND.sms.txt and stands in dir/LANG, or in dir itself for English, which is also
// the language of whoever's has no texts. All are parsed and filled in with
// examples; the error joins whatever is wrong, one line for each file.
func NewTemplates(dir string) (*Templates, error) {
	ours, err := fs.Sub(embedded, "templates")
	if err != nil {
		return nil, err
	}
	t := &Templates{texts: map[string]*template.Template{}, pages: map[string]*htmltemplate.Template{}}
	layout, err := fs.ReadFile(ours, "layout.html")
	if err != nil {
		return nil, err
	}
	if err := t.read(ours, string(layout)); err != nil {
		return nil, err
	}
	if dir == "" {
		return t, nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is no directory", dir)
	}
	if err := t.read(os.DirFS(dir), string(layout)); err != nil {
		return nil, err
	}
	return t, t.try()
}

var langForm = regexp.MustCompile(`^[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*$`)

// read parses the files of one tree over what is there.
func (t *Templates) read(from fs.FS, layout string) error {
	var errs []error
	err := fs.WalkDir(from, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		lang, base := path.Split(name)
		lang = strings.TrimSuffix(lang, "/")
		switch {
		case name == ".", name == "layout.html":
		case strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
		case d.IsDir() && !langForm.MatchString(name):
			errs = append(errs, fmt.Errorf("%s: a folder here is a language, such as en", name))
			return fs.SkipDir
		case d.IsDir():
		default:
			if err := t.parse(from, lang, base, layout); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
		}
		return nil
	})
	return errors.Join(append(errs, err)...)
}

func (t *Templates) parse(from fs.FS, lang, base, layout string) error {
	kind, part, found := strings.Cut(base, ".")
	part = "." + part
	if !found || kinds[Kind(kind)].channels == nil || !slices.Contains([]string{partSubject, partText, partHTML, partSMS}, part) {
		return errors.New("no message has a text of that name; it is KIND.subject.txt, KIND.txt, KIND.html or KIND.sms.txt")
	}
	text, err := fs.ReadFile(from, path.Join(lang, base))
	if err != nil {
		return err
	}
	if len(text) > maxTemplate {
		return fmt.Errorf("it has %d bytes, at most %d", len(text), maxTemplate)
	}
	if lang == "" {
		lang = english
		if _, err := fs.Stat(from, path.Join(lang, base)); err == nil {
			return errors.New("it stands in en/ too; leave one of them")
		}
	}
	key := path.Join(lang, base)
	if part != partHTML {
		one, err := template.New(base).Option("missingkey=error").Parse(string(text))
		if err == nil {
			t.texts[key] = one
		}
		return err
	}
	funcs := htmltemplate.FuncMap{"button": func(v view, label string) view { v.Label = label; return v }}
	one, err := htmltemplate.New("layout").Funcs(funcs).Parse(layout)
	if err != nil {
		return err
	}
	if one, err = one.New(base).Parse(string(text)); err == nil {
		t.pages[key] = one
	}
	return err
}

// languages returns where the texts of a language are looked for, best first.
func languages(lang string) []string {
	var all []string
	lang = strings.ReplaceAll(lang, "_", "-")
	if langForm.MatchString(lang) {
		all = append(all, lang)
		if base, _, more := strings.Cut(lang, "-"); more {
			all = append(all, base)
		}
	}
	return append(all, english)
}

// find returns the best text for a language, and the language it is in.
func find[T any](among map[string]T, lang, file string) (T, string, error) {
	for _, l := range languages(lang) {
		if one, ok := among[path.Join(l, file)]; ok {
			return one, l, nil
		}
	}
	var none T
	return none, "", fmt.Errorf("there is no text %s", file)
}

// Render returns the letter of a message at a time.
func (t *Templates) Render(m Message, now time.Time) (Letter, error) {
	l, err := t.render(m, now)
	if err != nil {
		return Letter{}, fmt.Errorf("write message %s: %w", m.Kind, err)
	}
	return l, nil
}

func (t *Templates) render(m Message, now time.Time) (Letter, error) {
	l := Letter{Kind: m.Kind, Channel: m.Channel, To: m.To, Code: m.Data.Code, Link: m.Data.Link}
	part := partText
	if m.Channel == SMS {
		part = partSMS
	}
	body, lang, err := find(t.texts, m.Lang, string(m.Kind)+part)
	if err != nil {
		return Letter{}, err
	}
	l.Lang = lang
	v := viewOf(m, lang, now)
	if l.Text, err = fill(body, v); err != nil {
		return Letter{}, err
	}
	l.Text = paragraphs(l.Text)
	if m.Channel == SMS {
		return l, nil
	}
	subject, _, err := find(t.texts, m.Lang, string(m.Kind)+partSubject)
	if err != nil {
		return Letter{}, err
	}
	if l.Subject, err = fill(subject, v); err != nil {
		return Letter{}, err
	}
	l.Subject = printable(strings.Join(strings.Fields(l.Subject), " "))
	if l.Subject == "" {
		return Letter{}, errors.New("the subject is empty")
	}
	page, _, err := find(t.pages, m.Lang, string(m.Kind)+partHTML)
	if err != nil {
		return Letter{}, err
	}
	v.Subject = l.Subject
	v.Preheader, _, _ = strings.Cut(l.Text, "\n")
	l.HTML, err = fill(page, v)
	return l, err
}

// fill runs a template of either kind.
func fill(t interface{ Execute(io.Writer, any) error }, v view) (string, error) {
	var b bounded
	err := t.Execute(&b, v)
	return b.String(), err
}

// bounded takes maxText bytes.
type bounded struct{ strings.Builder }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxText {
		return 0, fmt.Errorf("the text is longer than %d bytes", maxText)
	}
	return b.Builder.Write(p)
}

var manyLines = regexp.MustCompile(`\n{3,}`)

// paragraphs leaves one empty line between paragraphs, and one line feed at the
// end.
func paragraphs(text string) string {
	return strings.TrimSpace(manyLines.ReplaceAllString(text, "\n\n")) + "\n"
}

// try fills in every text with examples.
func (t *Templates) try() error {
	var errs []error
	for _, kind := range Kinds() {
		for _, m := range Samples(kind) {
			for _, lang := range t.known() {
				m.Lang = lang
				if _, err := t.Render(m, m.Data.At); err != nil {
					errs = append(errs, err)
				}
			}
		}
	}
	return errors.Join(errs...)
}

// known returns the languages that have a text.
func (t *Templates) known() []string {
	all := []string{english}
	add := func(key string) {
		if lang := path.Dir(key); lang != "." && !slices.Contains(all, lang) {
			all = append(all, lang)
		}
	}
	for key := range t.texts {
		add(key)
	}
	for key := range t.pages {
		add(key)
	}
	slices.Sort(all)
	return all
}
