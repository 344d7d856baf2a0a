package h1_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// isDown reports whether err means that no answer came, as package upstream
// reads it.
func isDown(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) || errors.Is(err, io.EOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func TestAnswersThatAreNone(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\n"
	for name, text := range map[string]string{
		"bare LF":               "HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
		"bare LF after a field": head + "Content-Length: 2\n\r\nok",
		"bare LF at the end":    head + "Content-Length: 2\r\n\nok",
		"NUL":                   head + "A: a\x00b\r\nContent-Length: 2\r\n\r\nok",
		"CR in a value":         head + "A: a\rb\r\nContent-Length: 2\r\n\r\nok",
		"DEL in a value":        head + "A: a\x7fb\r\nContent-Length: 2\r\n\r\nok",
		"obs-fold":              head + "A: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
		"obs-fold first":        head + " A: a\r\nContent-Length: 2\r\n\r\nok",
		"space before colon":    head + "A : a\r\nContent-Length: 2\r\n\r\nok",
		"no name":               head + ": a\r\nContent-Length: 2\r\n\r\nok",
		"name with a slash":     head + "A/B: a\r\nContent-Length: 2\r\n\r\nok",
		"name not ASCII":        head + "\u00c4: a\r\nContent-Length: 2\r\n\r\nok",
		"no colon":              head + "Garbage\r\nContent-Length: 2\r\n\r\nok",
		"two lengths":           head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
		"one length twice":      head + "Content-Length: 2\r\ncontent-length: 2\r\n\r\nok",
		"list of lengths":       head + "Content-Length: 2, 2\r\n\r\nok",
		"signed length":         head + "Content-Length: +2\r\n\r\nok",
		"negative length":       head + "Content-Length: -2\r\n\r\nok",
		"empty length":          head + "Content-Length: \r\n\r\nok",
		"hexadecimal length":    head + "Content-Length: 0x2\r\n\r\nok",
		"length beyond numbers": head + "Content-Length: 99999999999999999999\r\n\r\nok",
		"length and chunks":     head + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"unknown coding":        head + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"two codings":           head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"one coding twice":      head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"identity":              head + "Transfer-Encoding: identity\r\n\r\nok",
		"chunks in HTTP/1.0":    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/2.0":              "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.2":              "HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"http in lower case":    "http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"two digits":            "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
		"four digits":           "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
		"sign":                  "HTTP/1.1 -20 OK\r\nContent-Length: 2\r\n\r\nok",
		"status 099":            "HTTP/1.1 099 Low\r\nContent-Length: 2\r\n\r\nok",
		"two spaces":            "HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok",
		"NUL in the reason":     "HTTP/1.1 200 O\x00K\r\nContent-Length: 2\r\n\r\nok",
		"not http":              "SSH-2.0-OpenSSH_9.2",
		"empty line first":      "\r\n" + ok,
		"unasked 101":           "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
		"flood of 1xx":          strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 6) + ok,
		"1xx with a body":       "HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\nok" + ok,
		"1xx with chunks":       "HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n" + ok,
		"huge head":             head + "A: " + strings.Repeat("a", 80<<10) + "\r\nContent-Length: 2\r\n\r\nok",
		"many fields":           head + strings.Repeat("A: a\r\n", 12<<10) + "Content-Length: 2\r\n\r\nok",
		"framing as a trailer":  head + "Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\n\r\n",
		"odd trailer name":      head + "Transfer-Encoding: chunked\r\nTrailer: A B\r\n\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, answering(t, text))
			res, body, err := get(t, c)
			if err == nil || res != nil || isDown(err) {
				t.Errorf("got %v %q, %v, want an error about the answer", res, body, err)
			}
			if s := c.Stats(); s.Idle != 0 || s.Dials != 1 {
				t.Errorf("stats %+v, want the connection closed and no other made", s)
			}
		})
	}
}

func TestBodiesThatBreak(t *testing.T) {
	const fixed = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
	const chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, c := range map[string]struct {
		text  string
		body  string
		short bool // io.ErrUnexpectedEOF
	}{
		"short":                  {fixed + "half", "half", true},
		"nothing":                {fixed, "", true},
		"no last chunk":          {chunks + "4\r\nhalf\r\n", "half", true},
		"in a chunk":             {chunks + "a\r\nhalf", "half", true},
		"in the last chunk":      {chunks + "4\r\nhalf\r\n0\r\n", "half", true},
		"in the trailers":        {chunks + "4\r\nhalf\r\n0\r\nA: 1\r\n", "half", true},
		"bare LF after size":     {chunks + "4\nhalf\r\n0\r\n\r\n", "", false},
		"bare LF after data":     {chunks + "4\r\nhalf\n0\r\n\r\n", "half", false},
		"CR alone after data":    {chunks + "4\r\nhalf\r0\r\n\r\n", "half", false},
		"no CRLF after data":     {chunks + "4\r\nhalf0\r\n\r\n", "half", false},
		"size not a number":      {chunks + "4\r\nhalf\r\n0x1\r\na\r\n0\r\n\r\n", "half", false},
		"signed size":            {chunks + "+4\r\nhalf\r\n0\r\n\r\n", "", false},
		"space behind size":      {chunks + "4 \r\nhalf\r\n0\r\n\r\n", "", false},
		"empty size":             {chunks + "\r\nhalf\r\n0\r\n\r\n", "", false},
		"huge size":              {chunks + "ffffffffffffffff\r\nhalf\r\n0\r\n\r\n", "", false},
		"long extension":         {chunks + "4;" + strings.Repeat("a", 300) + "\r\nhalf\r\n0\r\n\r\n", "", false},
		"endless extension":      {chunks + "4;" + strings.Repeat("a", 9000), "", false},
		"NUL in extension":       {chunks + "4;\x00\r\nhalf\r\n0\r\n\r\n", "", false},
		"CR in extension":        {chunks + "4;\r \r\nhalf\r\n0\r\n\r\n", "", false},
		"only extensions":        {chunks + strings.Repeat("1;"+strings.Repeat("a", 200)+"\r\na\r\n", 200) + "0\r\n\r\n", strings.Repeat("a", 88), false},
		"huge trailers":          {chunks + "0\r\nA: " + strings.Repeat("a", 5000) + "\r\n\r\n", "", false},
		"many trailers":          {chunks + "0\r\n" + strings.Repeat("A: a\r\n", 1000) + "\r\n", "", false},
		"bare LF in trailers":    {chunks + "0\r\nA: 1\n\r\n", "", false},
		"obs-fold in trailers":   {chunks + "0\r\nA: 1\r\n 2\r\n\r\n", "", false},
		"no field in trailers":   {chunks + "0\r\nA\r\n\r\n", "", false},
		"framing in trailers":    {chunks + "0\r\nContent-Length: 3\r\n\r\n", "", false},
		"request in the trailer": {chunks + "0\r\nHTTP/1.1 200 OK\r\n\r\n", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			addr := server(t, func(_ int, conn net.Conn, r *bufio.Reader) {
				readRequest(r)
				io.WriteString(conn, c.text)
				conn.(*net.TCPConn).CloseWrite()
				io.Copy(io.Discard, r)
			})
			tr := client(t, addr)
			_, body, err := get(t, tr)
			if body != c.body || err == nil || errors.Is(err, io.ErrUnexpectedEOF) != c.short {
				t.Errorf("%q, %v, want %q and an error (unexpected EOF: %v)", body, err, c.body, c.short)
			}
			if tr.Stats().Idle != 0 {
				t.Error("the connection was kept")
			}
		})
	}
}

func TestResponseIsThatOfNetHTTP(t *testing.T) {
	for name, text := range map[string]string{
		"fields":             "HTTP/1.1 200 OK\r\ncontent-type: a\r\nX-B: 1\r\nx-b: 2\r\nX-Empty:\r\nX-Space: \t a b \t\r\nX-High: \xff\r\nContent-Length: 02\r\n\r\nok",
		"many fields":        "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: 1\r\nB: 2\r\nC-D: 3\r\n", 20) + "Content-Length: 2\r\n\r\nok",
		"odd status":         "HTTP/1.1 799 \r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.0":           "HTTP/1.0 200 Fine\r\nContent-Length: 2\r\n\r\nok",
		"1.0 and keep-alive": "HTTP/1.0 200 Fine\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok",
		"close":              "HTTP/1.1 200 OK\r\nConnection: close, x\r\nContent-Length: 2\r\n\r\nok",
		"keep-alive":         "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
		"until close":        "HTTP/1.1 200 OK\r\n\r\nall of it",
		"chunks":             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n10;a\r\n0123456789abcdef\r\n0\r\n\r\n",
		"trailers":           "HTTP/1.1 200 OK\r\nTrailer: a, B\r\nTrailer: C\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: 1\r\nA: 2\r\nD: 3\r\n\r\n",
		"unannounced":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: 1\r\n\r\n",
		"idle trailer field": "HTTP/1.1 200 OK\r\nTrailer: A\r\nContent-Length: 2\r\n\r\nok",
		"204":                "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n",
		"204 and chunks":     "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
		"304":                "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n",
		"304 and chunks":     "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
		"pragma":             "HTTP/1.1 200 OK\r\nPragma: no-cache\r\nContent-Length: 2\r\n\r\nok",
		"compressed":         "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok",
	} {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			t.Run(method+" "+name, func(t *testing.T) {
				if head, _, _ := strings.Cut(text, "\r\n\r\n"); method == "HEAD" {
					text = head + "\r\n\r\n"
				}
				addr := server(t, func(_ int, c net.Conn, r *bufio.Reader) {
					readRequest(r)
					io.WriteString(c, text)
				})
				std := &http.Transport{DisableCompression: true}
				t.Cleanup(std.CloseIdleConnections)
				r := request(t, method, nil)
				r.URL.Host = addr
				want := describe(std.RoundTrip(r))
				got := describe(client(t, addr).RoundTrip(r))
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("net/http (-) against h1 (+):\n%s", d)
				}
			})
		}
	}
}

// description is all that a response says.
type description struct {
	Status, Proto    string
	Code, Maj, Min   int
	Length           int64
	Coding           []string
	Close, Unpacked  bool
	Header           http.Header
	Before, After    http.Header // trailers
	Body             string
	Err              string
	OwnRequest, None bool
}

func describe(res *http.Response, err error) description {
	if err != nil {
		return description{Err: err.Error()}
	}
	defer res.Body.Close()
	d := description{
		Status: res.Status, Proto: res.Proto, Code: res.StatusCode, Maj: res.ProtoMajor, Min: res.ProtoMinor,
		Length: res.ContentLength, Coding: res.TransferEncoding, Close: res.Close, Unpacked: res.Uncompressed,
		Header: res.Header.Clone(), Before: res.Trailer.Clone(), OwnRequest: res.Request != nil, None: res.Body == http.NoBody,
	}
	body, err := io.ReadAll(res.Body)
	d.Body, d.After, d.Err = string(body), res.Trailer, fmt.Sprint(err)
	return d
}

func TestTraceSeesInterimResponses(t *testing.T) {
	c := client(t, answering(t, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"+ok))
	var seen []string
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		seen = append(seen, fmt.Sprint(code, h))
		return nil
	}}
	r := request(t, "GET", nil)
	if _, _, err := ask(t, c, r.WithContext(httptrace.WithClientTrace(r.Context(), trace))); err != nil {
		t.Fatal(err)
	}
	if want := []string{"100 map[]", "103 map[Link:[</a>]]"}; !cmp.Equal(seen, want) {
		t.Errorf("trace saw %q, want %q", seen, want)
	}
	refusal := errors.New("enough")
	trace.Got1xxResponse = func(int, textproto.MIMEHeader) error { return refusal }
	if _, _, err := ask(t, c, r.WithContext(httptrace.WithClientTrace(r.Context(), trace))); !errors.Is(err, refusal) {
		t.Errorf("got %v, want the error of the trace", err)
	}
}
