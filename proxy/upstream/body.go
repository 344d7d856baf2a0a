package upstream

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// requestBody is the client's body, bounded, and remembers why reading it
// ended badly: the transport reports that in its own words. It is read by a
// goroutine of the transport.
type requestBody struct {
	io.ReadCloser
	// pace, if not nil, is where the client's connection gets its deadlines.
	pace *http.ResponseController
	// silence is how long it may be silent.
	silence time.Duration
	// ends is when the reading that goes on is cut off, in ns since 1970; 0 for none.
	ends   atomic.Int64
	err    atomic.Pointer[error]
	closed atomic.Bool
}

// slowest is how long a client may be silent in the middle of a body. Without
// it every connection that sends a byte a minute holds one to the application.
const slowest = 30 * time.Second

func (b *requestBody) Read(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, http.ErrBodyReadAfterClose
	}
	b.cutOff(time.Now().Add(b.silence))
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.err.CompareAndSwap(nil, &err)
		return n, err
	}
	b.ends.Store(0)
	if err == io.EOF {
		// The connection lives on; the server watches it while the answer is
		// written, for as long as that takes.
		_ = b.deadline(time.Time{})
	}
	return n, err
}

// Close ends reading, for a goroutine of the transport that is still at it when
// the handler returns. The client's body itself is the server's to close: closing
// it reads what is left, and that may never come.
func (b *requestBody) Close() error {
	b.closed.Store(true)
	return nil
}

// cutOff sets when the reading ends that begins.
func (b *requestBody) cutOff(at time.Time) {
	if b.pace != nil && b.deadline(at) == nil {
		b.ends.Store(at.UnixNano())
	}
}

// deadline sets when reading ends; what has no deadlines, as a recorder in a
// test, has no connection to hold either.
func (b *requestBody) deadline(at time.Time) error {
	if b.pace == nil {
		return nil
	}
	return b.pace.SetReadDeadline(at)
}

// failure returns the class of what went wrong while reading; false when
// nothing did. It may be called on nil, the body of a request without one.
func (b *requestBody) failure() (Class, bool) {
	if b == nil {
		return "", false
	}
	err := b.err.Load()
	if err == nil {
		// The server ends the context before the read that it cuts off, which may
		// be told here first.
		ends := b.ends.Load()
		return BadRequest, ends != 0 && time.Now().UnixNano() >= ends
	}
	var tooLarge *http.MaxBytesError
	if errors.As(*err, &tooLarge) {
		return TooLarge, true
	}
	return BadRequest, true
}

// responseBody is the upstream's body. Closing it settles what is only known
// at the end: the trailers, and whether the connection may live on.
type responseBody struct {
	io.ReadCloser
	response *http.Response
	// connection, if not nil, is closed after the body.
	connection io.Closer
}

func (b *responseBody) Close() error {
	err := b.ReadCloser.Close()
	dropTrailers(b.response)
	if b.connection != nil {
		b.connection.Close()
	}
	return err
}

// dropTrailers removes trailers that may not be any. It runs twice: before the
// body, when only their names are known, and after it.
func dropTrailers(res *http.Response) {
	if len(res.Trailer) == 0 {
		return
	}
	for _, name := range noTrailers {
		delete(res.Trailer, name)
	}
}

// noTrailers are fields that mean something before a body and must not be
// smuggled in behind it (RFC 9110 §6.5.1).
var noTrailers = []string{
	"Set-Cookie", "Cache-Control", "Content-Encoding", "Content-Length", "Content-Range",
	"Content-Security-Policy", "Content-Type", "Expires", "Location", "Trailer",
	"Transfer-Encoding", "Vary", "Www-Authenticate", "Alt-Svc", "Clear-Site-Data",
	"Strict-Transport-Security",
}
