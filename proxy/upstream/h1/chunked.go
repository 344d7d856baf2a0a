package h1

import (
	"bytes"
	"errors"
	"io"
)

const (
	// maxSizeLine bounds the line before a chunk, with its extension.
	maxSizeLine = 256
	// maxTrailer bounds all trailers, as net/http does.
	maxTrailer = 4 << 10
	// maxExcess bounds what a server may send beside the data: extensions of
	// chunks are thrown away, and could go on for ever. A byte in a chunk of
	// its own is still within it.
	maxExcess = 16 << 10
)

// net/http takes spaces behind the size and any bytes in an extension; here
// both are errors.
var (
	errChunk  = errors.New("h1: malformed chunk")
	errExcess = errors.New("h1: too much beside the data of a chunked body")
)

// chunkState is what comes next.
type chunkState int

const (
	chunkSize chunkState = iota
	chunkData
	chunkEnd
	chunkTrailer
)

// chunks reads the chunked transfer coding (RFC 9112 §7.1).
type chunks struct {
	state   chunkState
	left    int64  // of the chunk
	excess  int64  // bytes beside the data, beyond what is common
	trailer []byte // lines
}

// read returns io.EOF after the trailers. It does not wait for more once it
// has something.
func (d *chunks) read(c *conn, p []byte) (n int, err error) {
	for {
		ready := true
		switch d.state {
		case chunkData:
			if n == len(p) || n > 0 && c.r == c.w {
				return n, nil
			}
			var m int
			m, err = c.read(p[n:][:min(int64(len(p)-n), d.left)])
			n += m
			if d.left -= int64(m); d.left == 0 {
				d.state = chunkEnd
			}
		case chunkEnd:
			ready, err = d.end(c)
		case chunkSize:
			ready, err = d.size(c)
		case chunkTrailer:
			ready, err = d.trail(c)
		}
		if err == nil && !ready {
			if n > 0 {
				return n, nil
			}
			c.untime()
			err = c.fill()
		}
		switch {
		case err == errEnd:
			return n, io.EOF
		case err == io.EOF:
			return n, io.ErrUnexpectedEOF
		case err != nil:
			return n, err
		}
	}
}

// errEnd is the end of the body, as against that of the connection.
var errEnd = errors.New("h1: end of the body")

func (d *chunks) end(c *conn) (ready bool, err error) {
	b := c.buffered()
	if len(b) > 0 && b[0] != '\r' || len(b) > 1 && b[1] != '\n' {
		return true, errChunk
	}
	if len(b) < 2 {
		return false, nil
	}
	c.r += 2
	d.state = chunkSize
	return true, nil
}

func (d *chunks) size(c *conn) (ready bool, err error) {
	line, ok, err := c.line()
	if err != nil || !ok {
		if len(c.buffered()) > maxSizeLine {
			err = errChunk
		}
		return false, err
	}
	if len(line) > maxSizeLine {
		return true, errChunk
	}
	digits, extension, _ := bytes.Cut(line, []byte{';'})
	n, err := parseHex(digits)
	if err != nil {
		return true, err
	}
	if !isValue(string(extension)) {
		return true, errChunk
	}
	d.excess = max(0, d.excess+int64(len(line))+2-16-2*n)
	if d.excess > maxExcess {
		return true, errExcess
	}
	d.left, d.state = n, chunkData
	if n == 0 {
		d.state = chunkTrailer
	}
	return true, nil
}

func (d *chunks) trail(c *conn) (ready bool, err error) {
	line, ok, err := c.line()
	if err != nil || !ok {
		if len(d.trailer)+len(c.buffered()) > maxTrailer {
			err = errExcess
		}
		return false, err
	}
	if len(line) == 0 {
		return true, errEnd
	}
	d.trailer = append(append(d.trailer, line...), "\r\n"...)
	if len(d.trailer)+2 > maxTrailer {
		return true, errExcess
	}
	return true, nil
}

// parseHex reads a size: digits alone, and none so large that sums with it
// overflow.
func parseHex(b []byte) (n int64, err error) {
	if len(b) == 0 || len(b) > 15 {
		return 0, errChunk
	}
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, errChunk
		}
		n = n<<4 | int64(c)
	}
	return n, nil
}
