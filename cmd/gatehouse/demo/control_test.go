package demo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// atHome gives the test a cache directory and a directory for sockets of its own.
func atHome(t *testing.T) {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", filepath.Join(t.TempDir(), "cache"))
	// A socket's path is at most 108 bytes; t.TempDir can be longer.
	short, err := os.MkdirTemp("", "gh")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	t.Setenv("TMPDIR", short)
}

func announce(t *testing.T, addr string) *Control {
	t.Helper()
	c, err := Announce(addr, func(_ context.Context, scopes []string) (string, error) {
		if len(scopes) == 1 && scopes[0] == "forbidden" {
			return "", errors.New("invalid scope")
		}
		return addr + " " + strings.Join(scopes, "+"), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTokenComesFromTheNewestDemo(t *testing.T) {
	atHome(t)
	first := announce(t, "localhost:8080")
	defer first.Close()
	second := announce(t, "localhost:8081")
	defer second.Close()
	got, err := Token(t.Context(), "", []string{"a", "b"})
	if err != nil || got != "localhost:8081 a+b" {
		t.Errorf("Token() = %q, %v, want the newest demo's", got, err)
	}
	for _, addr := range []string{"localhost:8080", "http://127.0.0.1:8080/"} {
		if got, err := Token(t.Context(), addr, []string{"a"}); err != nil || got != "localhost:8080 a" {
			t.Errorf("Token(%s) = %q, %v, want that demo's", addr, got, err)
		}
	}
}

func TestNoDemoIsOneSentence(t *testing.T) {
	atHome(t)
	if _, err := Token(t.Context(), "", []string{"a"}); !errors.Is(err, ErrNoDemo) {
		t.Errorf("Token() = %v, want ErrNoDemo", err)
	}
	c := announce(t, "localhost:8080")
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Token(t.Context(), "localhost:8080", []string{"a"}); err == nil || !strings.Contains(err.Error(), "no demo is running at localhost:8080") {
		t.Errorf("Token of a stopped demo = %v, want that none is running there", err)
	}
}

func TestDemoRefusesWhatItsClientMayNot(t *testing.T) {
	atHome(t)
	defer announce(t, "localhost:8080").Close()
	if got, err := Token(t.Context(), "", []string{"forbidden"}); err == nil || got != "" {
		t.Errorf("Token(forbidden) = %q, %v, want an error and no token", got, err)
	}
}

// A demo that was killed leaves its file; an older one that runs is then the
// newest.
func TestDeadDemoIsPassedOver(t *testing.T) {
	atHome(t)
	defer announce(t, "localhost:8080").Close()
	dead := announce(t, "localhost:8081")
	dead.listener.Close()
	defer os.Remove(dead.beacon)
	got, err := Token(t.Context(), "", []string{"a"})
	if err != nil || got != "localhost:8080 a" {
		t.Errorf("Token() = %q, %v, want the demo that runs", got, err)
	}
}

func TestFilesOfOthersAreNotBelieved(t *testing.T) {
	atHome(t)
	c := announce(t, "localhost:8080")
	defer c.Close()
	if err := os.Chmod(c.beacon, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := Token(t.Context(), "", []string{"a"}); !errors.Is(err, ErrNoDemo) {
		t.Errorf("Token() with a file open to others = %q, %v, want ErrNoDemo", got, err)
	}
	if err := os.Chmod(c.beacon, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(c.Socket()), 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := Token(t.Context(), "", []string{"a"}); err == nil {
		t.Errorf("Token() over a directory open to others = %q, want an error", got)
	}
}

func TestFileAndSocketArePrivate(t *testing.T) {
	atHome(t)
	c := announce(t, "localhost:8080")
	defer c.Close()
	for path, want := range map[string]os.FileMode{c.beacon: 0o600, filepath.Dir(c.Socket()): 0o700, filepath.Dir(c.beacon): 0o700} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %s = %o, want %o", path, got, want)
		}
	}
}
