package accesslog

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// The words for places that are no file.
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// Sink is where lines go. It is safe for concurrent use.
type Sink struct {
	path string // "" for a stream

	mu     sync.Mutex
	file   *os.File
	closed bool
}

// Open opens Stdout, Stderr, or else the file of that path, which is made with
// mode 0600 when there is none, and appended to. A link is followed, and a named
// pipe that somebody reads will do. A file that is renamed or removed is opened
// anew before the next write.
func Open(place string) (*Sink, error) {
	switch place {
	case Stdout:
		return stream(os.Stdout)
	case Stderr:
		return stream(os.Stderr)
	}
	file, err := openFile(place)
	if err != nil {
		return nil, fmt.Errorf("open access log: %w", err)
	}
	return &Sink{path: place, file: file}, nil
}

// stream returns a sink to what a standard stream leads to, by another
// descriptor: a write to descriptor 1 or 2 that nobody reads any more ends the
// process (os/signal, "SIGPIPE").
func stream(f *os.File) (*Sink, error) {
	// Between Dup and CloseOnExec no other goroutine may start a program.
	syscall.ForkLock.RLock()
	fd, err := syscall.Dup(int(f.Fd()))
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, fmt.Errorf("open access log: %s: %w", f.Name(), err)
	}
	return &Sink{file: os.NewFile(uintptr(fd), f.Name())}, nil
}

func openFile(path string) (*os.File, error) {
	// Without O_NONBLOCK a pipe that nobody reads would hang here.
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o600)
}

// Write implements io.Writer. When the file was moved and cannot be opened anew,
// text goes to the one that is open, and the error says so although all of text
// was written.
func (s *Sink) Write(text []byte) (int, error) {
	var moved error
	if s.path != "" && s.moved() {
		moved = s.Reopen()
	}
	for {
		file := s.current()
		n, err := file.Write(text)
		if n == 0 && errors.Is(err, os.ErrClosed) && s.current() != file {
			continue // reopened in this very moment
		}
		return n, errors.Join(err, moved)
	}
}

func (s *Sink) current() *os.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file
}

// moved tells whether the path is no longer the file that is open.
func (s *Sink) moved() bool {
	open, err := s.current().Stat()
	if err != nil {
		return !errors.Is(err, os.ErrClosed)
	}
	there, err := os.Stat(s.path)
	return err != nil || !os.SameFile(open, there)
}

// Reopen opens the file of the same path anew, for programs that rotate logs; on
// an error the one that is open stays. A stream stays as it is.
func (s *Sink) Reopen() error {
	if s.path == "" {
		return nil
	}
	file, err := openFile(s.path)
	if err != nil {
		return fmt.Errorf("reopen access log: %w", err)
	}
	s.mu.Lock()
	old := s.file
	if s.closed {
		old = file
	} else {
		s.file = file
	}
	s.mu.Unlock()
	_ = old.Close() // what was written is with the system already
	return nil
}

// Close closes the file. It does not wait for a Write that hangs.
func (s *Sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if err := s.file.Close(); err != nil {
		return fmt.Errorf("close access log: %w", err)
	}
	return nil
}
