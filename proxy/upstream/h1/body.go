package h1

import (
	"io"
	"net/http"
	"sync"
)

// kinds of body: how the end is known.
type bodyKind int

const (
	none bodyKind = iota
	fixed
	chunked
	untilClose
)

// body is the body of an answer. Read and Close may be called at once; a Close
// ends a Read that waits.
type body struct {
	x      *exchange
	c      *conn
	kind   bodyKind
	left   int64 // of a fixed body
	chunks chunks

	mu     sync.Mutex
	err    error // what every further Read returns
	closed bool
}

// receive gives the response its body, or ends the exchange if it has none.
func (x *exchange) receive(c *conn) {
	if x.body.kind == none {
		x.res.Body = http.NoBody
		x.complete()
		return
	}
	x.body.x, x.body.c = x, c
	x.res.Body = &x.body
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	n, err := b.read(p)
	if err == nil {
		return n, nil
	}
	b.c = nil
	if err == io.EOF {
		b.x.complete()
	} else {
		b.x.giveUp()
		err = b.x.why(err)
	}
	b.err = err
	return n, err
}

// read returns io.EOF only at the end of a complete body; with the last bytes
// of it if it can, which saves the caller a Read.
func (b *body) read(p []byte) (int, error) {
	switch b.kind {
	case chunked:
		n, err := b.chunks.read(b.c, p)
		if err == io.EOF {
			err = b.trail()
		}
		return n, err
	case untilClose:
		return b.c.read(p)
	}
	n, err := b.c.read(p[:min(int64(len(p)), b.left)])
	if b.left -= int64(n); b.left == 0 {
		return n, io.EOF
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// trail adds the trailers to the response; io.EOF if they are in order.
func (b *body) trail() error {
	if len(b.chunks.trailer) == 0 {
		return io.EOF
	}
	h, _, err := parseFields(string(b.chunks.trailer), nil)
	if err != nil {
		return err
	}
	res := &b.x.res
	if res.Trailer == nil {
		res.Trailer = make(http.Header, len(h))
	}
	for name, values := range h {
		if !mayTrail(name) {
			return errTrailer
		}
		res.Trailer[name] = values
	}
	return io.EOF
}

// Close ends the exchange. What is left of the body is not waited for: unless
// it is here already, the connection is closed.
func (b *body) Close() error {
	if !b.mu.TryLock() {
		b.x.abort()
		b.mu.Lock()
	}
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	b.closed = true
	if b.err != nil {
		return nil
	}
	b.err = http.ErrBodyReadAfterClose
	if b.kind == fixed && b.left <= int64(b.c.w-b.c.r) {
		b.c.r += int(b.left)
		b.x.complete()
	} else {
		b.x.giveUp()
	}
	b.c = nil
	return nil
}
