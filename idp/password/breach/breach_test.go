package breach_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/idp/password/breach"
)

// line is one password of a list as the service has it.
func line(password string, count int) string {
	return fmt.Sprintf("%X:%d", sha1.Sum([]byte(password)), count)
}

// sorted puts lines into one text, in order of SHA-1.
func sorted(lines ...string) []byte {
	slices.Sort(lines)
	return []byte(strings.Join(lines, "\r\n") + "\r\n")
}

func write(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// build builds a filter of the list at path.
func build(t *testing.T, path string, min uint64) (string, breach.Built) {
	t.Helper()
	list, err := breach.OpenList(path)
	if err != nil {
		t.Fatal(err)
	}
	list.Partial()
	out := filepath.Join(t.TempDir(), "filter")
	var read, done int64
	built, err := breach.Build{
		List: list, Out: out, MinCount: min,
		Read: func(n int64) { read += n }, Done: func(n int64) { done = n },
	}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if read != list.Size() || done != int64(built.Passwords) {
		t.Errorf("progress ends at %d of %d and %d of %d", read, list.Size(), done, built.Passwords)
	}
	if info, err := os.Stat(out); err != nil || uint64(info.Size()) != built.Bytes {
		t.Errorf("the file has %v bytes, %v; want %d", info.Size(), err, built.Bytes)
	}
	return out, built
}

func open(t *testing.T, path string) *breach.Filter {
	t.Helper()
	f, err := breach.OpenFilter(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// listed asks f about password.
func listed(t *testing.T, f *breach.Filter, password string) bool {
	t.Helper()
	ok, err := f.Contains(sha1.Sum([]byte(password)))
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestFilterHoldsWhatWasSeenOftenEnough(t *testing.T) {
	list := write(t, "list.txt", sorted(line("password", 9545824), line("hunter2", 17043), line("seldom", 2), line("padding", 0)))
	path, built := build(t, list, 3)
	f := open(t, path)
	if built.Passwords != 2 || built.Skipped != 2 || f.Count() != 2 || f.MinCount() != 3 {
		t.Errorf("built %+v, Count %d, MinCount %d", built, f.Count(), f.MinCount())
	}
	for password, want := range map[string]bool{"password": true, "hunter2": true, "seldom": false, "padding": false, "a good one": false} {
		if got := listed(t, f, password); got != want {
			t.Errorf("%q is listed: %t, want %t", password, got, want)
		}
	}
}

func TestListMayBeGzippedOrAFolder(t *testing.T) {
	text := sorted(line("password", 3), line("hunter2", 3), line("letmein", 3))
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	if _, err := zip.Write(text); err != nil || zip.Close() != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for i, l := range strings.Fields(string(text)) {
		name := l[:5]
		if i == 1 {
			name += ".txt"
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("\ufeff"+l[5:]+"\r\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "readme.txt"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{"gzip": write(t, "list.gz", packed.Bytes()), "folder": dir} {
		out, built := build(t, path, 0)
		f := open(t, out)
		if built.Passwords != 3 || !listed(t, f, "password") || !listed(t, f, "hunter2") || !listed(t, f, "letmein") || listed(t, f, "else") {
			t.Errorf("%s: built %+v; the filter lacks a password or has another", name, built)
		}
	}
}

// many returns a list of n hashes in order, spread like those of SHA-1.
func many(n int) []byte {
	var b bytes.Buffer
	for i := range uint64(n) {
		sum := sha1.Sum(binary.BigEndian.AppendUint64(nil, i))
		binary.BigEndian.PutUint64(sum[:], i*(^uint64(0)/uint64(n)))
		fmt.Fprintf(&b, "%x:1\n", sum)
	}
	return b.Bytes()
}

func TestFilterMissesNothingAndErrsSeldom(t *testing.T) {
	const n = 200_000
	path, built := build(t, write(t, "list", many(n)), 1)
	f := open(t, path)
	if perKey := float64(built.Bytes) / n; perKey > 3.5 {
		t.Errorf("%.2f bytes for each password, want at most 3.5 of so few", perKey)
	}
	for i := uint64(0); i < n; i += 7 {
		sum := sha1.Sum(binary.BigEndian.AppendUint64(nil, i))
		binary.BigEndian.PutUint64(sum[:], i*(^uint64(0)/n))
		if ok, err := f.Contains(sum); err != nil || !ok {
			t.Fatalf("password %d is not found, %v", i, err)
		}
	}
	wrong := 0
	for i := range uint64(300_000) {
		if ok, err := f.Contains(sha1.Sum(binary.BigEndian.AppendUint64([]byte("x"), i))); err != nil {
			t.Fatal(err)
		} else if ok {
			wrong++
		}
	}
	// 4.6 are expected; 25 have a chance of one in 10^10.
	if wrong > 25 {
		t.Errorf("%d of 300,000 are taken for listed, want about 5", wrong)
	}
}

func TestListThatIsNoneIsRefusedAndLeavesTheOldFilter(t *testing.T) {
	digest := strings.Repeat("A", 40)
	for name, text := range map[string]string{
		"by count":    strings.Repeat("F", 40) + ":9\n" + digest + ":1\n",
		"twice":       digest + ":2\n" + digest + ":2\n",
		"no count":    digest + "\n",
		"bad count":   digest + ":many\n",
		"negative":    digest + ":-1\n",
		"short":       digest[1:] + ":1\n",
		"long":        digest + "A:1\n",
		"not hex":     strings.Repeat("G", 40) + ":1\n",
		"endless":     strings.Repeat("A", 1<<16),
		"empty":       "",
		"all seldom":  digest + ":1\n",
		"cut gzip":    "\x1f\x8b\x08\x00",
		"not a list":  "<html><body>404</body></html>",
		"NTLM hashes": strings.Repeat("A", 32) + ":1\n",
	} {
		list, err := breach.OpenList(write(t, "list", []byte(text)))
		if err != nil {
			t.Fatal(err)
		}
		out := write(t, "filter", []byte("the old one"))
		if built, err := (breach.Build{List: list, Out: out, MinCount: 2}).Run(t.Context()); err == nil {
			t.Errorf("%s: built %+v", name, built)
		}
		if entries, err := os.ReadDir(filepath.Dir(out)); err != nil || len(entries) != 1 {
			t.Errorf("%s: %d files are left, want the old one only; %v", name, len(entries), err)
		}
		if text, err := os.ReadFile(out); err != nil || string(text) != "the old one" {
			t.Errorf("%s: the old filter is gone", name)
		}
	}
}

func TestIncompleteFolderIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "00000"), []byte(strings.Repeat("A", 35)+":1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := breach.OpenList(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = breach.Build{List: list, Out: filepath.Join(t.TempDir(), "filter")}.Run(t.Context())
	if !errors.Is(err, breach.ErrList) || !strings.Contains(err.Error(), "1048575 of the 1048576") {
		t.Errorf("error = %v, want that 1048575 files are missing", err)
	}
}

func TestBuildEndsWithItsContext(t *testing.T) {
	list, err := breach.OpenList(write(t, "list", many(1000)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if _, err := (breach.Build{List: list, Out: filepath.Join(dir, "filter")}).Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("%d files are left", len(entries))
	}
}

func TestDamagedFilterIsNotOpened(t *testing.T) {
	path, _ := build(t, write(t, "list", many(2000)), 1)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"empty": nil, "cut": good[:len(good)-1], "head only": good[:16], "longer": append(slices.Clone(good), 0),
		"text":  bytes.Repeat([]byte("x"), len(good)),
		"magic": flip(good, 0), "version": flip(good, 8), "shards": flip(good, 12), "data": flip(good, 100),
		"table": flip(good, len(good)-100), "checksum": flip(good, len(good)-1),
	} {
		if _, err := breach.OpenFilter(write(t, "filter", text)); !errors.Is(err, breach.ErrFilter) {
			t.Errorf("%s: error = %v, want ErrFilter", name, err)
		}
	}
	if _, err := breach.OpenFilter(t.TempDir()); !errors.Is(err, breach.ErrFilter) {
		t.Errorf("a folder: %v, want ErrFilter", err)
	}
	if _, err := breach.OpenFilter(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func flip(b []byte, at int) []byte {
	c := slices.Clone(b)
	c[at] ^= 1
	return c
}

// FuzzFilter opens anything with a right checksum, as whoever can write the file
// could make, and asks it.
func FuzzFilter(f *testing.F) {
	f.Add(make([]byte, 32), []byte("table"))
	f.Fuzz(func(t *testing.T, data, entries []byte) {
		if len(data) > 4096 || len(entries) > 32*1024 {
			return
		}
		path := write(t, "filter", forge(data, entries))
		filter, err := breach.OpenFilter(path)
		if err != nil {
			return
		}
		defer filter.Close()
		for i := range 1024 {
			var sum [20]byte
			binary.BigEndian.PutUint16(sum[:], uint16(i)<<6)
			copy(sum[8:], data)
			if _, err := filter.Contains(sum); err != nil {
				t.Fatalf("Contains = %v of a filter that could be opened", err)
			}
		}
	})
}
