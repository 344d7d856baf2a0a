package heap

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// ofFile returns how much of files the process has in memory, in KiB.
func ofFile(t *testing.T) (kib int) {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "RssFile:")
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib
}

// touchAll reads all of the program, so that it is in memory.
func touchAll(t *testing.T) (size int64) {
	t.Helper()
	memory, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range unwritten(smaps, program) {
		n, err := io.Copy(io.Discard, io.NewSectionReader(memory, int64(m.from), int64(m.to-m.from)))
		if err != nil {
			t.Fatal(err)
		}
		size += n
	}
	return size
}

func TestTrimLetsGoOfTheProgram(t *testing.T) {
	size := int(touchAll(t) >> 10)
	before := ofFile(t)
	if size < 1000 || before < size*9/10 {
		t.Fatalf("%d KiB of a program of %d KiB are in memory, want nearly all", before, size)
	}
	Trim()
	after := ofFile(t)
	t.Logf("of %d KiB, %d KiB were in memory, and %d KiB are", size, before, after)
	if after > before*3/4 {
		t.Errorf("%d KiB of the program are in memory, of %d KiB before", after, before)
	}
	if again := int(touchAll(t) >> 10); again != size {
		t.Errorf("the program has %d KiB, had %d", again, size)
	}
}

func TestOnlyPagesOfTheFileAreLetGo(t *testing.T) {
	swapping := func(addresses, perms, path string, anonymous, swap int) string {
		return fmt.Sprintf("%s %s 00000000 fe:00 42   %s\nSize:  4 kB\nRss:  4 kB\nAnonymous:  %d kB\nSwap:  %d kB\nSwapPss:  0 kB\nVmFlags: rd mr\n",
			addresses, perms, path, anonymous, swap)
	}
	one := func(addresses, perms, path string, anonymous int) string {
		return swapping(addresses, perms, path, anonymous, 0)
	}
	smaps := one("00400000-00500000", "r-xp", "/gatehouse", 0) + one("00500000-00600000", "r--p", "/gatehouse", 0) +
		one("00600000-00700000", "r--p", "/gatehouse", 4) + // relocated, then protected
		swapping("00680000-00690000", "r--p", "/gatehouse", 0, 4) + // that, and swapped out
		one("00700000-00800000", "rw-p", "/gatehouse", 0) + one("00800000-00900000", "r--s", "/gatehouse", 0) +
		one("00900000-00a00000", "---p", "/gatehouse", 0) + one("7f0000000000-7f0000001000", "r--p", "/lib/libc.so", 0) +
		one("00b00000-00c00000", "r--p", "/gatehouse (deleted)", 0) + one("00c00000-00d00000", "r--p", "", 0) +
		one("00d00000-00e00000", "r--p", "/opt/gatehouse", 0) + one("00e00000-00f00000", "r--p", "/opt /gatehouse", 0)
	want := []mapping{{0x400000, 0x500000}, {0x500000, 0x600000}}
	if got := unwritten([]byte(smaps), "/gatehouse"); !slices.Equal(got, want) {
		t.Errorf("%x are let go of, want %x", got, want)
	}
	if got := unwritten([]byte(smaps), "/opt /gatehouse"); !slices.Equal(got, []mapping{{0xe00000, 0xf00000}}) {
		t.Errorf("%x are let go of in a folder with a blank", got)
	}
	if got := unwritten([]byte("nonsense\nAnonymous: 0 kB\nSwap: 0 kB\n"), ""); got != nil {
		t.Errorf("%x are let go of for nonsense", got)
	}
}
