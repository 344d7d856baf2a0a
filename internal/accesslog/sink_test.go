package accesslog

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func opened(t *testing.T, path string) *Sink {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t *testing.T, s *Sink, text string) {
	t.Helper()
	if n, err := s.Write([]byte(text)); n != len(text) || err != nil {
		t.Errorf("Write(%q) = %d, %v", text, n, err)
	}
}

func has(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); string(got) != want || err != nil {
		t.Errorf("%s has %q, %v, want %q", filepath.Base(path), got, err, want)
	}
}

func TestAFileIsAppendedToAndPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	first := opened(t, path)
	put(t, first, "one\n")
	first.Close()
	put(t, opened(t, path), "two\n")
	has(t, path, "one\ntwo\n")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, %v, want 0600", info.Mode(), err)
	}
	if err := first.Close(); err != nil {
		t.Errorf("a second Close() = %v", err)
	}
	if _, err := first.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write() after Close() = %v, want %v", err, os.ErrClosed)
	}
	if err := first.Reopen(); err != nil {
		t.Errorf("Reopen() after Close() = %v", err)
	}
	if _, err := first.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write() after Close() and Reopen() = %v, want %v", err, os.ErrClosed)
	}
}

func TestALinkIsFollowed(t *testing.T) {
	dir := t.TempDir()
	path, there := filepath.Join(dir, "access.log"), filepath.Join(dir, "there")
	if err := os.Symlink(there, path); err != nil {
		t.Fatal(err)
	}
	s := opened(t, path)
	put(t, s, "one\n")
	put(t, s, "two\n")
	has(t, there, "one\ntwo\n")
}

func TestARotatedFileIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	s := opened(t, path)
	put(t, s, "one\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	put(t, s, "two\n")
	has(t, path+".1", "one\n")
	has(t, path, "two\n")
	if err := os.Rename(path, path+".2"); err != nil {
		t.Fatal(err)
	}
	if err := s.Reopen(); err != nil {
		t.Fatal(err)
	}
	has(t, path, "")
	put(t, s, "three\n")
	has(t, path, "three\n")
}

func TestAFileThatCannotBeOpenedAnewStays(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "logs", "access.log")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	s := opened(t, path)
	if err := os.Rename(filepath.Dir(path), filepath.Join(dir, "old")); err != nil {
		t.Fatal(err)
	}
	if err := s.Reopen(); err == nil {
		t.Error("Reopen() finds a folder that is gone")
	}
	if n, err := s.Write([]byte("one\n")); n != 4 || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Write() = %d, %v, want all of it, and what is wrong", n, err)
	}
	has(t, filepath.Join(dir, "old", "access.log"), "one\n")
}

func TestAPlaceThatIsNoneIsRefused(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "none", "access.log"), pipe} {
		if s, err := Open(path); err == nil {
			s.Close()
			t.Errorf("Open(%s) found no fault", filepath.Base(path))
		}
	}
}

// The test calls itself: in the child, standard output is a pipe that nobody
// reads any more.
func TestAStandardOutputThatIsGoneDoesNotEndTheProcess(t *testing.T) {
	const asked = "GATEHOUSE_TEST_BROKEN_PIPE"
	if os.Getenv(asked) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), asked+"=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(out.Close(), in.Close()); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil || said.String() != "alive" {
			t.Errorf("the child ended with %v and said %q", err, said.String())
		}
		return
	}
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // standard output is closed now
	s, err := Open(Stdout)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("x\n")); errors.Is(err, syscall.EPIPE) && s.Reopen() == nil && s.Close() == nil {
		os.Stderr.WriteString("alive")
	}
	os.Exit(0)
}
