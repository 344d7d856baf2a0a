package h1

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// copySize is how much of a body is read and written at once.
const copySize = 32 << 10

// frameSize is room for the size line of a chunk, before it, and the CRLF
// after it.
const (
	sizeLine  = 10
	frameSize = sizeLine + 2
)

var copies = sync.Pool{New: func() any { return new([frameSize + copySize]byte) }}

// lastWrite is how long the end of an answer waits for the last write of its
// request to return, which the server may have overtaken.
const lastWrite = 50 * time.Millisecond

var errStopped = errors.New("h1: the request body is no longer wanted")

// sender writes a request body on a goroutine of its own, since the server may
// answer, or wait for its answer to be read, before it reads on.
type sender struct {
	x    *exchange
	c    *conn
	rest []byte // what is left of the head
	done chan struct{}
	err  error // set before done is closed: not everything was sent

	mu      sync.Mutex
	reading bool  // a Read of the body is under way
	last    bool  // nothing but the last write is
	stopped bool  // no further Read may begin
	headed  bool  // the head of the answer was read
	fault   error // of the body
}

// stream starts the sender. It sees to the closing of the request body.
func (x *exchange) stream(c *conn, rest []byte) {
	s := &sender{x: x, c: c, rest: append([]byte(nil), rest...), done: make(chan struct{})}
	x.send = s
	var body io.ReadCloser // nil if it is part of rest
	if !x.taken {
		body = x.req.Body
	}
	x.taken = true
	go s.run(body)
}

func (s *sender) run(body io.ReadCloser) {
	if s.err = s.sendAll(body); s.err == nil {
		s.await()
	}
	if s.isStopped() {
		// Closing may take as long as reading; who is waiting wants neither.
		close(s.done)
		closeAny(body)
		return
	}
	closeAny(body)
	close(s.done)
}

func closeAny(body io.Closer) {
	if body != nil {
		body.Close()
	}
}

func (s *sender) isStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

func (s *sender) sendAll(body io.ReadCloser) error {
	if body == nil {
		s.setLast()
	}
	if len(s.rest) > 0 {
		if _, err := s.c.Write(s.rest); err != nil {
			return err
		}
	}
	if body == nil {
		return nil
	}
	buf := copies.Get().(*[frameSize + copySize]byte)
	defer copies.Put(buf)
	var err error
	if n := s.x.head.length; n > 0 {
		err = s.sendLength(body, buf[:copySize], n)
	} else if n < 0 {
		err = s.sendChunks(body, buf[:])
	}
	if s.failed() != nil {
		// The server must not take what it has for the whole.
		s.x.abort()
	}
	return err
}

// sendLength sends the n bytes that were announced.
func (s *sender) sendLength(body io.Reader, buf []byte, n int64) error {
	for n > 0 {
		m, err := s.read(body, buf[:min(n, int64(len(buf)))])
		if n -= int64(m); n == 0 {
			s.setLast()
		}
		if m > 0 {
			if _, err := s.c.Write(buf[:m]); err != nil {
				return err
			}
		}
		switch {
		case n == 0 && err == io.EOF:
			return nil
		case err == io.EOF:
			return s.fail(errUnequal)
		case err != nil:
			return err
		}
	}
	// Read to the end: that is where a body tells its own story.
	for {
		m, err := s.read(body, buf[:1])
		switch {
		case m > 0:
			return s.fail(errUnequal)
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// sendChunks sends each piece as it comes.
func (s *sender) sendChunks(body io.Reader, buf []byte) error {
	for {
		m, err := s.read(body, buf[sizeLine:sizeLine+copySize])
		if m > 0 {
			size := fmt.Appendf(nil, "%x\r\n", m)
			from := sizeLine - len(size)
			copy(buf[from:], size)
			end := sizeLine + m + copy(buf[sizeLine+m:], "\r\n")
			if _, err := s.c.Write(buf[from:end]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			s.setLast()
			_, err = io.WriteString(s.c, "0\r\n\r\n")
			return err
		}
		if err != nil {
			return err
		}
	}
}

// read is a Read of the body unless the exchange is over.
func (s *sender) read(body io.Reader, p []byte) (int, error) {
	s.mu.Lock()
	if s.stopped {
		s.mu.Unlock()
		return 0, errStopped
	}
	s.reading = true
	s.mu.Unlock()
	n, err := body.Read(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reading = false
	if s.stopped {
		return 0, errStopped
	}
	if err != nil && err != io.EOF {
		s.fault = err
	}
	return n, err
}

// fail records a fault of the body.
func (s *sender) fail(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = err
	return err
}

// failed returns what was wrong with the body.
func (s *sender) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

func (s *sender) setLast() {
	s.mu.Lock()
	s.last = true
	s.mu.Unlock()
}

// await begins the limit on the answer.
func (s *sender) await() {
	limit := s.x.t.opt.ResponseTimeout
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.headed && !s.stopped && limit > 0 {
		s.c.until = time.Now().Add(limit) // the next exchange sets another
		_ = s.c.SetReadDeadline(s.c.until)
	}
}

// answered is called when the head has been read: the connection's deadline is
// the reader's again.
func (s *sender) answered() {
	s.mu.Lock()
	s.headed = true
	s.mu.Unlock()
}

// finished reports whether the request was sent completely.
func (s *sender) finished() bool {
	select {
	case <-s.done:
		return s.err == nil
	default:
	}
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	if !last {
		return false
	}
	late := time.NewTimer(lastWrite)
	defer late.Stop()
	select {
	case <-s.done:
		return s.err == nil
	case <-late.C:
		return false
	}
}

// quit ends the sending; the connection is closed already. It waits for it,
// but not for a Read of the body: that ends when whoever owns the body wants.
func (s *sender) quit() {
	s.mu.Lock()
	s.stopped = true
	reading := s.reading
	s.mu.Unlock()
	if !reading {
		<-s.done
	}
}
