package pgserver

import "syscall"

// enough is how much memory must be free for files in it.
const enough = 2 << 30

// place returns a directory in memory, where databases are made ten times as
// fast, or "" for the usual one.
func place() string {
	const shm = "/dev/shm"
	var fs syscall.Statfs_t
	if err := syscall.Statfs(shm, &fs); err != nil || fs.Bavail*uint64(fs.Bsize) < enough {
		return ""
	}
	return shm
}
