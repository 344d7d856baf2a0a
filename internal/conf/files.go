package conf

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Files returns the files that the configuration refers to by ${file:…}, sorted,
// whether they exist or not.
func (f *File) Files() []string {
	var files []string
	for _, n := range f.nodes() {
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
	h := sha256.New()
	word := func(s string) {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(s)))
		h.Write(length[:]) // a hash never returns an error
		io.WriteString(h, s)
	}
	// In this order kinds and numbers of children tell the whole tree.
	for _, n := range f.nodes() {
		h.Write([]byte{byte(n.Kind)})
		word(n.Anchor)
		word(n.ShortTag())
		binary.Write(h, binary.BigEndian, int64(len(n.Content)))
		switch {
		case n.Kind != yaml.ScalarNode && n.Kind != yaml.AliasNode:
		case f.secret[n] || hasUserinfo(n.Value):
			word("***")
		default:
			word(n.Value)
		}
	}
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	return sum
}

// nodes returns the nodes of the text, parents before their children, in the
// order in which they are written.
func (f *File) nodes() []*yaml.Node {
	if f.src == nil {
		return nil
	}
	return f.src.nodes
}
