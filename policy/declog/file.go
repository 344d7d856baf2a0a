package declog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// fileSink appends one line of JSON for each decision to a file. A file that is
// renamed or removed is opened anew before the next write.
type fileSink struct {
	path string
	file *os.File // nil while none is open
	torn bool     // the file ends in the middle of a line
	buf  bytes.Buffer
}

// newFileSink tries whether the file can be written, or returns a sink to
// stdout for the path "-".
func newFileSink(path string, stdout io.Writer) (sink, error) {
	if path == "-" {
		return &streamSink{out: stdout}, nil
	}
	s := &fileSink{path: path}
	if err := s.open(); err != nil {
		return nil, err
	}
	s.close()
	return s, nil
}

func (s *fileSink) batch() batch { return batch{count: 1000, bytes: 1 << 20} }

func (s *fileSink) close() {
	if s.file != nil {
		_ = s.file.Close() // what was written is with the system already
		s.file = nil
	}
}

// open opens the file, which may be made but not a link: whoever may write to
// its folder could else choose where decisions go.
func (s *fileSink) open() error {
	// Without O_NONBLOCK a pipe would hang here before it can be refused.
	file, err := os.OpenFile(s.path, os.O_RDWR|os.O_APPEND|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", s.path)
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	s.file, s.torn = file, false
	if size := info.Size(); size > 0 {
		var last [1]byte
		_, err := file.ReadAt(last[:], size-1)
		s.torn = err == nil && last[0] != '\n'
	}
	return nil
}

// write implements sink.
func (s *fileSink) write(_ context.Context, batch []*item) (int, error) {
	if s.file != nil && s.moved() {
		s.close()
	}
	if s.file == nil {
		if err := s.open(); err != nil {
			return 0, err
		}
	}
	s.buf.Reset()
	if s.torn {
		s.buf.WriteByte('\n')
	}
	before := s.buf.Len()
	for _, it := range batch {
		_, line := it.encoded()
		s.buf.Write(line)
		s.buf.WriteByte('\n')
	}
	n, err := s.file.Write(s.buf.Bytes())
	if n > 0 {
		s.torn = s.buf.Bytes()[n-1] != '\n'
	}
	if err == nil {
		return len(batch), nil
	}
	s.close() // it is opened anew: a disk may be back under the same path
	return bytes.Count(s.buf.Bytes()[min(before, n):n], []byte("\n")), err
}

// moved tells whether path is no longer the file that is open.
func (s *fileSink) moved() bool {
	open, err := s.file.Stat()
	if err != nil {
		return true
	}
	there, err := os.Lstat(s.path)
	return err != nil || !os.SameFile(open, there)
}

// streamSink writes to a stream that is somebody else's, such as standard
// output.
type streamSink struct {
	out io.Writer
	buf bytes.Buffer
}

func (s *streamSink) batch() batch { return batch{count: 100, bytes: 64 << 10} }

func (s *streamSink) close() {}

// write implements sink. What a broken stream has taken of a batch is not
// known.
func (s *streamSink) write(_ context.Context, batch []*item) (int, error) {
	s.buf.Reset()
	for _, it := range batch {
		_, line := it.encoded()
		s.buf.Write(line)
		s.buf.WriteByte('\n')
	}
	if _, err := s.out.Write(s.buf.Bytes()); err != nil {
		return 0, fmt.Errorf("%w: %w", errRefused, err)
	}
	return len(batch), nil
}
