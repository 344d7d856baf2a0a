package conf

import (
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Files returns the files that the configuration refers to by ${file:…}, sorted,
// whether they exist or not.
func (f *File) Files() []string {
	var files []string
	for n := range f.nodes() {
		for _, name := range referredFiles(n.Value) {
			files = append(files, f.Path(name))
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// referredFiles returns what the references to files in the text of a scalar
// name; it reads the text as expand does.
func referredFiles(text string) []string {
	var names []string
	for {
		_, rest, found := strings.Cut(text, "$")
		if !found {
			return names
		}
		text = rest
		switch {
		case strings.HasPrefix(rest, "$"):
			text = rest[1:]
		case strings.HasPrefix(rest, "{"):
			ref, behind, closed := strings.Cut(rest[1:], "}")
			if !closed {
				return names
			}
			if name, is := strings.CutPrefix(ref, "file:"); is && name != "" {
				names = append(names, name)
			}
			text = behind
		}
	}
}

// Digest is the same for files that say the same: comments, spacing and the
// form of quotes do not count, references (${NAME}) count as they are written,
// and secrets count as nothing, so that nobody can try them on it.
func (f *File) Digest() [sha256.Size]byte {
	if f.digest == nil {
		sum := f.sum()
		f.digest = &sum
	}
	return *f.digest
}

func (f *File) sum() (sum [sha256.Size]byte) {
	h := sha256.New()
	var buf []byte
	word := func(s string) {
		buf = binary.BigEndian.AppendUint64(buf, uint64(len(s)))
		buf = append(buf, s...)
	}
	// In this order kinds and numbers of children tell the whole tree.
	for n := range f.nodes() {
		buf = append(buf[:0], byte(n.Kind))
		word(n.Anchor)
		word(n.ShortTag())
		buf = binary.BigEndian.AppendUint64(buf, uint64(len(n.Content)))
		switch {
		case n.Kind != yaml.ScalarNode && n.Kind != yaml.AliasNode:
		case f.secret[n] || hasUserinfo(n.Value):
			word("***")
		default:
			word(n.Value)
		}
		h.Write(buf) // a hash never returns an error
	}
	h.Sum(sum[:0])
	return sum
}

// nodes yields the nodes of the text, parents before their children, in the
// order in which they are written.
func (f *File) nodes() iter.Seq[*yaml.Node] {
	if f.src == nil {
		return func(func(*yaml.Node) bool) {}
	}
	return f.src.each
}

// Forget drops the text and all that only decoding needs; it is several times as
// large as what was decoded. Digest, Path, Name and what has been found stay;
// Pos, Has and Files answer no more, and what is reported later has no excerpt.
func (f *File) Forget() {
	f.Digest()
	f.problems = f.Problems().list
	f.src, f.into = nil, nil
	f.pos, f.near, f.failed, f.started = placed{}, nearby{}, nil, nil
	f.shown, f.secret, f.pairs, f.types = shown{}, nil, known{}, nil
}
