package transfer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// errLong means a line of more bytes than the bound; it has been skipped.
var errLong = errors.New("the line is too long")

// lines reads lines of at most max bytes and holds no more than one of them.
type lines struct {
	r   *bufio.Reader
	max int
	n   int // of the line read last, from 1
	buf []byte
}

func newLines(r io.Reader, most int) *lines {
	return &lines{r: bufio.NewReaderSize(r, 64<<10), max: most}
}

// next returns the next line without its line feed, until the next call; a
// carriage return before it may be part of a quoted cell.
// errLong, io.EOF, and what the reader below says.
func (l *lines) next() ([]byte, error) {
	l.buf = l.buf[:0]
	long, any := false, false
	for {
		part, err := l.r.ReadSlice('\n')
		any = any || len(part) > 0
		if long = long || len(l.buf)+len(part) > l.max+2; !long {
			l.buf = append(l.buf, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return nil, fmt.Errorf("read line %d: %w", l.n+1, err)
		case !any:
			return nil, io.EOF
		}
		l.n++
		line := bytes.TrimSuffix(l.buf, []byte("\n"))
		if long || len(line) > l.max {
			return nil, errLong
		}
		return line, nil
	}
}

// start skips the mark of UTF-8 and refuses what is no text at all, before
// anything is made of it.
func (l *lines) start() error {
	head, err := l.r.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read line 1: %w", err)
	}
	switch {
	case len(head) == 0:
		return fmt.Errorf("%w: it is empty", ErrFile)
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		return fmt.Errorf("%w: it is written in UTF-16; save it as UTF-8", ErrFile)
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return fmt.Errorf("%w: it is compressed; unpack it first", ErrFile)
	case bytes.IndexByte(head, 0) >= 0:
		return fmt.Errorf("%w: it is no text", ErrFile)
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		_, err := l.r.Discard(3)
		return err
	}
	return nil
}

// refuses returns why a line cannot be text, "" if it can.
func refuses(line []byte) string {
	switch {
	case bytes.IndexByte(line, 0) >= 0:
		return "it holds a NUL byte"
	case !utf8.Valid(line):
		return "it is not UTF-8"
	}
	return ""
}
