package h1

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

const (
	// smallBody is the largest body that is sent together with the head. It
	// is read before anything is sent.
	smallBody = 16 << 10
	// maxKept is the largest buffer that is kept for the next request.
	maxKept = 64 << 10
)

// heads are buffers for the head of a request, and its body if that is small.
var heads = sync.Pool{New: func() any { b := make([]byte, 0, 2<<10); return &b }}

var (
	errMethod  = errors.New("h1: invalid method")
	errTarget  = errors.New("h1: invalid request target")
	errHost    = errors.New("h1: invalid host")
	errNoHost  = errors.New("h1: no host")
	errField   = errors.New("h1: invalid header field")
	errNoBody  = errors.New("h1: a length without a body")
	errUnequal = errors.New("h1: the body is not as long as was said")
)

func hostOf(r *http.Request) string {
	if r.Host != "" {
		return r.Host
	}
	return r.URL.Host
}

// bodyLength returns the length of the body of r, -1 if it is not known.
func bodyLength(r *http.Request) int64 {
	switch {
	case r.Body == nil || r.Body == http.NoBody:
		return 0
	case len(r.TransferEncoding) > 0 || r.ContentLength <= 0:
		return -1
	}
	return r.ContentLength
}

// head is what appendHead found out about a request.
type head struct {
	length int64 // of the body, -1 if not known
	close  bool  // the connection is not to be used again
	bound  bool  // it authenticates the connection
}

// appendHead appends the head of r to b. All of it is checked as bytes here,
// whatever was checked before: what is decided on is what is sent.
func appendHead(b []byte, r *http.Request) ([]byte, head, error) {
	h := head{length: bodyLength(r), close: r.Close}
	if r.Body == nil && r.ContentLength != 0 {
		return b, h, errNoBody
	}
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	if !isToken(method) {
		return b, h, errMethod
	}
	b = append(append(b, method...), ' ')
	b, err := appendTarget(b, r)
	if err != nil {
		return b, h, err
	}
	host := hostOf(r)
	if host == "" {
		return b, h, errNoHost
	}
	if !isHost(host) {
		return b, h, errHost
	}
	b = append(append(append(b, " HTTP/1.1\r\nHost: "...), host...), "\r\n"...)
	for name, values := range r.Header {
		if b, err = h.appendField(b, name, values); err != nil {
			return b, h, fmt.Errorf("%w %q", err, name)
		}
	}
	switch {
	case h.length > 0 || h.length == 0 && (method == "POST" || method == "PUT" || method == "PATCH"):
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), h.length, 10), "\r\n"...)
	case h.length < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	if h.close {
		b = append(b, "Connection: close\r\n"...)
	}
	return append(b, "\r\n"...), h, nil
}

func appendTarget(b []byte, r *http.Request) ([]byte, error) {
	from := len(b)
	path := r.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	b = append(b, path...)
	if r.URL.ForceQuery || r.URL.RawQuery != "" {
		b = append(append(b, '?'), r.URL.RawQuery...)
	}
	if b[from] != '/' && !(path == "*" && r.Method == http.MethodOptions) {
		return b, errTarget
	}
	for _, c := range b[from:] {
		if c <= ' ' || c == 0x7f {
			return b, errTarget
		}
	}
	return b, nil
}

// appendField appends the lines of one field, or none for those that are said
// by other parts of the request or belong to the connection.
func (h *head) appendField(b []byte, name string, values []string) ([]byte, error) {
	switch kindOf(name) {
	case dropped:
		return b, nil
	case refused:
		if len(values) > 0 {
			return b, errNotHandled
		}
	case connection:
		h.close = h.close || hasToken(values, "close")
		if hasToken(values, "upgrade") {
			return b, errNotHandled
		}
		return b, nil
	case single:
		// One empty value is how net/http is told to send none.
		if len(values) > 0 && values[0] != "" {
			values = values[:1]
		} else {
			values = nil
		}
	case credentials:
		h.bound = h.bound || bindsConnection(values)
	}
	if !isToken(name) {
		return b, errField
	}
	for _, v := range values {
		if v = trim(v); !isValue(v) {
			return b, errField
		}
		b = append(append(append(append(b, name...), ": "...), v...), "\r\n"...)
	}
	return b, nil
}

// kind says what is done with a field of a request.
type kind int

const (
	ordinary kind = iota
	dropped
	refused
	connection
	single
	credentials
)

// kindOf looks at the name in any case: on the wire case means nothing.
func kindOf(name string) kind {
	is := func(s string) bool { return strings.EqualFold(name, s) }
	switch len(name) {
	case 4:
		if is("Host") {
			return dropped
		}
	case 6:
		if is("Expect") {
			return refused
		}
	case 7:
		if is("Upgrade") {
			return refused
		}
		if is("Trailer") {
			return dropped
		}
	case 10:
		if is("Connection") {
			return connection
		}
		if name == "User-Agent" {
			return single
		}
		if is("Keep-Alive") {
			return dropped
		}
	case 13:
		if is("Authorization") {
			return credentials
		}
	case 14:
		if is("Content-Length") {
			return dropped
		}
	case 16:
		if is("Proxy-Connection") {
			return dropped
		}
	case 17:
		if is("Transfer-Encoding") {
			return dropped
		}
	case 19:
		if is("Proxy-Authorization") {
			return credentials
		}
	}
	return ordinary
}

// appendBody appends the whole body of r, n bytes, and closes it.
func appendBody(b []byte, r *http.Request, n int) ([]byte, error) {
	defer r.Body.Close()
	from, ctx := len(b), r.Context()
	// One byte more shows the end, or that there is none.
	b = append(b, make([]byte, n+1)...)
	got := 0
	for got <= n {
		m, err := r.Body.Read(b[from+got:])
		got += m
		if err == io.EOF {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return b, err
		}
	}
	if got != n {
		return b, errUnequal
	}
	return b[:from+n], nil
}
