package heap

import (
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// None is the limit of a process that has none.
const None = math.MaxInt64

// Limit returns the smallest memory limit of the control groups that this process
// is in, in bytes, and None without any. root is the root of the file system. It
// knows both versions of control groups, and takes what cannot be read for no
// limit.
func Limit(root fs.FS) int64 {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return None
	}
	lowest := int64(None)
	for line := range strings.Lines(string(text)) {
		// hierarchy:controllers:path, see cgroups(7)
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		switch {
		case parts[1] == "":
			lowest = min(lowest, above(root, "sys/fs/cgroup", parts[2], "memory.max"))
		case contains(parts[1], "memory"):
			lowest = min(lowest, above(root, "sys/fs/cgroup/memory", parts[2], "memory.limit_in_bytes"))
		}
	}
	return lowest
}

func contains(list, word string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if item == word {
			return true
		}
	}
	return false
}

// above returns the smallest limit of a group and of those that it is in: each
// bounds all below it. Inside a container the path may be that of the host, and
// only the group at the mount is to be seen.
func above(root fs.FS, mount, group, file string) int64 {
	lowest := int64(None)
	for at := path.Clean("/" + group); ; at = path.Dir(at) {
		lowest = min(lowest, read(root, path.Join(mount, at, file)))
		if at == "/" {
			return lowest
		}
	}
}

// unlimited is from which number on version 1 means no limit: it tells the
// largest number of whole pages.
const unlimited = 1 << 60

func read(root fs.FS, name string) int64 {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return None
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // "max" is no number
	if err != nil || n <= 0 || n >= unlimited {
		return None
	}
	return n
}
