package declog

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

// Raw is the text of one event in a log, not parsed yet.
type Raw struct {
	// Line is where it begins, counted from 1.
	Line int
	// Text is one JSON object, or what stands in its place; nil when Err is set.
	Text []byte
	// Err says why there is no text here: a line that holds no object, or one that
	// is longer than MaxLine.
	Err error
}

// Errors of single lines.
var (
	errNoObject = errors.New("no JSON object begins here")
	errTooLong  = fmt.Errorf("longer than %d bytes", MaxLine)
	errCutOff   = errors.New("the log ends in the middle of an event")
)

// Scan reads a log, as JSON lines, as JSON arrays, or as both, plain or gzipped,
// and calls each for every event in order, until that returns false. What is
// wrong with one line is told to each, and reading goes on at the next. The error
// is of reading itself: r cannot be read, or is broken gzip. It keeps no more
// than one event in memory; each may keep what it gets.
func Scan(r io.Reader, each func(Raw) bool) error {
	buffered := bufio.NewReaderSize(r, 64<<10)
	if magic, _ := buffered.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(buffered)
		if err != nil {
			return fmt.Errorf("read gzip: %w", err)
		}
		buffered = bufio.NewReaderSize(z, 64<<10)
	}
	s := scanner{r: buffered, line: 1, each: each}
	for s.going() {
		s.value()
	}
	if errors.Is(s.err, io.EOF) {
		return nil
	}
	if s.err != nil {
		return fmt.Errorf("read line %d: %w", s.line, s.err)
	}
	return nil
}

// scanner is at the beginning of a value, or between two.
type scanner struct {
	r    *bufio.Reader
	line int
	each func(Raw) bool
	done bool  // each has enough
	err  error // of reading; io.EOF at the end
}

func (s *scanner) going() bool { return !s.done && s.err == nil }

func (s *scanner) tell(raw Raw) {
	if !s.done {
		s.done = !s.each(raw)
	}
}

// next returns the next byte that is no white space, without taking it.
func (s *scanner) next() (byte, bool) {
	for {
		c, err := s.r.ReadByte()
		if err != nil {
			s.err = err
			return 0, false
		}
		switch c {
		case '\n':
			s.line++
		case ' ', '\t', '\r':
		default:
			s.err = s.r.UnreadByte()
			return c, s.err == nil
		}
	}
}

// value reads a line that is an object, or an array of any number of lines.
func (s *scanner) value() {
	switch c, ok := s.next(); {
	case !ok:
	case c == '[':
		_, s.err = s.r.Discard(1)
		s.array()
	default:
		line := s.line
		text, err := s.restOfLine()
		switch {
		case err != nil:
			s.tell(Raw{Line: line, Err: err})
		case c != '{':
			s.tell(Raw{Line: line, Err: errNoObject})
		default:
			s.tell(Raw{Line: line, Text: text})
		}
	}
}

// restOfLine takes what is left of the line.
func (s *scanner) restOfLine() ([]byte, error) {
	var text []byte
	long := false
	for {
		part, err := s.r.ReadSlice('\n')
		if len(text)+len(part) > MaxLine+2 {
			long, text = true, nil
		}
		if !long {
			text = append(text, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if s.err = err; err == nil {
			s.line++
		}
		if long {
			return nil, errTooLong
		}
		return bytes.TrimRight(text, "\r\n"), nil
	}
}

// array reads the objects of an array up to its end. What is no object ends it:
// reading goes on at the next line.
func (s *scanner) array() {
	for s.going() {
		c, ok := s.next()
		line := s.line
		switch {
		case !ok:
			s.tell(Raw{Line: line, Err: errCutOff})
		case c == ']':
			_, s.err = s.r.Discard(1)
			return
		case c == ',':
			_, s.err = s.r.Discard(1)
		case c != '{':
			if _, err := s.restOfLine(); err != nil {
				s.tell(Raw{Line: line, Err: err})
				return
			}
			s.tell(Raw{Line: line, Err: errNoObject})
			return
		default:
			text, err := s.object()
			if s.tell(Raw{Line: line, Text: text, Err: err}); err != nil {
				return
			}
		}
	}
}

// object takes one object by its braces. Whether it is JSON is for Parse to say.
func (s *scanner) object() ([]byte, error) {
	var text []byte
	depth, quoted, escaped := 0, false, false
	for {
		c, err := s.r.ReadByte()
		if err != nil {
			s.err = err
			return nil, errCutOff
		}
		if text = append(text, c); len(text) > MaxLine {
			_, _ = s.restOfLine()
			return nil, errTooLong
		}
		switch {
		case c == '\n':
			s.line++
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return text, nil
			}
		}
	}
}
