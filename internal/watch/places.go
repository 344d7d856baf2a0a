package watch

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxLinks bounds the links on the way to one path: a circle ends there.
const maxLinks = 40

// places collects the directories whose events tell of a change to paths.
type places map[string]bool

// placesOf returns the directories to watch for the paths of a Sight: those
// that hold a path, a link on the way to it, or the nearest one that exists;
// and all below a path that is a directory.
func placesOf(paths []string) places {
	p := places{}
	for _, path := range paths {
		if abs, err := filepath.Abs(path); err == nil {
			p.trace(abs, maxLinks)
			p.tree(abs)
		}
	}
	return p
}

// trace walks path from the root as the kernel does.
func (p places) trace(path string, links int) {
	volume := filepath.VolumeName(path)
	at := volume + string(filepath.Separator)
	rest := strings.Split(strings.TrimPrefix(path, at), string(filepath.Separator))
	for i, name := range rest {
		next := filepath.Join(at, name)
		info, err := os.Lstat(next)
		if err != nil {
			break // at is the nearest one that exists
		}
		if info.Mode()&fs.ModeSymlink != 0 && links > 0 {
			p[at] = true
			target, err := os.Readlink(next)
			if err != nil {
				break
			}
			if !filepath.IsAbs(target) {
				target = filepath.Join(at, target)
			}
			p.trace(filepath.Join(append([]string{target}, rest[i+1:]...)...), links-1)
			return
		}
		if i < len(rest)-1 {
			at = next
		}
	}
	p[at] = true
}

// tree adds a directory and those below it.
func (p places) tree(path string) {
	root, err := filepath.EvalSymlinks(path)
	if err != nil {
		return
	}
	// What cannot be read has no events either; the regular look remains.
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || len(p) >= maxEntries:
			return filepath.SkipAll
		case !d.IsDir():
			return nil
		case path != root && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		}
		p[path] = true
		return nil
	})
}
