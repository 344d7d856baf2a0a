package lazyconn

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// glance is how often somebody who waits for a single byte is sent to look.
const glance = 50 * time.Millisecond

// Listen wraps a listener of TCP. What else it accepts stays as it is.
func Listen(ln net.Listener) net.Listener { return listener{ln} }

type listener struct{ net.Listener }

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok && err == nil {
		return &conn{Conn: tcp, tcp: tcp}, nil
	}
	return c, err
}

// conn is a TCP connection. It is a net.Conn with what net/http and its users look
// for besides: CloseWrite, ReadFrom and SyscallConn.
type conn struct {
	net.Conn
	tcp *net.TCPConn

	mu sync.Mutex
	// want is the deadline for reading that was asked for, armed the one that is
	// set; zero for none. A read that ends at armed looks at want.
	want, armed time.Time
	// wrote is whether there was a deadline for writing, ever.
	wrote bool
	// exact: deadlines are set at once, since somebody reads past Read.
	exact  bool
	closed bool
	watch  watch

	// reading counts those who read, behind is true when want has passed and is
	// not set: nobody was reading when it came.
	reading atomic.Int32
	behind  atomic.Bool
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 1 && !c.linger() {
		return 0, os.ErrDeadlineExceeded
	}
	c.reading.Add(1)
	defer c.reading.Add(-1)
	if c.behind.Load() {
		return 0, os.ErrDeadlineExceeded
	}
	for {
		n, err := c.tcp.Read(p)
		if n > 0 || err == nil || !errors.Is(err, os.ErrDeadlineExceeded) || !c.early() {
			return n, err
		}
	}
}

// early reports whether a read ended at a deadline that does not hold, after
// setting the one that does.
func (c *conn) early() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.armed.Equal(c.want) || !c.want.IsZero() && time.Until(c.want) <= 0 {
		return false
	}
	return c.arm() == nil
}

// arm sets the deadline that was asked for, while the connection is locked.
func (c *conn) arm() error {
	c.armed = c.want
	return c.tcp.SetReadDeadline(c.want)
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.setRead(t)
}

func (c *conn) setRead(t time.Time) error {
	c.want = t
	c.behind.Store(false)
	if c.closed {
		return net.ErrClosed
	}
	if !t.IsZero() && c.watch.parked {
		past := time.Until(t) <= 0
		c.watch.end(!past)
		// Whoever begins to read now sees it, one way or the other.
		if c.behind.Store(past); past && !c.exact && c.reading.Load() == 0 {
			return nil
		}
	}
	// One that is set already, and earlier, is early enough.
	if !c.exact && (t.IsZero() || !c.armed.IsZero() && !c.armed.After(t)) {
		return nil
	}
	return c.arm()
}

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.setWrite(t)
}

func (c *conn) setWrite(t time.Time) error {
	if t.IsZero() && !c.wrote {
		return nil // there is none to clear
	}
	c.wrote = true
	return c.tcp.SetWriteDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(c.setRead(t), c.setWrite(t))
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.behind.Store(false)
	c.watch.stop()
	c.mu.Unlock()
	return c.tcp.Close()
}

// CloseWrite ends what is sent, as that of net.TCPConn does.
func (c *conn) CloseWrite() error { return c.tcp.CloseWrite() }

// ReadFrom implements io.ReaderFrom, by sendfile or splice where the system can.
func (c *conn) ReadFrom(r io.Reader) (int64, error) { return c.tcp.ReadFrom(r) }

// SyscallConn implements syscall.Conn. From then on deadlines are set at once:
// they hold for whoever reads so as well.
func (c *conn) SyscallConn() (syscall.RawConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.exact = true
	if !c.armed.Equal(c.want) {
		if err := c.arm(); err != nil {
			return nil, err
		}
	}
	return c.tcp.SyscallConn()
}
