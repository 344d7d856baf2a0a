package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"os"
	"syscall"
	"time"
)

const (
	// smallSize is what a direction with TLS waits with.
	smallSize = 1 << 10
	// lull is how long a direction that has moved a lot waits for more before
	// it gives its large buffer back.
	lull = 100 * time.Millisecond
	// lastWord is how long a client may take to read the close frame.
	lastWord = 5 * time.Second
)

// converse asks for a web socket and, when there is one, carries bytes both
// ways until both directions have ended, one has failed or the context of the
// request has ended; or gives that task to the caller.
//
// Most sockets are silent most of the time, so each takes one goroutine more and
// no buffer, or small ones with TLS. What goes deep runs on a goroutine that
// ends: the stack of this one would not shrink again, since so much of it is in
// use already.
func (x *exchange) converse(w http.ResponseWriter, ask func()) {
	apart(func() {
		ask()
		if x.switched != nil {
			x.switched.open(w)
		}
	})
	switch {
	case x.switched == nil:
	case x.as.Switched != nil:
		x.as.Switched(x.switched.relay)
	default:
		x.switched.relay()
	}
}

// apart runs f on a goroutine of its own, and panics with what f panics with.
func apart(f func()) {
	caught := make(chan any)
	go func() {
		defer func() { caught <- recover() }()
		f()
	}()
	if why := <-caught; why != nil {
		panic(why)
	}
}

// open takes the connection of the client and writes the 101, with what the
// gate has set on the way. It panics with http.ErrAbortHandler when the client
// cannot be had.
func (s *socket) open(w http.ResponseWriter) {
	client, unused, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.Close()
		panic(http.ErrAbortHandler)
	}
	head := w.Header()
	for name, values := range s.answer.Header {
		head[name] = append(head[name], values...)
	}
	s.answer.Header, s.answer.Body = head, nil
	err = s.answer.Write(unused)
	if err == nil {
		err = unused.Flush()
	}
	if err != nil {
		s.Close()
		client.Close()
		panic(http.ErrAbortHandler)
	}
	s.client, s.answer = client, http.Response{}
	waiting, _ := unused.Peek(unused.Reader.Buffered()) // what is there cannot fail
	s.early = bytes.Clone(waiting)
	// The server holds on to these until the handler returns. What they buffer
	// with is for nothing now.
	*unused.Reader, *unused.Writer = bufio.Reader{}, bufio.Writer{}
}

// relay carries bytes both ways. An end of one direction is passed on; an error
// ends both, and so does the end of the context.
func (s *socket) relay() {
	stop := context.AfterFunc(s.ctx, func() {
		_ = s.client.SetWriteDeadline(time.Now().Add(lastWord)) // fails when it is closed, which is as good
		s.Close()
	})
	down := make(chan struct{})
	go func() {
		defer close(down)
		if s.toClient() != nil {
			s.hangUp()
		}
	}()
	if s.toUpstream() != nil {
		s.hangUp()
	}
	<-down
	stop()
	s.cancel()
	s.hangUp()
}

func (s *socket) hangUp() {
	s.Close()
	s.client.Close()
}

func (s *socket) toUpstream() error {
	early := s.early
	if s.early = nil; len(early) > 0 {
		if _, err := s.Write(early); err != nil {
			return err
		}
	}
	f := flow{src: s.client, dst: s, large: s.large, pace: s.client, raw: inClear(s.client)}
	return f.run()
}

func (s *socket) toClient() error {
	f := flow{src: s, dst: s.client, large: s.large}
	if s.wire == nil {
		return f.run()
	}
	if f.pace = s.wire; s.secure {
		return f.run()
	}
	// What the transport has read behind the 101 is above the connection.
	if err := f.buffered(); err != nil {
		return err
	}
	f.raw = inClear(s.wire.Conn)
	return f.run()
}

// flow is one direction of a web socket.
type flow struct {
	src   io.Reader
	dst   io.Writer
	large httputil.BufferPool
	pace  interface{ SetReadDeadline(time.Time) error } // of src; nil: no large buffers
	raw   syscall.RawConn                               // of src, if what comes is in clear; else nil
	one   [1]byte                                       // for peek
}

// run carries bytes until src ends, and then passes the end on.
func (f *flow) run() error {
	carry := f.guess
	if f.raw != nil {
		carry = f.wait
	}
	if err := carry(); err != io.EOF {
		return err
	}
	if half, ok := f.dst.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errHalfClose
}

// wait carries bytes with a buffer that it takes when there are some.
func (f *flow) wait() error {
	peek := f.peek
	for {
		_ = f.raw.Read(peek) // what is wrong, the next read says
		if err := f.once(); err != nil {
			return err
		}
	}
}

func (f *flow) once() error {
	buf := f.large.Get()
	defer f.large.Put(buf)
	n, err := f.src.Read(buf)
	return f.pass(buf[:n], err)
}

// buffered carries what can be had without the connection.
func (f *flow) buffered() error {
	if err := f.pace.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return f.once() // says why
	}
	for {
		err := f.once()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return f.pace.SetReadDeadline(time.Time{})
		}
		if err != nil {
			return err
		}
	}
}

// guess carries bytes with a small buffer, and with a large one when that comes
// back full: TLS does not tell whether it has any.
func (f *flow) guess() error {
	small := make([]byte, smallSize)
	for {
		n, err := f.src.Read(small)
		if err = f.pass(small[:n], err); err == nil && n == smallSize && f.pace != nil {
			err = f.flood()
		}
		if err != nil {
			return err
		}
	}
}

// pass writes what was read, and returns the first error of both.
func (f *flow) pass(p []byte, read error) error {
	if len(p) > 0 {
		if _, err := f.dst.Write(p); err != nil {
			return err
		}
	}
	return read
}

// flood carries bytes through a large buffer for as long as more come at a time
// than fit the small one. A read that finds nothing must not keep the large
// buffer, and what is read next cannot be known, so it has a deadline.
func (f *flow) flood() error {
	buf := f.large.Get()
	defer f.large.Put(buf)
	for {
		if err := f.pace.SetReadDeadline(time.Now().Add(lull)); err != nil {
			return err
		}
		n, err := f.src.Read(buf)
		silent := errors.Is(err, os.ErrDeadlineExceeded)
		if silent {
			err = nil
		}
		if err = f.pass(buf[:n], err); err != nil {
			return err
		}
		if silent || n <= smallSize {
			return f.pace.SetReadDeadline(time.Time{})
		}
	}
}
