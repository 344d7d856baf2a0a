package declog

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// scanned describes what Scan finds: line and text, or line and error.
func scanned(t *testing.T, r io.Reader) (found []string, err error) {
	t.Helper()
	err = Scan(r, func(raw Raw) bool {
		if raw.Err != nil {
			found = append(found, fmt.Sprintf("%d! %v", raw.Line, raw.Err))
		} else {
			found = append(found, fmt.Sprintf("%d %s", raw.Line, raw.Text))
		}
		return true
	})
	return found, err
}

func TestScanReadsLinesAndArrays(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "",
		"\n \n":                         "",
		`{"a":1}`:                       `1 {"a":1}`,
		"{\"a\":1}\r\n\n{\"b\":2}\n":    `1 {"a":1}|3 {"b":2}`,
		`[{"a":1},{"b":[{}]}]`:          `1 {"a":1}|1 {"b":[{}]}`,
		"[{\"a\":1}]\n[{\"b\":2}]\n":    `1 {"a":1}|2 {"b":2}`,
		"[\n {\"a\":\n1},\n {\"b\":2}]": "2 {\"a\":\n1}|4 {\"b\":2}",
		`[{"a":"]}\"\\"},{"b":"{["}]`:   `1 {"a":"]}\"\\"}|1 {"b":"{["}`,
		"[]\n{\"a\":1}":                 `2 {"a":1}`,
		"{\"a\":1}\noops\n{\"b\":2}":    `1 {"a":1}|2! no JSON object begins here|3 {"b":2}`,
		"[{\"a\":1},7]\n{\"b\":2}":      `1 {"a":1}|1! no JSON object begins here|2 {"b":2}`,
		`[{"a":1},{"b":`:                `1 {"a":1}|1! the log ends in the middle of an event`,
		`[{"a":1}`:                      `1 {"a":1}|1! the log ends in the middle of an event`,
		"{\"cut\":\n{\"b\":2}":          `1 {"cut":|2 {"b":2}`,
	} {
		found, err := scanned(t, strings.NewReader(text))
		if got := strings.Join(found, "|"); got != want || err != nil {
			t.Errorf("Scan(%q) = %s (%v), want %s", text, got, err, want)
		}
		found, err = scanned(t, iotest.OneByteReader(strings.NewReader(text)))
		if got := strings.Join(found, "|"); got != want || err != nil {
			t.Errorf("byte by byte, Scan(%q) = %s (%v), want %s", text, got, err, want)
		}
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		io.WriteString(z, text)
		z.Close()
		found, err = scanned(t, &packed)
		if got := strings.Join(found, "|"); got != want || err != nil {
			t.Errorf("gzipped, Scan(%q) = %s (%v), want %s", text, got, err, want)
		}
	}
}

func TestScanBoundsAnEvent(t *testing.T) {
	long := `{"a":"` + strings.Repeat("x", MaxLine) + `"}`
	exact := `{"a":"` + strings.Repeat("x", MaxLine-8) + `"}`
	for _, text := range []string{long + "\n{\"b\":2}\n", "[" + long + "]\n{\"b\":2}\n", strings.Repeat("y", 3*MaxLine) + "\n{\"b\":2}\n"} {
		found, err := scanned(t, strings.NewReader(text))
		if err != nil || len(found) != 2 || !strings.HasPrefix(found[0], "1! longer than") || found[1] != `2 {"b":2}` {
			t.Errorf("Scan of a long line finds %.80q (%v), want it told and the next read", found, err)
		}
	}
	for _, text := range []string{exact, exact + "\r\n", "[" + exact + "]"} {
		if found, err := scanned(t, strings.NewReader(text)); err != nil || len(found) != 1 || len(found[0]) != MaxLine+2 {
			t.Errorf("Scan of the longest line finds %d (%v), want it", len(found), err)
		}
	}
}

func TestScanTellsWhatCannotBeRead(t *testing.T) {
	broken := errors.New("disk")
	found, err := scanned(t, io.MultiReader(strings.NewReader("{\"a\":1}\n"), iotest.ErrReader(broken)))
	if len(found) != 1 || !errors.Is(err, broken) {
		t.Errorf("Scan = %q, %v; want the first line and the error", found, err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	io.WriteString(z, strings.Repeat("{\"a\":1}\n", 1000))
	z.Close()
	if _, err := scanned(t, bytes.NewReader(packed.Bytes()[:packed.Len()-9])); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Scan of half a gzip = %v, want %v", err, io.ErrUnexpectedEOF)
	}
}

func TestScanStopsWhenToldTo(t *testing.T) {
	for _, text := range []string{strings.Repeat("{}\n", 10), "[{},{},{}]", "oops\noops\n"} {
		n := 0
		if err := Scan(strings.NewReader(text), func(Raw) bool { n++; return false }); n != 1 || err != nil {
			t.Errorf("Scan(%q) went on for %d (%v), want 1", text, n, err)
		}
	}
}

func FuzzScan(f *testing.F) {
	f.Add([]byte("[{\"a\":1}]\n{\"b\":2}\noops"))
	f.Add([]byte("{\"a\":\"\\\""))
	f.Fuzz(func(t *testing.T, text []byte) {
		last := 0
		err := Scan(bytes.NewReader(text), func(raw Raw) bool {
			if raw.Line < last || raw.Err == nil && (len(raw.Text) == 0 || raw.Text[0] != '{' || len(raw.Text) > MaxLine+2) {
				t.Fatalf("line %d after %d: %q, %v", raw.Line, last, raw.Text, raw.Err)
			}
			last = raw.Line
			if raw.Err == nil {
				_, _ = Parse(raw.Text)
			}
			return true
		})
		if err != nil && !bytes.HasPrefix(text, []byte{0x1f, 0x8b}) {
			t.Fatalf("Scan = %v", err)
		}
	})
}
