package h1

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
)

// exchange is one request and its answer. It holds everything that is made for
// them, so that it is made at once.
type exchange struct {
	t      *Transport
	req    *http.Request
	head   head
	res    http.Response
	body   body
	coding [1]string // for res.TransferEncoding
	values [8]string // for res.Header

	fresh bool // the next connection must be a new one
	taken bool // somebody has seen to the request body
	keep  bool // the answer lets the connection be used again
	send  *sender
	stop  func() bool // ends the watch over the context

	mu      sync.Mutex
	conn    *conn
	dialing func() // ends the attempt to connect
	ended   bool   // conn belongs to nobody, or to the pool
}

// run does the exchange up to the head of the answer. out is a buffer, which
// it may grow.
func (x *exchange) run(out *[]byte) error {
	b, h, err := appendHead((*out)[:0], x.req)
	if *out, x.head = b, h; err != nil {
		return err
	}
	if h.length > 0 && h.length <= smallBody {
		x.taken = true
		if *out, err = appendBody(b, x.req, int(h.length)); err != nil {
			return err
		}
	}
	ctx := x.req.Context()
	if err := ctx.Err(); err != nil {
		return err
	}
	if ctx.Done() != nil {
		x.stop = context.AfterFunc(ctx, x.abort)
	}
	// What authenticates the connection gets one that nobody had before.
	x.fresh = h.bound
	for {
		c, err := x.connect()
		if err != nil {
			return err
		}
		err = x.ask(c, *out)
		switch {
		case err == nil:
			return nil
		case c.stale && c.used:
			// Nothing was sent: this is not a second time.
		case x.again(c, err):
			x.fresh = true
			x.t.pool.retried()
		default:
			return err
		}
		x.drop()
	}
}

// again reports whether the request may be sent once more: it changes nothing,
// the connection had been idle, and nothing came back, so that most likely the
// server had closed it just before.
func (x *exchange) again(c *conn, err error) bool {
	m := x.req.Method
	return c.used && (m == "" || m == http.MethodGet || m == http.MethodHead) && x.head.length == 0 &&
		x.send == nil && isGone(err) && x.req.Context().Err() == nil
}

// connect gives the exchange a connection.
func (x *exchange) connect() (*conn, error) {
	var c *conn
	if !x.fresh {
		c = x.t.pool.take()
	}
	if c == nil {
		var err error
		if c, err = x.dial(); err != nil {
			return nil, err
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended {
		c.Close()
		return nil, cmp.Or(x.req.Context().Err(), errEnded)
	}
	x.conn = c
	return c, nil
}

// errEnded is what an exchange fails with that was ended otherwise than by its
// context.
var errEnded = errors.New("h1: exchange ended")

// dial makes a connection, unless the exchange ends first.
func (x *exchange) dial() (*conn, error) {
	ctx, cancel := context.WithTimeout(x.req.Context(), x.t.opt.DialTimeout)
	defer cancel()
	x.mu.Lock()
	x.dialing = cancel
	ended := x.ended
	x.mu.Unlock()
	if ended {
		return nil, errEnded
	}
	return x.t.dial(ctx)
}

func (t *Transport) dial(ctx context.Context) (*conn, error) {
	nc, err := t.opt.Dial(ctx, "tcp", t.opt.Addr)
	if err != nil {
		return nil, err
	}
	c, err := newConn(nc)
	if err != nil {
		nc.Close()
		return nil, err
	}
	t.pool.dialed()
	return c, nil
}

// drop closes the connection, for another to be tried.
func (x *exchange) drop() {
	x.mu.Lock()
	c := x.conn
	x.conn = nil
	x.mu.Unlock()
	c.Close()
}

// ask sends the request over c and reads the head of the answer.
func (x *exchange) ask(c *conn, out []byte) error {
	streamed := x.head.length < 0 || x.head.length > smallBody
	if limit := x.t.opt.ResponseTimeout; limit > 0 && !streamed {
		// The request is small: the limit may as well begin before it.
		if err := c.time(limit); err != nil {
			return err
		}
	} else {
		c.untime()
	}
	rest, err := c.begin(out, streamed)
	if err != nil {
		return err
	}
	if streamed || len(rest) > 0 {
		x.stream(c, rest)
	}
	return x.readHead(c)
}

// abort ends the exchange from outside: what reads or writes returns with an
// error. A connection that the exchange has given back is not touched, however
// late this comes.
func (x *exchange) abort() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended {
		return
	}
	x.ended = true
	if x.dialing != nil {
		x.dialing()
	}
	if x.conn != nil {
		x.conn.Close()
	}
}

// complete ends the exchange after the last byte of the answer: the connection
// goes back to the pool if there is no doubt about it.
func (x *exchange) complete() {
	// Asked first, since it may wait a little for the last write to return.
	sent := x.send == nil || x.send.finished()
	c := x.leave()
	if c != nil && sent && x.keep && c.r == c.w {
		x.t.pool.put(c)
		return
	}
	if c != nil {
		c.Close()
	}
	x.quit()
}

// giveUp ends the exchange before that.
func (x *exchange) giveUp() {
	if c := x.leave(); c != nil {
		c.Close()
	}
	x.quit()
}

// quit stops the sending of the request body.
func (x *exchange) quit() {
	if x.send != nil {
		x.send.quit()
	}
}

// leave takes the connection from the exchange; nil if it was aborted.
func (x *exchange) leave() *conn {
	if x.stop != nil {
		x.stop()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended {
		return nil
	}
	x.ended = true
	c := x.conn
	x.conn = nil
	return c
}

// fail ends the exchange without an answer and returns what to tell.
func (x *exchange) fail(err error) error {
	x.giveUp()
	if !x.taken {
		closeBody(x.req)
	}
	return x.why(err)
}

// why says what was behind err: the end of the context or a broken request
// body show as a closed connection.
func (x *exchange) why(err error) error {
	if ctx := x.req.Context().Err(); ctx != nil {
		return fmt.Errorf("h1: exchange ended: %w", ctx)
	}
	if x.send != nil {
		if broken := x.send.failed(); broken != nil {
			return fmt.Errorf("h1: read request body: %w", broken)
		}
	}
	return err
}
