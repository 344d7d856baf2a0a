package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
)

// conn is a connection to an upstream that knows whether the answer to a
// request came after the request.
//
// net/http takes a connection back as soon as an answer is complete and only
// then looks whether the server sent more than that. A request that gets the
// connection in between is answered with the leftover: with what another
// person's request made the application say. The transport cannot be asked for
// bytes it has buffered, but it reads from the connection only when it has
// none. So if nothing was read between the first byte written for a request
// and the first byte of its answer, that byte is a leftover. For TLS the same
// holds below the encryption, where this type stands.
type conn struct {
	net.Conn
	turn atomic.Int32
}

// The turns of one exchange.
const (
	begun    int32 = iota // the connection was given to a request
	asked                 // of which something is being written
	answered              // and since then something was read
	leftover              // an answer was there before that
)

func (c *conn) Write(p []byte) (int, error) {
	c.turn.CompareAndSwap(begun, asked)
	return c.Conn.Write(p)
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.turn.CompareAndSwap(asked, answered)
	}
	return n, err
}

var errHalfClose = errors.New("cannot close one direction only")

// CloseWrite lets web sockets end one direction first.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errHalfClose
}

// begin is called when the connection is given to a request.
func (c *conn) begin() { c.turn.Store(begun) }

// firstByte is called when an answer begins.
func (c *conn) firstByte() {
	if c.turn.Load() != answered {
		c.turn.Store(leftover)
	}
}

// mixedUp reports whether the answer was there before the request.
func (c *conn) mixedUp() bool { return c.turn.Load() == leftover }

// wrap makes a dialer return conns.
func wrap(dial func(context.Context, string, string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &conn{Conn: c}, nil
	}
}

// underlying returns the conn below c, nil if there is none.
func underlying(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	own, _ := c.(*conn)
	return own
}
