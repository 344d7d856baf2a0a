package gatehouse_test

import (
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// eventShape is what the type of an event looks like in the sources, and what
// else does.
var (
	eventShape = regexp.MustCompile(`"([a-z]+(?:_[a-z]+)*\.[a-z]+(?:_[a-z]+)*)"`)
	noEvents   = []string{".db", ".key", ".txt", ".html", ".yaml", ".js", ".css", ".localhost", ".message", ".read", ".admin", ".com", ".phone_number", ".lifetime", ".log", ".listen", ".access_log"}
)

// TestEveryEventIsDescribed holds the types of events in the sources of the
// provider against docs/audit.md, which is what operators filter by.
func TestEveryEventIsDescribed(t *testing.T) {
	page, err := os.ReadFile("docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	read := func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "idp/store/storetest/") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range eventShape.FindAllSubmatch(text, -1) {
			seen[string(m[1])] = true
		}
		return nil
	}
	for _, folder := range []string{"idp", "cmd/gatehouse/app"} {
		if err := fs.WalkDir(os.DirFS("."), folder, read); err != nil {
			t.Fatal(err)
		}
	}
	found := 0
	for word := range seen {
		if strings.HasPrefix(word, "idp.") || slices.ContainsFunc(noEvents, func(end string) bool { return strings.HasSuffix(word, end) }) {
			continue
		}
		found++
		if !strings.Contains(string(page), "`"+word+"`") {
			t.Errorf("docs/audit.md does not describe the event %s", word)
		}
	}
	if found < 40 {
		t.Errorf("%d types of events found in the sources, want 40 at least: the pattern is wrong", found)
	}
}
