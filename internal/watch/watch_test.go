package watch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// eventually bounds what must happen; never is how long what must not happen
// is given to happen.
const (
	eventually = 10 * time.Second
	never      = 600 * time.Millisecond
)

// onEvents looks on events alone: a test of it fails when they are missed.
var onEvents = Options{Poll: time.Hour, Quiet: 50 * time.Millisecond, Longest: time.Second}

// onPolls looks so often that it hardly needs events.
var onPolls = Options{Poll: 20 * time.Millisecond, Quiet: 20 * time.Millisecond}

// start follows paths until the test ends.
func start(t *testing.T, o Options, paths ...string) *Watcher {
	t.Helper()
	w := New(o)
	w.Follow(Look(paths...))
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() { defer close(ended); w.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return w
}

// notices wants one notice of a change, which come of what was done.
func (w *Watcher) notices(t *testing.T, what string) {
	t.Helper()
	select {
	case <-w.Changed():
	case <-time.After(eventually):
		t.Fatalf("%s: not noticed", what)
	}
}

func (w *Watcher) ignores(t *testing.T, what string) {
	t.Helper()
	select {
	case <-w.Changed():
		t.Errorf("%s: taken for a change", what)
	case <-time.After(never):
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// must stops the test at what cannot fail.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// onBoth runs a test on events alone and on polls.
func onBoth(t *testing.T, run func(t *testing.T, o Options)) {
	t.Run("events", func(t *testing.T) { run(t, onEvents) })
	t.Run("polls", func(t *testing.T) { run(t, onPolls) })
}

func TestWritingInPlaceIsNoticed(t *testing.T) {
	onBoth(t, func(t *testing.T, o Options) {
		path := filepath.Join(t.TempDir(), "a.yaml")
		write(t, path, "one")
		w := start(t, o, path)
		for _, content := range []string{"two", "three", "tow"} {
			write(t, path, content)
			w.notices(t, "write "+content)
		}
	})
}

func TestAFileWrittenInTwoHalvesIsNoticedWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	write(t, path, "old")
	o := onEvents
	o.Quiet = 300 * time.Millisecond
	w := start(t, o, path)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	must(t, err)
	defer f.Close()
	_, err = f.WriteString("first half, ")
	must(t, err)
	select {
	case <-w.Changed():
		t.Error("the first half was taken for the whole")
	case <-time.After(o.Quiet / 3):
	}
	_, err = f.WriteString("second half")
	must(t, err)
	w.notices(t, "both halves")
	w.ignores(t, "nothing more")
}

func TestAnEditorsSaveIsNoticed(t *testing.T) {
	onBoth(t, func(t *testing.T, o Options) {
		dir := t.TempDir()
		path := filepath.Join(dir, "a.yaml")
		write(t, path, "one")
		w := start(t, o, path)
		for _, content := range []string{"two", "six"} { // twice: the first inode is gone then
			write(t, filepath.Join(dir, ".a.swp"), content)
			must(t, os.Rename(filepath.Join(dir, ".a.swp"), path))
			w.notices(t, "rename")
		}
	})
}

// TestAKubernetesVolumeIsNoticed swaps the link as kubelet does it: files are
// links through ..data, which is renamed over.
func TestAKubernetesVolumeIsNoticed(t *testing.T) {
	onBoth(t, func(t *testing.T, o Options) {
		dir := t.TempDir()
		path, data := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "..data")
		write(t, filepath.Join(dir, "..2026_1", "a.yaml"), "one")
		must(t, os.Symlink("..2026_1", data))
		must(t, os.Symlink("..data/a.yaml", path))
		w := start(t, o, path)
		for i := 2; i < 5; i++ {
			next := fmt.Sprintf("..2026_%d", i)
			write(t, filepath.Join(dir, next, "a.yaml"), next)
			must(t, os.Symlink(next, data+"_tmp"))
			must(t, os.Rename(data+"_tmp", data))
			must(t, os.RemoveAll(filepath.Join(dir, fmt.Sprintf("..2026_%d", i-1))))
			w.notices(t, next)
		}
	})
}

func TestALinkOnTheWayIsFollowed(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "releases/1/a.yaml"), "one")
	write(t, filepath.Join(dir, "releases/2/a.yaml"), "two")
	current := filepath.Join(dir, "opt", "current")
	must(t, os.Mkdir(filepath.Dir(current), 0o700))
	must(t, os.Symlink("../releases/1", current))
	w := start(t, onEvents, filepath.Join(current, "a.yaml"))
	must(t, os.Symlink("../releases/2", current+".new"))
	must(t, os.Rename(current+".new", current))
	w.notices(t, "the swapped link")
	write(t, filepath.Join(dir, "releases/2/a.yaml"), "two, mended")
	w.notices(t, "a write behind the link")
}

func TestDeletionAndReturnAreNoticed(t *testing.T) {
	onBoth(t, func(t *testing.T, o Options) {
		path := filepath.Join(t.TempDir(), "conf", "a.yaml")
		write(t, path, "one")
		w := start(t, o, path)
		must(t, os.Remove(path))
		w.notices(t, "deletion of the file")
		write(t, path, "one")
		w.notices(t, "return of the file")
		must(t, os.RemoveAll(filepath.Dir(path)))
		w.notices(t, "deletion of its directory")
		write(t, path, "one")
		w.notices(t, "return of its directory")
		write(t, path, "two")
		w.notices(t, "a write after all that")
	})
}

func TestWhatDoesNotExistYetIsNoticed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "c.rego")
	w := start(t, onEvents, path)
	write(t, path, "package c")
	w.notices(t, "creation")
}

func TestADirectoryIsItsTree(t *testing.T) {
	onBoth(t, func(t *testing.T, o Options) {
		dir := filepath.Join(t.TempDir(), "policies")
		write(t, filepath.Join(dir, "a.rego"), "package a")
		w := start(t, o, dir)
		write(t, filepath.Join(dir, "new", "b.rego"), "package b")
		w.notices(t, "a new directory")
		write(t, filepath.Join(dir, "new", "b.rego"), "package c")
		w.notices(t, "a write in it")
		must(t, os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "newer")))
		w.notices(t, "a rename")
		other := filepath.Join(filepath.Dir(dir), "other")
		write(t, filepath.Join(other, "c.rego"), "package c")
		must(t, os.Rename(dir, dir+".old"))
		must(t, os.Rename(other, dir))
		w.notices(t, "another directory in its place")
		write(t, filepath.Join(dir, "c.rego"), "package d")
		w.notices(t, "a write in the new one")
	})
}

func TestWhatChangesNothingIsNotTold(t *testing.T) {
	dir := t.TempDir()
	path, tree := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "tree")
	write(t, path, "one")
	write(t, filepath.Join(tree, "a.rego"), "package a")
	w := start(t, onEvents, path, tree)
	write(t, path, "one")
	write(t, filepath.Join(dir, "neighbour"), "x")
	write(t, filepath.Join(tree, ".a.rego.swp"), "x")
	must(t, os.Chtimes(path, time.Now(), time.Now().Add(time.Hour)))
	w.ignores(t, "the same content, a neighbour, a hidden file, a new time")
	write(t, path, "two")
	w.notices(t, "a real change after that")
}

func TestAChangeThatIsTakenBackIsNotTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	write(t, path, "one")
	sight := Look(path)
	write(t, path, "two")
	o := onEvents
	o.Quiet = 300 * time.Millisecond
	w := start(t, o)
	w.Follow(sight) // it differs at once, and may be changing still
	select {
	case <-w.Changed():
		t.Error("the change is told before it was quiet")
	case <-time.After(o.Quiet / 3):
	}
	write(t, path, "one")
	w.ignores(t, "a change that was taken back")
}

func TestThousandsOfEventsAreFewNotices(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.yaml")
	write(t, path, "begin")
	w := start(t, onEvents, path)
	for i := range 5000 {
		write(t, path, fmt.Sprint("version ", i))
		write(t, filepath.Join(dir, fmt.Sprint("neighbour", i%100)), "x")
	}
	w.notices(t, "the flood")
	count := 1
	for {
		select {
		case <-w.Changed():
			count++
			continue
		case <-time.After(never):
		}
		break
	}
	if count > 50 {
		t.Errorf("5000 writes gave %d notices, want few", count)
	}
	write(t, path, "end")
	w.notices(t, "the end")
}

func TestAChangeBeforeItIsFollowedIsNoticed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.yaml")
	write(t, path, "one")
	w := start(t, onEvents)
	sight := Look(path)
	write(t, path, "two")
	sight.Add(path) // it stays as it was seen
	w.Follow(sight)
	w.notices(t, "the change before Follow")
}

func TestALargeFileIsComparedByItsStamp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.json")
	write(t, path, string(make([]byte, maxHashed+1)))
	w := start(t, onEvents, path)
	must(t, os.Chtimes(path, time.Now(), time.Now().Add(time.Hour)))
	w.notices(t, "a new time of a large file")
}

func TestAPipeDoesNotBlock(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "pipe")
	makePipe(t, path)
	w := start(t, onEvents, path, dir)
	write(t, filepath.Join(dir, "a"), "x")
	w.notices(t, "a file beside a pipe")
}

func TestOnlySoManyFilesAreSeen(t *testing.T) {
	left := look{entries: 3, bytes: 1 << 20}
	dir := t.TempDir()
	for i := range 10 {
		write(t, filepath.Join(dir, fmt.Sprint(i)), "x")
	}
	before := left.digest(dir)
	write(t, filepath.Join(dir, "9"), "y")
	again := look{entries: 3, bytes: 1 << 20}
	if again.digest(dir) != before {
		t.Error("a file beyond the limit was looked at")
	}
	if s := (&Sight{left: left}); !s.cut() {
		t.Error("nobody is told that some files are not seen")
	}
}
