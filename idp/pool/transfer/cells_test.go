package transfer

import (
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// What is written as cells is read as the same cells.
func FuzzCells(f *testing.F) {
	for _, c := range [][2]string{{"a", "b"}, {`a\`, ","}, {`\,`, `"`}, {"\n", "\r"}, {`""`, `\\,`}, {"", "x"}, {" ", "\r\n"}} {
		f.Add(c[0], c[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a)+len(b) > 7000 || !utf8.ValidString(a) || !utf8.ValidString(b) || strings.ContainsRune(a+b, 0) {
			return
		}
		want := []string{a, b, "end"}
		c := &csvReader{lines: newLines(strings.NewReader(join(want)+"\n"), 4*maxCSV)}
		got, _, err := c.record()
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%q became %q, %v", want, got, err)
		}
		if _, _, err := c.record(); err != io.EOF {
			t.Fatalf("after the end: %v", err)
		}
	})
}
