package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync/atomic"

	"gatehouse/internal/httpx"
)

// max1xx is how many interim responses an answer may have before it.
const max1xx = 5

// Forward says how one request is passed on. Path is mandatory.
type Forward struct {
	// Path is the escaped path, beginning with "/", exactly as it is sent.
	Path string
	// RawQuery is what follows the "?", sent byte for byte.
	RawQuery string
	// Host is the host[:port] that was asked for; empty means the Host of the
	// request. Upstreams with `host: upstream` do not see it.
	Host string
	// Headers rebuilds the headers of the request: hop-by-hop fields, those that
	// would change what was decided on, and Forwarded, X-Forwarded-For, -Host and
	// -Proto are gone from h, and must not be set but for the last three. Its lists
	// are shared: put another in the place of one. May be nil.
	Headers func(h http.Header)
	// Websocket is true when the request was decided on as a web socket. It is
	// passed on as one only then: two readers of one request would disagree
	// some day.
	Websocket bool
	// End, if not nil, ends the exchange at any time, as the end of the context of
	// the request does.
	End *End
	// Switched takes what is left to do for a web socket once it is agreed on:
	// relay carries its bytes and returns when it has ended. It must be called
	// once, before the handler returns; a caller that does so after its deep
	// frames have returned keeps a small stack for as long as the socket lasts.
	// Nil lets Forward call it.
	Switched func(relay func())
	// Response judges and changes status and headers before they are written;
	// an error is answered through Failed. May be nil.
	Response func(*http.Response) error
	// Failed answers when nothing has been written yet. r is the request as it
	// was given to Forward and err an *Error. Nil answers the bare status.
	Failed func(w http.ResponseWriter, r *http.Request, err error)
}

// exchange is one request under way.
type exchange struct {
	up       *Upstream
	as       Forward
	in       *http.Request
	out      http.Request // what the upstream is asked
	body     *requestBody // nil without a body
	url      url.URL      // where it goes
	socket   bool         // the client asked for a web socket
	switched *socket      // and got this one
	next     http.RoundTripper
	conn     atomic.Pointer[conn] // the connection it went over last
	interim  int                  // 1xx responses so far
	ctx      context.Context      // of an exchange that goes by one, with its cancel
	cancel   context.CancelFunc
}

// Forward passes r on and writes the answer to w. It returns when the answer
// has been written, or the web socket has ended or been given to Switched. The
// context of r must end with the exchange, as the server of net/http sees to; the
// body of r is Forward's.
//
// The end of the context of r, or End, ends the exchange at any time: a web
// socket gets a close frame with status 1008 if the upstream is between two frames, a body
// is cut off. It panics with http.ErrAbortHandler when a body breaks off after it
// has begun: let that reach the server, it is how the client learns of it.
func (u *Upstream) Forward(w http.ResponseWriter, r *http.Request, as Forward) {
	x := &exchange{up: u, as: as, in: r, socket: as.Websocket}
	x.next = u.choose(r, x.socket)
	if err := x.target(); err != nil {
		x.fail(w, err)
		return
	}
	if r.ContentLength > u.maxBody {
		w.Header().Set("Connection", "close") // rather than read it to the end
		x.fail(w, &Error{Upstream: u.name, Class: TooLarge})
		return
	}
	if r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0 {
		x.body = &requestBody{ReadCloser: http.MaxBytesReader(httpx.Bare(w), r.Body, u.maxBody)}
		// A call of gRPC may be silent for as long as it likes, unless it says how
		// much there will be.
		if r.ProtoMajor == 1 || r.ContentLength > 0 || !streams(r.Header) {
			x.body.pace, x.body.silence = http.NewResponseController(w), u.silence
		}
		r.Body = x.body
	}
	if x.socket {
		x.converse(w, func() { x.carry(w) })
		return
	}
	x.carry(w)
}

var (
	errMethod = errors.New("this method is not passed on")
	errPath   = errors.New("the path is not in its canonical form")
)

// target sets where the request goes, or says why it cannot go anywhere. The
// path must come out of net/url as it went in: what was decided on is what is
// sent.
func (x *exchange) target() error {
	refuse := func(err error) error {
		return &Error{Upstream: x.up.name, Class: BadRequest, cause: err}
	}
	if m := x.in.Method; m == http.MethodConnect || m == http.MethodTrace {
		return refuse(errMethod)
	}
	path, err := url.PathUnescape(x.as.Path)
	if err != nil || !strings.HasPrefix(x.as.Path, "/") {
		return refuse(errPath)
	}
	x.url = url.URL{
		Scheme: x.up.scheme, Host: x.up.host, Path: path, RawPath: x.as.Path,
		RawQuery: x.as.RawQuery, ForceQuery: x.in.URL.ForceQuery,
	}
	if x.url.EscapedPath() != x.as.Path {
		return refuse(errPath)
	}
	return nil
}

// cancelable returns a context that ends with the exchange, for what goes by
// contexts.
func (x *exchange) cancelable() context.Context {
	ctx, cancel := context.WithCancel(x.in.Context())
	x.ctx, x.cancel = ctx, cancel
	x.as.End.by(cancel)
	return ctx
}

// send asks the upstream. Interim responses are counted and not passed on, since
// they would bypass the response filter and clear what the gate has set; and the
// connections of net/http are watched.
func (x *exchange) send(r *http.Request) (*http.Response, error) {
	if own := x.up.ours(x.next, r); own != nil {
		return own.RoundTripUntil(r, x.as.End.by)
	}
	r = r.WithContext(httptrace.WithClientTrace(x.cancelable(), &httptrace.ClientTrace{
		Got1xxResponse: x.got1xx, GotConn: x.gotConn, GotFirstResponseByte: x.gotFirstByte,
	}))
	res, err := x.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if c := x.conn.Load(); c != nil && res.ProtoMajor == 1 && c.mixedUp() {
		res.Body.Close()
		c.Close()
		return nil, x.bad(errLeftover)
	}
	return res, nil
}

func (x *exchange) gotConn(info httptrace.GotConnInfo) {
	c := underlying(info.Conn)
	if c != nil {
		c.begin()
	}
	x.conn.Store(c)
}

func (x *exchange) gotFirstByte() {
	if c := x.conn.Load(); c != nil {
		c.firstByte()
	}
}

// got1xx counts an interim response; an error ends the exchange.
func (x *exchange) got1xx(int, textproto.MIMEHeader) error {
	if x.interim++; x.interim > max1xx {
		return errInterim
	}
	return nil
}

var (
	errInterim  = errors.New("too many interim responses")
	errLeftover = errors.New("the answer was there before the request")
)

// received judges an answer before anything of it is written.
func (x *exchange) received(res *http.Response) error {
	if res.StatusCode == http.StatusSwitchingProtocols {
		return x.upgraded(res)
	}
	if res.StatusCode < 200 || res.StatusCode > 999 {
		return x.bad(fmt.Errorf("status %d", res.StatusCode))
	}
	if x.as.Response != nil {
		if err := x.as.Response(res); err != nil {
			return x.bad(err)
		}
	}
	dropTrailers(res)
	body := &responseBody{ReadCloser: res.Body, response: res}
	if c := x.conn.Load(); c != nil && res.ProtoMajor == 1 && bindsConnection(res.Header["Www-Authenticate"]) {
		// Requests that answer this challenge never use a pooled connection;
		// that this one is closed too is for servers that count from the offer.
		body.connection = c
	}
	res.Body = body
	return nil
}

func (x *exchange) bad(cause error) error {
	return &Error{Upstream: x.up.name, Class: BadResponse, cause: cause}
}

// fail answers through the caller. That a web socket was agreed on is no
// failure.
func (x *exchange) fail(w http.ResponseWriter, err error) {
	if errors.Is(err, errSwitched) {
		return
	}
	failure := x.failure(err)
	if x.as.Failed == nil {
		w.WriteHeader(failure.Class.Status())
		return
	}
	x.as.Failed(w, x.in, failure)
}
