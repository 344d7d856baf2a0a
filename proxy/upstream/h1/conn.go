package h1

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// bufferSize is what an idle connection keeps. It holds the head of most
// answers, and any line of a chunked body. Larger pieces of a body go past it.
const bufferSize = 4 << 10

var (
	errLeftover = errors.New("h1: the answer was there before the request")
	errNoSocket = errors.New("h1: not a connection that can be checked")
)

// conn is a connection and what was read from it but not yet taken.
type conn struct {
	net.Conn
	raw  syscall.RawConn
	send func(fd uintptr) bool // c.sendAndWait, made once
	look func(fd uintptr)      // c.peek, made once

	buf  []byte
	r, w int // buf[r:w] was read and not taken

	used  bool      // it has carried an exchange
	until time.Time // the deadline that is set; zero for none
	since time.Time // when it became idle

	// What sendAndWait and peek work with.
	out   []byte // what is to be written
	hold  bool   // do not wait for the answer: a body follows
	sent  bool   // out was written, the answer is awaited
	stale bool   // err was there before anything was written
	err   error
}

func newConn(nc net.Conn) (*conn, error) {
	s, ok := nc.(syscall.Conn)
	if !ok {
		return nil, errNoSocket
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: nc, raw: raw, buf: make([]byte, bufferSize)}
	c.send, c.look = c.sendAndWait, c.peek
	return c, nil
}

// begin writes out if the connection is silent, and waits for the first bytes
// of the answer unless hold is set or out could not be written at once. It
// returns what is still to be written. stale reports that nothing was written
// because something was there to be read already: bytes, an end, an error.
//
// All of it is one wait of the poller: it is armed before the request is
// written, so that the goroutine need not try to read an answer that cannot be
// there yet.
func (c *conn) begin(out []byte, hold bool) (rest []byte, err error) {
	c.out, c.hold, c.sent, c.stale, c.err = out, hold, false, false, nil
	err = c.raw.Read(c.send)
	rest, c.out = c.out, nil
	if err == nil {
		err = c.err
	}
	return rest, err
}

// fill reads more into the buffer, at least one byte.
func (c *conn) fill() error {
	switch {
	case c.r == c.w:
		c.r, c.w = 0, 0
	case c.r > 0 && c.w == len(c.buf):
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	}
	if c.w == len(c.buf) {
		return errTooLong
	}
	n, err := c.Conn.Read(c.buf[c.w:])
	c.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// grow doubles the buffer; rest makes it small again.
func (c *conn) grow() {
	b := make([]byte, 2*len(c.buf))
	c.w = copy(b, c.buf[c.r:c.w])
	c.r, c.buf = 0, b
}

// rest makes the connection ready to be idle.
func (c *conn) rest() {
	c.used = true
	c.r, c.w = 0, 0
	if len(c.buf) > bufferSize {
		c.buf = make([]byte, bufferSize)
	}
}

func (c *conn) buffered() []byte { return c.buf[c.r:c.w] }

// line returns the buffered line without its CRLF; false if it is not complete.
// A line feed alone is an error.
func (c *conn) line() (line []byte, ok bool, err error) {
	b := c.buffered()
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return nil, false, nil
	}
	if i == 0 || b[i-1] != '\r' {
		return nil, false, errBareLF
	}
	c.r += i + 1
	return b[:i-1], true, nil
}

// read reads part of a body into p, past the buffer if that is empty.
func (c *conn) read(p []byte) (int, error) {
	if c.r == c.w {
		if c.untime(); len(p) >= bufferSize {
			return c.Conn.Read(p)
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.buf[c.r:c.w])
	c.r += n
	return n, nil
}

// time sets a deadline for the head, no less than limit away and little more: one
// that was set for the exchange before serves this one too, most of the time.
// Setting one is a call into the runtime's timers.
func (c *conn) time(limit time.Duration) error {
	now := time.Now()
	if c.until.Sub(now) >= limit {
		return nil
	}
	c.until = now.Add(limit + min(limit/8, time.Second))
	return c.SetDeadline(c.until)
}

// untime takes away the deadline of the head: a body may take its time. It is
// called only when a body has to be waited for, most never have.
func (c *conn) untime() {
	if !c.until.IsZero() {
		c.until = time.Time{}
		_ = c.SetDeadline(time.Time{})
	}
}

// quiet reports whether an idle connection is still open and silent.
func (c *conn) quiet() bool {
	c.err = nil
	return c.raw.Control(c.look) == nil && c.err == nil
}

// failure is errno as the net package would report it.
func (c *conn) failure(op string, errno error) error {
	return &net.OpError{
		Op: op, Net: c.RemoteAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(),
		Err: os.NewSyscallError(op, errno),
	}
}
