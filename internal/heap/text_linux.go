package heap

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// dropText unmaps the pages of the program's own text and constants: starting
// and compiling run much code that serving never does. The kernel has them in its
// cache and maps what is used again. Mappings with pages that differ from the
// file, of a debugger or a relocation, are left alone.
func dropText() {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer f.Close()
	for _, m := range clean(f, self) {
		// Without success more memory is mapped, and nothing else.
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, m.from, m.to-m.from, syscall.MADV_DONTNEED)
	}
}

// mapping is a range of addresses.
type mapping struct{ from, to uintptr }

// clean returns the mappings of the file called name, in the form of
// /proc/PID/smaps, that cannot be written and are as they are in the file.
func clean(smaps io.Reader, name string) []mapping {
	var found []mapping
	var now mapping
	candidate := false
	lines := bufio.NewScanner(smaps)
	for lines.Scan() {
		line := lines.Text()
		if key, value, ok := strings.Cut(line, ":"); ok && !strings.Contains(key, " ") {
			if candidate && key == "Anonymous" && strings.TrimSpace(value) == "0 kB" {
				found = append(found, now)
			}
			continue
		}
		var perms string
		n, err := fmt.Sscanf(line, "%x-%x %s", &now.from, &now.to, &perms)
		candidate = err == nil && n == 3 && len(perms) == 4 && perms[1] == '-' && strings.HasSuffix(line, " "+name)
	}
	return found
}
