package watch

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Limits of one look: how many files and folders, how large a file may be whose
// content is compared, and how much content in all. Of what goes beyond them
// size, time of change and inode are compared; files beyond maxEntries are not
// seen.
const (
	maxEntries = 10_000
	maxHashed  = 1 << 20
	maxRead    = 64 << 20
)

// Sight is what a set of files and directories looked like. It is not safe for
// concurrent use.
type Sight struct {
	seen map[string][sha256.Size]byte
	left look
}

// look is what is left of the limits.
type look struct {
	entries int
	bytes   int64
}

// Look takes a Sight of files and directories; what does not exist is part of
// it. Of a directory all below it counts, names that begin with a dot aside.
// Take it before reading the files: a change in between is then seen.
func Look(paths ...string) *Sight {
	s := &Sight{seen: map[string][sha256.Size]byte{}, left: look{maxEntries, maxRead}}
	s.Add(paths...)
	return s
}

// Add looks at further paths; those that are part of the Sight stay as they
// were seen. An empty path is none.
func (s *Sight) Add(paths ...string) {
	for _, path := range paths {
		if path == "" {
			continue
		}
		path = filepath.Clean(path)
		if _, known := s.seen[path]; !known {
			s.seen[path] = s.left.digest(path)
		}
	}
}

// Paths returns what was looked at, in alphabetical order.
func (s *Sight) Paths() []string { return slices.Sorted(maps.Keys(s.seen)) }

// Join adds what other has seen and s has not.
func (s *Sight) Join(other *Sight) {
	for path, digest := range other.seen {
		if _, known := s.seen[path]; !known {
			s.seen[path] = digest
		}
	}
}

// Sum is the same for Sights of the same paths that saw the same.
func (s *Sight) Sum() string {
	h := sha256.New()
	for _, path := range s.Paths() {
		word(h, path)
		digest := s.seen[path]
		h.Write(digest[:])
	}
	return string(h.Sum(nil))
}

// again looks at the same paths now.
func (s *Sight) again() *Sight { return Look(s.Paths()...) }

func (s *Sight) same(other *Sight) bool { return maps.Equal(s.seen, other.seen) }

// cut tells whether there were more files than are looked at.
func (s *Sight) cut() bool { return s.left.entries <= 0 }

// digest sums up a file, or a directory with all below it.
func (l *look) digest(path string) (sum [sha256.Size]byte) {
	h := sha256.New()
	l.entry(h, path)
	h.Sum(sum[:0])
	return sum
}

// entry writes what path is now.
func (l *look) entry(h hash.Hash, path string) {
	l.entries--
	info, err := os.Stat(path)
	switch {
	case err != nil:
		// Not the message: it may differ where nothing has changed.
		word(h, "absent")
	case info.IsDir():
		l.directory(h, path)
	case info.Mode().IsRegular():
		l.file(h, path, info)
	default:
		// A pipe could block for ever.
		word(h, info.Mode().Type().String())
	}
}

// directory writes the tree at root. Links to directories are not followed, as
// readers of such trees do not.
func (l *look) directory(h hash.Hash, root string) {
	word(h, "directory")
	// What cannot be read is left out like what is not there: an error is no
	// reason to stop looking at the rest.
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case l.entries <= 0:
			return filepath.SkipAll
		case path == root:
			return nil
		case strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case err != nil:
			return filepath.SkipDir
		}
		word(h, path)
		if d.IsDir() {
			l.entries--
			return nil
		}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			target, _ := os.Readlink(path) // "" when it has just gone
			word(h, target)
			return nil
		}
		l.entry(h, path)
		return nil
	})
}

// file writes the content of a small file, or else what changes with it.
func (l *look) file(h hash.Hash, path string, info fs.FileInfo) {
	if size := info.Size(); size <= maxHashed && size <= l.bytes {
		if content, ok := read(path); ok {
			l.bytes -= int64(len(content))
			word(h, "content")
			wordBytes(h, content)
			return
		}
	}
	word(h, fmt.Sprint("stamp ", info.Size(), info.ModTime().UnixNano(), inode(info)))
}

// read returns the content of a regular file of at most maxHashed bytes. What
// has become a pipe since does not block.
func read(path string) (content []byte, ok bool) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	var text bytes.Buffer
	text.Grow(int(min(info.Size(), maxHashed)) + bytes.MinRead)
	_, err = text.ReadFrom(io.LimitReader(f, maxHashed+1))
	return text.Bytes(), err == nil && text.Len() <= maxHashed
}

// word writes s so that no two lists of words give the same bytes.
func word(h hash.Hash, s string) { wordBytes(h, []byte(s)) }

func wordBytes(h hash.Hash, s []byte) {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(s)))
	h.Write(length[:]) // a hash never returns an error
	h.Write(s)
}
