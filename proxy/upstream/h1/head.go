package h1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// max1xx is how many interim responses an answer may have before it.
const max1xx = 5

// An answer is refused, where net/http lets it pass, if a line ends in a line
// feed alone, a line is folded, a name is no token or has a space behind it,
// a value has control bytes, the length is given twice or not in digits alone,
// there are both a length and a transfer coding, or a coding in HTTP/1.0, the
// status line is not exactly as RFC 9112 §4 has it, the status is below 100 or
// an unasked 101, or there are too many interim responses or one with a body.
var (
	errBareLF  = errors.New("h1: a line ends in a line feed alone")
	errTooLong = errors.New("h1: the head of the answer is too long")
	errNotHTTP = errors.New("h1: the answer is not HTTP/1")
	errStatus  = errors.New("h1: malformed status line")
	errSwitch  = errors.New("h1: switched protocols unasked")
	errInterim = errors.New("h1: too many interim responses")
	errLength  = errors.New("h1: ambiguous length of the answer")
	errCoding  = errors.New("h1: unknown transfer coding of the answer")
	errTrailer = errors.New("h1: a field that must not be a trailer")
)

// readHead reads up to the head of the final answer.
func (x *exchange) readHead(c *conn) error {
	for i := range max1xx + 1 {
		text, err := c.head(int(x.t.opt.MaxHeader), i)
		if err != nil {
			return err
		}
		final, err := x.parse(text)
		if err != nil {
			return err
		}
		if final {
			if x.send != nil {
				x.send.answered()
			}
			x.receive(c)
			return nil
		}
	}
	return errInterim
}

// head takes the lines up to an empty one, which it leaves out, from the
// connection. An end before the first byte is returned as it is; after it, or
// after earlier heads of the same answer, it is not the absence of an answer.
func (c *conn) head(limit, earlier int) (string, error) {
	start, seen := 0, 0 // of the line, and how far there is no line feed
	for {
		b := c.buffered()
		for {
			i := bytes.IndexByte(b[seen:], '\n')
			if i < 0 {
				seen = len(b)
				break
			}
			end := seen + i
			if end == start || b[end-1] != '\r' {
				return "", errBareLF
			}
			if seen = end + 1; seen > limit {
				return "", errTooLong
			}
			if end == start+1 {
				c.r += seen
				return string(b[:end-1]), nil
			}
			start = seen
		}
		const begin = "HTTP/1."
		if n := min(len(b), len(begin)); string(b[:n]) != begin[:n] {
			return "", errNotHTTP
		}
		if len(b) > limit {
			return "", errTooLong
		}
		if len(b) == len(c.buf) {
			c.grow()
		}
		if err := c.fill(); err != nil {
			return "", brokenOff(err, len(b)+earlier)
		}
	}
}

// brokenOff is err after n bytes or heads.
func brokenOff(err error, n int) error {
	switch {
	case n == 0, errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, net.ErrClosed):
		return err
	case err == io.EOF:
		return fmt.Errorf("h1: head of the answer: %w", io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("h1: head of the answer: %v", err) //nolint:errorlint // not the absence of an answer
}

// isGone reports whether err says that the peer went away without a byte of an
// answer.
func isGone(err error) bool {
	return err == io.EOF || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// parse reads a head into the response; false for an interim one.
func (x *exchange) parse(text string) (final bool, err error) {
	line, text, _ := strings.Cut(text, "\r\n")
	// HTTP/1.1 200 OK
	if len(line) < 12 || line[:7] != "HTTP/1." || line[7] != '0' && line[7] != '1' || line[8] != ' ' ||
		!isDigits(line[9:12]) || len(line) > 12 && line[12] != ' ' || !isValue(line[12:]) {
		return false, errStatus
	}
	code := int(line[9]-'0')*100 + int(line[10]-'0')*10 + int(line[11]-'0')
	if code < 100 {
		return false, errStatus
	}
	if code == http.StatusSwitchingProtocols {
		return false, errSwitch
	}
	h, seen, err := parseFields(text, x.values[:])
	if err != nil {
		return false, err
	}
	if code < 200 {
		return false, x.interim(code, h, seen)
	}
	x.res = http.Response{
		Status: line[9:], StatusCode: code, Proto: line[:8],
		ProtoMajor: 1, ProtoMinor: int(line[7] - '0'),
		Header: h, Request: x.req,
	}
	return true, x.frame(seen)
}

// interim tells a trace of an interim response. One with a body would be read
// as the answer by somebody.
func (x *exchange) interim(code int, h http.Header, seen special) error {
	if seen&transferEncoding != 0 {
		return errCoding
	}
	if seen&contentLength != 0 && (len(h["Content-Length"]) != 1 || h["Content-Length"][0] != "0") {
		return errLength
	}
	trace := httptrace.ContextClientTrace(x.req.Context())
	if trace == nil || trace.Got1xxResponse == nil {
		return nil
	}
	// The room for the values is used again for the next head.
	own := make(textproto.MIMEHeader, len(h))
	for name, values := range h {
		own[name] = append([]string(nil), values...)
	}
	return trace.Got1xxResponse(code, own)
}

// frame finds out where the answer ends, and says it as net/http does.
func (x *exchange) frame(seen special) error {
	res, h := &x.res, x.res.Header
	length := int64(-1)
	if seen&contentLength != 0 {
		var err error
		if length, err = parseLength(h["Content-Length"]); err != nil {
			return err
		}
	}
	coded := seen&transferEncoding != 0
	if coded {
		te := h["Transfer-Encoding"]
		if res.ProtoMinor == 0 || len(te) != 1 || !strings.EqualFold(te[0], "chunked") {
			return errCoding
		}
		if length >= 0 {
			return errLength
		}
		delete(h, "Transfer-Encoding")
		x.coding[0] = "chunked"
		res.TransferEncoding = x.coding[:]
		if seen&trailer != 0 {
			if err := x.announce(h); err != nil {
				return err
			}
		}
	}
	closing := seen&connectionField != 0 && hasToken(h["Connection"], "close")
	res.Close = closing
	if res.ProtoMinor == 0 {
		res.Close = closing || !hasToken(h["Connection"], "keep-alive")
	} else if closing {
		delete(h, "Connection")
	}
	if seen&pragma != 0 && h["Pragma"][0] == "no-cache" && h["Cache-Control"] == nil {
		h["Cache-Control"] = []string{"no-cache"} // as net/http does
	}
	x.keep = res.ProtoMinor == 1 && !closing && !x.head.close && !x.head.bound
	if seen&challenge != 0 && (bindsConnection(h["Www-Authenticate"]) || bindsConnection(h["Proxy-Authenticate"])) {
		x.keep = false
	}
	x.delimit(length)
	return nil
}

// delimit says how the body ends; length is -1 if none was given.
func (x *exchange) delimit(length int64) {
	res, b := &x.res, &x.body
	coded := res.TransferEncoding != nil
	switch {
	case x.req.Method == http.MethodHead:
		res.ContentLength = length
	case res.StatusCode == http.StatusNoContent, res.StatusCode == http.StatusNotModified:
		if res.StatusCode == http.StatusNoContent && (coded || length > 0) {
			x.keep = false // a server that says so may send one as well
		}
	case coded:
		b.kind, res.ContentLength = chunked, -1
	case length >= 0:
		res.ContentLength = length
		if length > 0 {
			b.kind, b.left = fixed, length
		}
	default:
		b.kind, res.ContentLength = untilClose, -1
		res.Close, x.keep = true, false
	}
}

// announce moves the names of the trailers to come to where net/http has them.
func (x *exchange) announce(h http.Header) error {
	names := http.Header{}
	for _, v := range h["Trailer"] {
		for name := range strings.SplitSeq(v, ",") {
			if name = trim(name); name == "" {
				continue
			}
			if !isToken(name) {
				return errField
			}
			if name = http.CanonicalHeaderKey(name); !mayTrail(name) {
				return errTrailer
			}
			names[name] = nil
		}
	}
	delete(h, "Trailer")
	if len(names) > 0 {
		x.res.Trailer = names
	}
	return nil
}

func mayTrail(name string) bool {
	return name != "Transfer-Encoding" && name != "Content-Length" && name != "Trailer"
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

func parseLength(values []string) (int64, error) {
	if len(values) != 1 || !isDigits(values[0]) {
		return 0, errLength
	}
	n, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil {
		return 0, errLength
	}
	return n, nil
}
