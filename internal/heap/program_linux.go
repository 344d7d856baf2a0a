package heap

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// letGo takes the pages of the program, its code and its constants, out of the
// memory of the process. Of some fifty MiB the system maps half while a gateway
// starts, in large pieces around what is touched; a third of them are used again.
// Those come back from the page cache at the next touch.
func letGo() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return
	}
	for _, m := range unwritten(maps, program) {
		// Advice that is not taken, as for locked memory, leaves everything as it is.
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, m.from, m.to-m.from, syscall.MADV_DONTNEED)
	}
}

// mapping is a range of addresses.
type mapping struct{ from, to uintptr }

// unwritten returns the mappings of a file that cannot be written to and never were:
// whose every page is the file's own. What was written before it was protected, as
// a loader does that relocates, would be lost, also when it is swapped out. smaps is
// as in proc_pid_smaps(5).
func unwritten(smaps []byte, file string) (found []mapping) {
	var m mapping
	ours := false
	for line := range strings.Lines(string(smaps)) {
		line = strings.TrimSuffix(line, "\n")
		var next mapping
		var perms, offset, device string
		var inode uint64
		if n, _ := fmt.Sscanf(line, "%x-%x %s %s %s %d", &next.from, &next.to, &perms, &offset, &device, &inode); n == 6 {
			// Only the path may hold blanks, and it is padded with them.
			m, ours = next, strings.HasSuffix(line, " "+file) && strings.Index(line, "/") == len(line)-len(file) &&
				(perms == "r-xp" || perms == "r--p")
			continue
		}
		var kib int
		if n, _ := fmt.Sscanf(line, "Anonymous: %d kB", &kib); n == 1 {
			ours = ours && kib == 0
		}
		// It stands below Anonymous, which what is swapped out does not count in.
		if n, _ := fmt.Sscanf(line, "Swap: %d kB", &kib); n == 1 && ours && kib == 0 {
			found = append(found, m)
		}
	}
	return found
}
