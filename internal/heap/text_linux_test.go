package heap

import (
	"slices"
	"strings"
	"testing"
)

func TestOnlyUnchangedTextIsDropped(t *testing.T) {
	const smaps = `00400000-01500000 r-xp 00000000 fe:00 42                         /bin/gatehouse
Rss:               14312 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
01500000-02a00000 r--p 01100000 fe:00 42                         /bin/gatehouse
Rss:               11200 kB
Anonymous:             4 kB
02a00000-02b00000 rw-p 02600000 fe:00 42                         /bin/gatehouse
Anonymous:             0 kB
02b00000-02c00000 r--p 02700000 fe:00 42                         /bin/gatehouse
Anonymous:             0 kB
7f0000000000-7f0000001000 r-xp 00000000 fe:00 43                 /lib/libc.so
Anonymous:             0 kB
7f0000002000-7f0000003000 r-xp 00000000 00:00 0
Anonymous:             0 kB
`
	want := []mapping{{0x400000, 0x1500000}, {0x2b00000, 0x2c00000}}
	if got := clean(strings.NewReader(smaps), "/bin/gatehouse"); !slices.Equal(got, want) {
		t.Errorf("clean = %x, want %x", got, want)
	}
}

func TestProgramRunsOnAfterTrim(t *testing.T) {
	for range 3 {
		Trim()
	}
	if got := strings.Repeat("go on ", 2); got != "go on go on " {
		t.Errorf("after Trim: %q", got)
	}
}
