//go:build unix

package h1

import (
	"io"
	"syscall"
)

// canCheck says that a connection can be looked at without waiting.
const canCheck = true

// sendAndWait is run by the poller of the runtime: true ends the wait, false
// sleeps until there is something to read. The runtime keeps sockets
// non-blocking.
func (c *conn) sendAndWait(fd uintptr) bool {
	if c.sent {
		return c.take(int(fd))
	}
	if c.peek(fd); c.err != nil {
		c.stale = true
		return true
	}
	for len(c.out) > 0 {
		n, err := syscall.Write(int(fd), c.out)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return true // the rest is for another goroutine
		case err != nil:
			c.err = c.failure("write", err)
			return true
		default:
			c.out = c.out[n:]
		}
	}
	c.sent = true
	return c.hold
}

// take reads the first bytes of the answer; false if there are none yet.
func (c *conn) take(fd int) bool {
	for {
		n, err := syscall.Read(fd, c.buf)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return false
		case err != nil:
			c.err = c.failure("read", err)
		case n == 0:
			c.err = io.EOF
		default:
			c.w = n
		}
		return true
	}
}

// peek sets c.err if there is something to be read: the end, an error, or
// bytes that belong to no request. It consumes them; the connection is lost in
// any case.
func (c *conn) peek(fd uintptr) {
	var b [1]byte
	for {
		n, err := syscall.Read(int(fd), b[:])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
		case err != nil:
			c.err = c.failure("read", err)
		case n == 0:
			c.err = io.EOF
		default:
			c.err = errLeftover
		}
		return
	}
}
