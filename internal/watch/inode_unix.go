//go:build unix

package watch

import (
	"io/fs"
	"syscall"
)

// inode tells a file from another one of the same name; 0 when unknown.
func inode(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}
