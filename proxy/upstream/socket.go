package upstream

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
)

var errUnasked = errors.New("switched protocols unasked")

var errSwitched = errors.New("the connection is a web socket now")

// upgraded judges a 101. One that was not asked for would turn the pooled
// connection into a tunnel. One that is accepted is returned as errSwitched,
// and converse goes on with it.
func (x *exchange) upgraded(res *http.Response) error {
	up := res.Header["Upgrade"]
	conn, ok := res.Body.(io.ReadWriteCloser)
	if !x.socket || !ok || len(up) != 1 || !strings.EqualFold(up[0], "websocket") {
		return x.bad(errUnasked)
	}
	if x.as.Response != nil {
		if err := x.as.Response(res); err != nil {
			return x.bad(err)
		}
	}
	// The filter of the caller may have taken these for hop-by-hop fields.
	res.Header["Connection"], res.Header["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	x.switched = &socket{
		ReadWriteCloser: conn, ctx: x.ctx, cancel: x.cancel,
		wire: x.conn.Load(), secure: x.up.scheme == "https", answer: *res, large: x.up.large,
	}
	res.Body = http.NoBody // it is closed with the error, and the socket is not to be
	return errSwitched
}

// closePolicy is an unmasked close frame with status 1008, policy violation
// (RFC 6455 §7.4.1).
var closePolicy = []byte{0x88, 0x02, 0x03, 0xf0}

var errEnded = errors.New("the right to this web socket has ended")

// socket is the upstream's end of a web socket. It follows the frames that
// come from the upstream, so that it can close the conversation properly when
// ctx ends: between two frames, or not at all.
type socket struct {
	io.ReadWriteCloser
	ctx    context.Context
	cancel context.CancelFunc
	wire   *conn         // below ReadWriteCloser, where reads get deadlines; may be nil
	secure bool          // TLS is between the two
	answer http.Response // the 101, without a body, until it is written
	client net.Conn      // once it is
	early  []byte        // what the client sent before it was
	large  httputil.BufferPool
	frames frames
	ended  bool
}

func (s *socket) Read(p []byte) (int, error) {
	if s.ended {
		return 0, errEnded
	}
	n, err := s.ReadWriteCloser.Read(p)
	s.frames.advance(p[:n])
	if n > 0 || err == nil || s.ctx.Err() == nil {
		return n, err
	}
	if !s.frames.between() || len(p) < len(closePolicy) {
		return 0, errEnded
	}
	// The upstream's side was closed when ctx ended, so no frame of the
	// upstream can follow this one.
	s.ended = true
	return copy(p, closePolicy), nil
}

// CloseWrite tells the upstream that the client will send no more.
func (s *socket) CloseWrite() error {
	if half, ok := s.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return io.EOF
}

// frames follows a stream of web socket frames (RFC 6455 §5.2).
type frames struct {
	head [14]byte // of the frame that is being read
	have int      // bytes of head
	rest uint64   // bytes of payload still to come
}

// between reports whether the stream stands at the start of a frame.
func (f *frames) between() bool { return f.have == 0 && f.rest == 0 }

func (f *frames) advance(p []byte) {
	for len(p) > 0 {
		if f.rest > 0 {
			n := min(f.rest, uint64(len(p)))
			f.rest -= n
			p = p[n:]
			continue
		}
		f.head[f.have] = p[0]
		f.have++
		p = p[1:]
		if need, size := f.header(); f.have == need {
			f.have, f.rest = 0, size
		}
	}
}

// header returns how long the header is, as far as its bytes tell, and the
// size of the payload once they are all there.
func (f *frames) header() (need int, size uint64) {
	if f.have < 2 {
		return 2, 0
	}
	need, size = 2, uint64(f.head[1]&0x7f)
	switch size {
	case 126:
		need = 4
		size = uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		need = 10
		size = binary.BigEndian.Uint64(f.head[2:])
	}
	if f.head[1]&0x80 != 0 {
		need += 4 // masked: clients do that, servers must not
	}
	return need, size
}
