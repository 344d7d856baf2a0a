package app

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// logs keeps what was logged, by lines, and tells of more.
type logs struct {
	mu    sync.Mutex
	lines []string
	read  int           // lines that a test has waited for
	more  chan struct{} // closed at the next line
}

func newLogs() *logs { return &logs{more: make(chan struct{})} }

// Write implements io.Writer; slog writes one line at a time.
func (l *logs) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(line))
	close(l.more)
	l.more = make(chan struct{})
	return len(line), nil
}

// next returns the first line with text in it after the one before, within ten
// seconds.
func (l *logs) next(t *testing.T, text string) string {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		l.mu.Lock()
		more := l.more
		for l.read < len(l.lines) {
			line := l.lines[l.read]
			l.read++
			if strings.Contains(line, text) {
				l.mu.Unlock()
				return line
			}
		}
		l.mu.Unlock()
		select {
		case <-more:
		case <-deadline:
			l.mu.Lock()
			defer l.mu.Unlock()
			t.Fatalf("nothing logged with %q in it; there is:\n%s", text, strings.Join(l.lines, ""))
		}
	}
}

func (l *logs) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, line := range l.lines {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// write puts a file in place in one step, as editors do, and makes its folder.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}
