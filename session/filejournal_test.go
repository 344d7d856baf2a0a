package session

import (
	"os"
	"path/filepath"
	"testing"
)

// TestJournalIsReadBesideItsHolder: without its lock, and without mending what
// the holder is just writing.
func TestJournalIsReadBesideItsHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revocations")
	if rs, err := ReadFileJournal(path); err != nil || len(rs) != 0 {
		t.Errorf("no file: %v, %v", rs, err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("reading has made the file")
	}
	held := journal(t, path)
	if err := held.Append(t.Context(), endSID("one"), endSID("two")); err != nil {
		t.Fatal(err)
	}
	if rs, err := ReadFileJournal(path); err != nil || len(rs) != 2 || rs[1].Value != "two" {
		t.Errorf("held: %v, %v", rs, err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(t.TempDir(), "half")
	if err := os.WriteFile(half, whole[:len(whole)-3], 0o600); err != nil {
		t.Fatal(err)
	}
	if rs, err := ReadFileJournal(half); err != nil || len(rs) != 1 {
		t.Errorf("half a line: %v, %v", rs, err)
	}
	if left, _ := os.ReadFile(half); len(left) != len(whole)-3 {
		t.Error("reading has mended the file")
	}
	whole[len(whole)/2] ^= 1
	if err := os.WriteFile(half, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if rs, err := ReadFileJournal(half); err == nil {
		t.Errorf("damaged: %v", rs)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if rs, err := ReadFileJournal(link); err == nil {
		t.Errorf("a link: %v", rs)
	}
}
