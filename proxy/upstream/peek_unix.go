//go:build unix

package upstream

import (
	"net"
	"syscall"
)

// inClear returns the descriptor below c if nothing is buffered above it; nil
// otherwise.
func inClear(c net.Conn) syscall.RawConn {
	bare, ok := c.(syscall.Conn) // a connection of TLS is none
	if !ok {
		return nil
	}
	raw, err := bare.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// peek reports whether a read would not block: there are bytes, the end or an
// error.
func (f *flow) peek(fd uintptr) bool {
	for {
		_, _, err := syscall.Recvfrom(int(fd), f.one[:], syscall.MSG_PEEK)
		if err != syscall.EINTR {
			return err != syscall.EAGAIN
		}
	}
}
