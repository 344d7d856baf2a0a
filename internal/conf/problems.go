package conf

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// maxShown bounds how many problems are rendered: a file that is not a
// configuration at all should not scroll the terminal away.
const maxShown = 100

// Problem is one mistake of a configuration file.
type Problem struct {
	// Pos is where it stands; Line is 0 when it concerns the whole file.
	Pos Pos
	// Message is one sentence without a full stop; never holds a secret.
	Message string
	// Help is what follows from it or what to do, printed below the excerpt;
	// may be empty or hold several lines.
	Help string
	// Warning is true when the file can be used all the same.
	Warning bool
	// Excerpt is the line with a caret below it, and the line before; secrets
	// are hidden in it. Empty when there is no line.
	Excerpt string
}

// String renders the problem as
//
//	gatehouse.yaml:21:5: unknown key "alow" in route "admin" — did you mean "allow"?
//	   20 |     match: { path: /admin/** }
//	   21 |     alow: { *** }
//	      |     ^^^^
//	  A route without "allow" protects nothing.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.Pos.File)
	if p.Pos.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Pos.Line, p.Pos.Column)
	}
	b.WriteString(": " + p.Message)
	if p.Warning {
		b.WriteString("  (warning)")
	}
	if p.Excerpt != "" {
		b.WriteString("\n" + p.Excerpt)
	}
	if p.Help != "" {
		b.WriteString("\n  " + strings.ReplaceAll(p.Help, "\n", "\n  "))
	}
	return b.String()
}

// Problems is every mistake of one file, sorted by position. As an error it
// prints all of them and ends with their number.
type Problems struct {
	list []Problem
}

func newProblems(f *File) *Problems {
	p := &Problems{list: slices.Clone(f.problems)}
	slices.SortStableFunc(p.list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
	for i := range p.list {
		if i < maxShown && p.list[i].Excerpt == "" && f.src != nil {
			p.list[i].Excerpt = f.excerpt(p.list[i].Pos)
		}
	}
	return p
}

// Errors returns the problems that keep the file from being used.
func (p *Problems) Errors() []Problem { return p.only(false) }

// Warnings returns the problems that do not.
func (p *Problems) Warnings() []Problem { return p.only(true) }

func (p *Problems) only(warning bool) []Problem {
	var out []Problem
	for _, x := range p.list {
		if x.Warning == warning {
			out = append(out, x)
		}
	}
	return out
}

// Error renders all problems, warnings among them, and their number.
func (p *Problems) Error() string {
	var b strings.Builder
	for i, x := range p.list {
		if i == maxShown {
			fmt.Fprintf(&b, "and %d more\n\n", len(p.list)-maxShown)
			break
		}
		b.WriteString(x.String() + "\n\n")
	}
	b.WriteString(count(len(p.Errors()), "error"))
	if n := len(p.Warnings()); n > 0 {
		b.WriteString(", " + count(n, "warning"))
	}
	return b.String()
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Defaulter is a struct that knows its defaults. Defaults is called before the
// keys of the struct are decoded, outer structs first, and also when the key
// of the struct is absent from the file.
type Defaulter interface{ Defaults() }

// Checker is a value that can judge itself once it is decoded. Check is called
// after the keys of the value and its own children have been decoded and
// checked; it is not called on a struct whose key is absent.
type Checker interface{ Check(r *Report) }

// Report takes what a Checker finds.
type Report struct {
	file *File
	near Pos // stands in for fields that are absent
}

// Errorf records an error at field: a pointer to a decoded field, or a Pos. An
// absent field is reported at the struct that lacks it. Text after a line
// break is printed below the excerpt as help. Nothing is recorded when field
// itself could not be decoded: that mistake has been told.
func (r *Report) Errorf(field any, format string, a ...any) {
	r.add(field, false, fmt.Sprintf(format, a...))
}

// Warnf is Errorf for what is allowed but probably not meant.
func (r *Report) Warnf(field any, format string, a ...any) {
	r.add(field, true, fmt.Sprintf(format, a...))
}

// Has reports whether the file sets the field that the pointer names.
func (r *Report) Has(field any) bool { return r.file.Has(field) }

// Failed reports whether the field that the pointer names was set to something
// that could not be decoded, or was probably meant by a misspelt key.
func (r *Report) Failed(field any) bool { return r.file.failed[field] }

// Path is File.Path: a path of the file, seen from the file's own folder.
func (r *Report) Path(p string) string { return r.file.Path(p) }

func (r *Report) add(field any, warning bool, message string) {
	if _, isPos := field.(Pos); !isPos && r.file.failed[field] {
		return
	}
	pos := r.file.Pos(field)
	if pos.Line == 0 {
		pos = r.file.near.find(field).In(r.file.name)
	}
	if pos.Line == 0 {
		pos = r.near
	}
	r.file.add(pos, warning, message)
}

// add records a problem once: an anchor used five times is one mistake.
func (f *File) add(pos Pos, warning bool, message string) {
	message, help, _ := strings.Cut(message, "\n")
	key := fmt.Sprint(pos.Line, ":", pos.Column, ":", message)
	if f.seen[key] {
		return
	}
	f.seen[key] = true
	f.problems = append(f.problems, Problem{Pos: pos, Message: message, Help: help, Warning: warning})
}
