package canon

import (
	"net/http"
	"strings"
)

const (
	// maxTarget is the longest request target in bytes; a longer one is 414.
	maxTarget = 8 << 10
	// maxFields is how many header lines a request may have; more is 431. The
	// size of the head is bounded by the server.
	maxFields = 200
)

// Request is the one canonical request: what is routed, decided on and
// forwarded. It is a value; its strings share the memory of the http.Request.
type Request struct {
	// Host is the canonical host[:port] (see Host).
	Host string
	// Path is the decoded path: it begins with "/", has no empty segments but
	// perhaps a last one, no dot segments and no control characters, and is
	// UTF-8. It is what policy is asked about.
	Path string
	// Other is the other way an upstream could read EscapedPath, "" if Path is
	// the only one. The request may be forwarded only if Other leads to the
	// same route as Path. In it an encoded "/" is written %2F.
	Other string
	// EscapedPath is the path to forward, byte for byte.
	EscapedPath string
	// RawQuery is the query without "?", as it came, byte for byte. It has no
	// control characters, spaces or "#".
	RawQuery string
	// Method is one of Methods.
	Method string
	// Odd is what is odd about the path. The request must be refused unless
	// the route lists all of it.
	Odd Oddity
	// Websocket is true for an upgrade to a web socket: GET in HTTP/1.1 without
	// a body, "Upgrade: websocket" once and exactly, Connection naming it.
	Websocket bool
	// OtherUpgrade is true when the client asked for an upgrade that is not
	// passed on: h2c, a list, a web socket asked for in the wrong way. The
	// request is then an ordinary one; its Upgrade is dropped (RFC 9110 §7.8).
	OtherUpgrade bool
}

// Parse returns the canonical form of r, a request as a net/http handler gets
// it, or an *Error and the zero Request. It is safe for concurrent use, does
// not change r, and allocates nothing for a request without percent escapes.
func Parse(r *http.Request) (Request, error) {
	if err := checkSize(r); err != nil {
		return Request{}, err
	}
	if err := checkFraming(r); err != nil {
		return Request{}, err
	}
	if err := checkMethod(r.Method); err != nil {
		return Request{}, err
	}
	if err := checkExpect(r); err != nil {
		return Request{}, err
	}
	host, err := hostOf(r)
	if err != nil {
		return Request{}, err
	}
	t, err := parseTarget(r.RequestURI)
	if err != nil {
		return Request{}, err
	}
	c := Request{
		Host: host, Path: t.path, Other: t.other, EscapedPath: t.escaped,
		RawQuery: t.query, Method: r.Method, Odd: t.odd,
	}
	if len(r.Header["Upgrade"]) > 0 {
		c.Websocket = websocket(r)
		c.OtherUpgrade = !c.Websocket
	}
	return c, nil
}

func checkSize(r *http.Request) *Error {
	if len(r.RequestURI) > maxTarget {
		return errTargetLength
	}
	fields := 0
	for _, lines := range r.Header {
		fields += len(lines)
	}
	if fields > maxFields {
		return errFields
	}
	return nil
}

// checkFraming refuses a body with two lengths. net/http forgets the
// Content-Length of a chunked request before a handler sees it; what is still
// visible here came another way and is refused.
func checkFraming(r *http.Request) *Error {
	if len(r.Header["Transfer-Encoding"]) > 0 || len(r.Header["Content-Length"]) > 1 {
		return errLengths
	}
	if len(r.TransferEncoding) == 0 {
		return nil
	}
	if len(r.Header["Content-Length"]) > 0 || r.ContentLength >= 0 ||
		len(r.TransferEncoding) > 1 || r.TransferEncoding[0] != "chunked" {
		return errLengths
	}
	return nil
}

// checkExpect takes 100-continue and nothing else: net/http takes any list that
// contains it, and servers disagree about such lists (request smuggling).
func checkExpect(r *http.Request) *Error {
	lines := r.Header["Expect"]
	if len(lines) == 0 {
		return nil
	}
	if len(lines) > 1 || !strings.EqualFold(lines[0], "100-continue") {
		return errExpect
	}
	return nil
}

func hostOf(r *http.Request) (string, error) {
	if r.Host == "" {
		return "", errEmptyHost
	}
	host, ok := Host(r.Host, r.TLS != nil)
	if !ok {
		return "", errHost
	}
	// HTTP/2 carries :authority and may carry a Host field beside it, which
	// net/http leaves among the headers. Two that differ are two requests.
	for _, line := range r.Header["Host"] {
		if other, ok := Host(line, r.TLS != nil); !ok || other != host {
			return "", errHost
		}
	}
	return host, nil
}

func websocket(r *http.Request) bool {
	up := r.Header["Upgrade"]
	if len(up) != 1 || !strings.EqualFold(up[0], "websocket") {
		return false
	}
	if r.Method != http.MethodGet || r.ProtoMajor != 1 || r.ProtoMinor < 1 {
		return false
	}
	// A body before the upgrade would be read by whoever speaks next.
	if r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		return false
	}
	for _, line := range r.Header["Connection"] {
		for token := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(token, " \t"), "upgrade") {
				return true
			}
		}
	}
	return false
}
