package upstream

import (
	"io"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
)

// carry sends the request and writes the answer. What goes wrong before the
// answer has begun is answered by fail; what goes wrong later panics with
// http.ErrAbortHandler.
func (x *exchange) carry(w http.ResponseWriter) {
	out := x.outgoing()
	defer x.end()
	res, err := x.send(out)
	if err == nil {
		if res.StatusCode != http.StatusSwitchingProtocols {
			dropHopByHop(res.Header)
		}
		if err = x.received(res); err != nil {
			res.Body.Close()
		}
	}
	if err != nil {
		x.fail(w, err)
		return
	}
	x.answer(w, res)
}

// end lets go of what an exchange holds. A web socket goes on, and is ended as the
// exchange was.
func (x *exchange) end() {
	if x.body != nil {
		x.body.Close()
	}
	if x.switched != nil {
		return
	}
	x.as.End.by(nil)
	if x.cancel != nil {
		x.cancel()
	}
}

// outgoing makes the request the upstream sees. Its headers are put together from
// those that came, without what speaks to this hop alone; the values are shared
// with them, so whoever changes one puts another list in its place.
func (x *exchange) outgoing() *http.Request {
	in := x.in.Header
	h := make(http.Header, len(in)+8)
	for name, values := range in {
		if plain, once := keptOnce(name); once {
			h[plain] = values
		} else if !hopByHop(name) {
			h[name] = values
		}
	}
	dropNamed(h, in["Connection"])
	if hasToken(in["Te"], "trailers") {
		h["Te"] = trailersOnly
	}
	if x.as.Headers != nil {
		x.as.Headers(h)
	}
	if x.socket {
		h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	}
	if _, given := h["User-Agent"]; !given {
		h["User-Agent"] = noUserAgent // or net/http would send one of its own
	}
	// Trailers come after the decision and could name any header, so there are
	// none.
	out := &x.out
	*out = *x.in
	out.URL, out.Header, out.Trailer, out.Close, out.Body = &x.url, h, nil, false, nil
	if x.body != nil {
		out.Body = x.body
	}
	switch {
	case x.up.ownHost:
		out.Host = x.up.host
	case x.as.Host != "":
		out.Host = x.as.Host
	}
	return out
}

// Lists that requests share. Nobody writes to them.
var (
	trailersOnly = []string{"trailers"}
	noUserAgent  = []string{""}
)

// hopByHop tells whether a field of a request speaks to the next hop alone (RFC
// 9110 §7.6.1), would change what was decided on, or is one that no client is
// believed. Expect goes because the answer to it has been given here.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade", "Http2-Settings", "Expect",
		"X-Http-Method-Override", "X-Http-Method", "X-Method-Override",
		"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto":
		return true
	}
	return false
}

// keptOnce stops net/http from sending a request twice. It takes these fields
// of the client as leave to repeat any request without a body; it looks them
// up in canonical case, and on the wire case means nothing.
func keptOnce(name string) (plain string, once bool) {
	switch name {
	case "Idempotency-Key":
		return "idempotency-key", true
	case "X-Idempotency-Key":
		return "x-idempotency-key", true
	}
	return "", false
}

// dropNamed removes the fields that a Connection field names.
func dropNamed(h http.Header, connection []string) {
	for _, line := range connection {
		for name := range strings.SplitSeq(line, ",") {
			// Keep-Alive goes in any case, and is what nearly all of them name.
			if name = textproto.TrimString(name); name != "" && !strings.EqualFold(name, "keep-alive") {
				h.Del(name)
				delete(h, strings.ToLower(name)) // see keptOnce
			}
		}
	}
}

// dropHopByHop removes from an answer what speaks to this hop alone.
func dropHopByHop(h http.Header) {
	dropNamed(h, h["Connection"])
	for name := range h {
		switch name {
		case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
			"Transfer-Encoding", "Upgrade":
			delete(h, name)
		}
	}
}

func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for word := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(textproto.TrimString(word), token) {
				return true
			}
		}
	}
	return false
}

// answer writes status, headers, body and trailers.
func (x *exchange) answer(w http.ResponseWriter, res *http.Response) {
	h := w.Header()
	add(h, res.Header)
	announced := len(res.Trailer)
	if announced > 0 {
		names := make([]string, 0, announced)
		for name := range res.Trailer {
			names = append(names, name)
		}
		h.Add("Trailer", strings.Join(names, ", "))
	}
	w.WriteHeader(res.StatusCode)
	if err := x.copyBody(w, res); err != nil {
		res.Body.Close()
		x.up.trouble.Printf("upstream %q: the answer broke off: %v", x.up.name, err)
		panic(http.ErrAbortHandler)
	}
	res.Body.Close() // now its trailers are known
	if len(res.Trailer) > 0 {
		x.trail(w, res, announced)
	}
}

// trail writes the trailers. Those that were not announced need a prefix to be
// taken for trailers (http.TrailerPrefix).
func (x *exchange) trail(w http.ResponseWriter, res *http.Response, announced int) {
	// A short body must be sent in chunks too, or there is no place for trailers.
	_ = http.NewResponseController(w).Flush()
	h := w.Header()
	if len(res.Trailer) == announced {
		add(h, res.Trailer)
		return
	}
	for name, values := range res.Trailer {
		if len(values) > 0 {
			h[http.TrailerPrefix+name] = values
		}
	}
}

// add puts the fields of src behind those of h. A name without values is none: an
// HTTP/2 server would wait to send trailers that were announced and never came.
func add(h, src http.Header) {
	for name, values := range src {
		if len(values) == 0 {
			continue
		}
		if before := h[name]; len(before) > 0 {
			values = append(slices.Clip(before), values...)
		}
		h[name] = values
	}
}

// Events tells whether an answer with this head is an event stream.
func Events(h http.Header) bool {
	const events = "text/event-stream"
	types := h["Content-Type"]
	if len(types) == 0 || len(types[0]) < len(events) || !strings.EqualFold(types[0][:len(events)], events) {
		return false
	}
	// Parameters may follow, after a space or not (RFC 9110 §8.3.1).
	rest := types[0][len(events):]
	return rest == "" || rest[0] == ';' || rest[0] == ' ' || rest[0] == '\t'
}

// copyBody writes the body as it comes; what may last is sent on at once. It reads
// to the end even of none: only then trailers of HTTP/2 are known.
func (x *exchange) copyBody(w http.ResponseWriter, res *http.Response) error {
	// What cannot flush, as a recorder in a test, does not stream.
	flush := func() {}
	if res.ContentLength < 0 || Events(res.Header) {
		out := http.NewResponseController(w)
		flush = func() { _ = out.Flush() }
	}
	flush() // the head first: its body may take its time
	if n := res.ContentLength; n >= 0 && n <= smallCopy {
		small := x.up.small.Get().(*[smallCopy]byte)
		defer x.up.small.Put(small)
		return copyThrough(w, res.Body, small[:], flush)
	}
	buf := x.up.buffers.Get()
	defer x.up.buffers.Put(buf)
	body := gathered{body: res.Body}
	if res.ContentLength >= 0 && !Events(res.Header) {
		body.least = serverBuffer
	}
	return copyThrough(w, &body, buf, flush)
}

// gathered reads at least so much the first time, unless there is less. What comes
// with the head of an answer is mostly just short of what net/http's server keeps
// to itself anyway: alone it would make a write of its own, ahead of the rest.
type gathered struct {
	body  io.Reader
	least int // no more than what is read into
}

// Read implements io.Reader.
func (g *gathered) Read(p []byte) (n int, err error) {
	for {
		m, err := g.body.Read(p[n:])
		if n += m; err != nil || n >= g.least {
			g.least = 0
			return n, err
		}
	}
}

// copyThrough copies body to w through buf, and flushes each piece.
func copyThrough(w io.Writer, body io.Reader, buf []byte, flush func()) error {
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
			flush()
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
