//go:build !unix

package h1

// canCheck says that a connection can be looked at without waiting.
const canCheck = false

func (c *conn) sendAndWait(uintptr) bool {
	c.err = errNoSocket
	return true
}

func (c *conn) peek(uintptr) { c.err = errNoSocket }
