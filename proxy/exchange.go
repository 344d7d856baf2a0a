package proxy

import (
	"encoding/base32"
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"time"

	"gatehouse/proxy/identity"
	"gatehouse/proxy/upstream"
	"gatehouse/session"
)

// exchange is one request on its way through the gate: what came, what was
// decided, and what becomes of it. It is made once for each request and holds
// all that lasts as long.
type exchange struct {
	h      *Handler
	g      *Gate
	v      Verdict
	number uint64
	names  [1]string // the request's name, as a header's value
	came   *http.Request
	out    writer
	stream stream
	end    upstream.End
	// ended is the verdict with why the upstream failed; nil if it did not.
	ended *Verdict
	// entered is who the exchange was allowed for; nil until it is forwarded.
	entered belief
	// relay carries a web socket once it is agreed on; nil for none.
	relay func()
	// stripped: the request came with headers that only the gate may set. socket:
	// it has become a web socket.
	stripped, socket bool
	// began is when the request came, passed when it was passed on, and answered
	// when the head of the answer came; zero if nobody wants to know, or if it did
	// not happen.
	began, passed, answered time.Time
}

// id names the request in logs, answers and error pages.
func (x *exchange) id() string { return x.names[0] }

// name gives the request its name, and tells it to whoever asked. A trusted proxy
// may have named it already.
func (x *exchange) name(r *http.Request) {
	if x.v.Client.Trusted {
		if id := r.Header.Get("X-Request-Id"); id != "" && len(id) <= 64 && plain(id) {
			x.names[0] = id
		}
	}
	if x.names[0] == "" {
		x.names[0] = newID(x.number, rand.Uint64())
	}
	x.out.Header()["X-Request-Id"] = x.names[:]
}

// newID writes 128 bits as 26 letters and digits. They need not be a secret, only
// unlike all others.
func newID(a, b uint64) string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], a)
	binary.BigEndian.PutUint64(raw[8:], b)
	var text [26]byte
	nameEncoding.Encode(text[:], raw[:])
	return string(text[:])
}

var nameEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

func (x *exchange) setCookies() {
	for _, c := range x.v.Cookies {
		http.SetCookie(&x.out, c)
	}
}

// forward passes the request on. Headers are rebuilt on every route, public
// ones too.
func (x *exchange) forward(r *http.Request) {
	h, g, v := x.h, x.g, &x.v
	rt := &g.routes[v.Route]
	told, err := x.identityHeaders(rt)
	if err != nil {
		h.log.ErrorContext(r.Context(), "identity headers not made", "request_id", x.id(), "http.route", rt.Name, "error", err)
		v.refuse(http.StatusServiceUnavailable, ReasonAssertion)
		x.refuse(&x.out, r)
		return
	}
	if told != nil && told.Left > 0 {
		h.log.WarnContext(r.Context(), "identity header left out: its value has control characters", "request_id", x.id(), "http.route", rt.Name, "user.id", v.Identity.Subject)
	}
	x.observe()
	defer func() {
		if x.relay == nil {
			x.leave()
		}
	}()
	if v.body != nil {
		r.Body = v.body.Body()
	}
	rt.upstream.Forward(&x.out, r, upstream.Forward{
		Path:      v.Request.EscapedPath,
		RawQuery:  v.Request.RawQuery,
		Host:      r.Host,
		Websocket: v.Request.Websocket,
		Headers:   func(out http.Header) { x.rebuild(out, rt, told) },
		Response:  x.filter,
		Failed:    x.failed,
		End:       &x.end,
		Switched:  func(relay func()) { x.relay = relay },
	})
}

// identityHeaders returns what the application is told; nil for a stranger.
func (x *exchange) identityHeaders(rt *compiled) (*identity.Told, error) {
	switch {
	case x.v.Identity == nil:
		return nil, nil
	case x.v.known != nil:
		now := x.v.at
		if x.v.body != nil {
			now = x.g.now() // judging a body takes as long as it takes to come
		}
		return x.v.known.Headers(rt.headers, now)
	}
	return rt.headers.Tell(x.v.Identity, x.g.now())
}

// observe makes the exchange one that can be ended, and one that is decided
// again when it lasts; one of a stranger too, for the next gate may not be open
// to them. leave is called at its end.
func (x *exchange) observe() {
	x.entered.last.Store(&believed{x.g, x.v.Identity})
	x.stream.allowed, x.stream.end = x.allowed, x.end.Now
	x.passed = time.Now()
	x.stream.began = x.passed
	x.h.live.begin(&x.stream, x.number)
}

func (x *exchange) leave() { x.h.live.leave(&x.stream) }

// allowed decides again about an exchange that lasts.
func (x *exchange) allowed(silent look) bool {
	ctx := x.came.Context()
	who := func(g *Gate) *session.Identity { return x.entered.by(ctx, g, silent) }
	return x.h.still(ctx, x.v, who, x.id())
}

// rebuild makes the request headers an upstream gets: what clients may not
// speak is removed, what the gate knows is set.
func (x *exchange) rebuild(out http.Header, rt *compiled, told *identity.Told) {
	g, v := x.g, &x.v
	x.stripped = g.strip.Strip(out)
	identity.StripCookies(out, v.place.owns)
	if v.UsedAuthorization && !rt.PassAuthorization {
		delete(out, "Authorization")
	}
	v.Client.SetForwarded(out, &v.place.forwarded)
	if told != nil {
		told.SetOn(out)
	}
	out["X-Request-Id"] = x.names[:]
}

// filter removes from an answer what would speak for the gate, and keeps
// shared caches from giving one person's answer to another.
func (x *exchange) filter(res *http.Response) error {
	if !x.began.IsZero() {
		x.answered = time.Now()
	}
	identity.FilterResponse(res.Header, x.v.place.owns)
	if x.g.parts.SharedOrigin {
		identity.FilterSharedOrigin(res.Header)
	}
	if x.v.Identity != nil {
		identity.Private(res.Header)
	}
	if len(x.v.Cookies) > 0 {
		identity.NoStore(res.Header)
	}
	delete(res.Header, "X-Request-Id")
	if streaming(res) {
		x.h.live.promote(&x.stream)
	}
	if res.StatusCode == http.StatusSwitchingProtocols && !x.began.IsZero() {
		x.socket = true
		x.g.parts.Observer.Opened(x.v.Route)
	}
	return nil
}
