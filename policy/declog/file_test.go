package declog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gatehouse/policy"
)

func fileLog(t *testing.T, path string) *running {
	return open(t, config(func(c *policy.LogConfig) { c.File = path }), nil)
}

// settle records one decision and waits until the file has it.
func (r *running) settle(i int) {
	r.t.Helper()
	before := r.sink("file").Written
	r.Record(numbered(i, policy.OutcomeDeny))
	until(r.t, fmt.Sprint("decision ", i, " is written"), func() bool { return r.sink("file").Written == before+1 })
}

func requests(t *testing.T, path string) string {
	t.Helper()
	var ids []string
	for _, line := range readLines(t, path) {
		ev, err := Parse([]byte(line))
		if err != nil {
			t.Fatalf("%s holds %q: %v", path, line, err)
		}
		ids = append(ids, ev.Custom.RequestID)
	}
	return strings.Join(ids, " ")
}

func TestFileIsForItsOwnerAndAppendedTo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	for i := range 2 {
		l := fileLog(t, path)
		l.settle(i)
		l.stop()
	}
	if got := requests(t, path); got != "req-0 req-1" {
		t.Errorf("the file holds %q, want both decisions", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode of the file = %v (%v), want 0600", info.Mode(), err)
	}
}

func TestFileIsOpenedAnewAfterRotationAndRemoval(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := fileLog(t, path)
	l.settle(1)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.settle(2)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	l.settle(3)
	// Somebody else made the new file.
	if err := errors.Join(os.Rename(path, path+".2"), os.WriteFile(path, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	l.settle(4)
	for file, want := range map[string]string{path + ".1": "req-1", path + ".2": "req-3", path: "req-4"} {
		if got := requests(t, file); got != want {
			t.Errorf("%s holds %q, want %q", file, got, want)
		}
	}
}

func TestFileGoesOnAfterALineThatWasCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte(`{"decision_id":"cut`), 0o600); err != nil {
		t.Fatal(err)
	}
	l := fileLog(t, path)
	l.settle(1)
	l.stop()
	if lines := readLines(t, path); len(lines) != 2 || !strings.Contains(lines[1], "req-1") {
		t.Errorf("the file holds %q, want the new decision on a line of its own", lines)
	}
}

func TestFileWaitsForItsFolderToComeBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mount")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "log")
	warnings := &logBuffer{}
	l := open(t, config(func(c *policy.LogConfig) { c.File = path }), textLog(warnings))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	l.Record(numbered(1, policy.OutcomeDeny))
	until(t, "the failure is told", func() bool { return strings.Contains(warnings.String(), "cannot be written") })
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	until(t, "the decision is written", func() bool { return l.sink("file").Written == 1 })
	if got := requests(t, path); got != "req-1" {
		t.Errorf("the file holds %q, want req-1", got)
	}
}

func TestOnlyARegularFileIsWrittenTo(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(
		os.WriteFile(dir+"/victim", nil, 0o600), os.Symlink(dir+"/victim", dir+"/link"), syscall.Mkfifo(dir+"/pipe", 0o600),
	); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"link", "pipe", ".", "missing/log"} {
		if _, err := New(config(func(c *policy.LogConfig) { c.File = filepath.Join(dir, name) }), Options{}); err == nil {
			t.Errorf("New with file %s = nil, want an error", name)
		}
	}
}

func TestStandardOutputGetsLines(t *testing.T) {
	var out bytes.Buffer
	l, err := New(config(func(c *policy.LogConfig) { c.File = "-" }), Options{Stdout: &out})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		l.Record(numbered(i, policy.OutcomeDeny))
	}
	l.Run(ended())
	if got := strings.Count(out.String(), "\n"); got != 3 || l.Stats().Sinks[0].Written != 3 {
		t.Errorf("%d lines, %d counted, want 3", got, l.Stats().Sinks[0].Written)
	}
}
