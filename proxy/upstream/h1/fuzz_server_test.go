//go:build unix

package h1

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// script is a server of raw bytes: the request that says it is number i gets
// answer i. Its connections are pairs of sockets, which cost less than TCP.
type script struct {
	shape   uint8
	answers [][]byte
	hangUp  []bool

	wg      sync.WaitGroup
	mu      sync.Mutex
	records map[int]*record
	times   map[int]int
}

// record is what the server saw of one request.
type record struct {
	head     []string // lines, sorted
	body     string
	whole    bool
	conn     net.Conn
	answered chan struct{} // closed when the answer was written
}

func newScript(shape uint8, answers [][]byte) *script {
	s := &script{shape: shape, answers: answers, hangUp: make([]bool, len(answers)), records: map[int]*record{}, times: map[int]int{}}
	for i := range answers {
		s.hangUp[i] = shape&shapeHangUp != 0
	}
	return s
}

func (s *script) dial(context.Context, string, string) (net.Conn, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "")
		ends[i], err = net.FileConn(f)
		f.Close()
		if err != nil {
			return nil, err
		}
	}
	s.wg.Go(func() { s.serve(ends[1]) })
	return ends[0], nil
}

func (s *script) wait() { s.wg.Wait() }

func (s *script) serve(c net.Conn) {
	defer c.Close()
	raw := &recorder{r: c}
	r := bufio.NewReader(raw)
	for {
		raw.seen.Reset()
		if n := r.Buffered(); n > 0 {
			rest, _ := r.Peek(n)
			raw.seen.Write(rest)
		}
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		i, err := strconv.Atoi(req.Header.Get("X-Number"))
		if err != nil || i >= len(s.answers) {
			return
		}
		head, _, _ := strings.Cut(raw.seen.String(), "\r\n\r\n")
		rec := &record{head: strings.Split(head, "\r\n"), answered: make(chan struct{}), conn: c}
		slices.Sort(rec.head[1:])
		s.mu.Lock()
		s.records[i] = rec
		s.times[i]++
		s.mu.Unlock()
		if !s.answer(c, i, req, rec) {
			return
		}
	}
}

// answer reads the body and writes the answer, in the order of the shape; false
// ends the connection.
func (s *script) answer(c net.Conn, i int, req *http.Request, rec *record) bool {
	defer close(rec.answered)
	if s.shape&shapeEarly != 0 {
		s.write(c, s.answers[i])
	}
	body, err := io.ReadAll(req.Body)
	rec.body, rec.whole = string(body), err == nil
	if !rec.whole {
		return false
	}
	if s.shape&shapeEarly == 0 {
		s.write(c, s.answers[i])
	}
	if !s.hangUp[i] {
		return true
	}
	c.(*net.UnixConn).CloseWrite()
	return false
}

// write sends answer in pieces of the shape, few enough that a large one does
// not take the time that the exchange has.
func (s *script) write(c net.Conn, answer []byte) {
	size := []int{len(answer), 1, 2, 3, 7, 16, 100, len(answer)/2 + 1}[s.shape&shapePieces>>3]
	if size == 1 && len(answer) > 200 {
		size = len(answer) / 200
	}
	size = max(size, len(answer)/4096, 1)
	for len(answer) > 0 {
		n, err := c.Write(answer[:min(size, len(answer))])
		answer = answer[n:]
		if errors.Is(err, os.ErrDeadlineExceeded) {
			cram(c, answer)
			return
		}
		if err != nil {
			return
		}
	}
}

// cram writes as much of what as there is room for, and does not wait for more.
// If not all of it fits, there are bytes that the other side has not read.
func cram(c net.Conn, what []byte) {
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		for len(what) > 0 {
			n, err := syscall.Write(int(fd), what)
			if err == syscall.EINTR {
				continue
			}
			if err != nil {
				return
			}
			what = what[n:]
		}
	})
}

// settle waits until the server has written all of answer i, so that what it
// sent too much is there before the next request, and returns what it saw. The
// exchange must be over: the client reads no more, so the server does not wait
// for room any longer. What does not fit into the socket then is left out; more
// than enough is there to be seen. Here, too, it sends what nobody asked for.
func (s *script) settle(i int, answered bool) *record {
	s.mu.Lock()
	rec := s.records[i]
	s.mu.Unlock()
	if rec != nil && answered {
		_ = rec.conn.SetWriteDeadline(time.Unix(1, 0))
		<-rec.answered
		_ = rec.conn.SetWriteDeadline(time.Time{})
		if s.shape&shapeBody == shapeStray {
			cram(rec.conn, []byte("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"))
		}
	}
	return rec
}

// recorder keeps what is read through it.
type recorder struct {
	r    io.Reader
	seen bytes.Buffer
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.seen.Write(p[:n])
	return n, err
}

// sameRequest compares what two servers saw.
func sameRequest(t *testing.T, std, own *record) {
	t.Helper()
	if std == nil || own == nil {
		t.Fatalf("net/http sent %v, h1 %v", std, own)
	}
	if d := cmp.Diff(std.head, own.head); d != "" {
		t.Fatalf("request of net/http (-) against h1 (+):\n%s", d)
	}
	if std.body != own.body || std.whole != own.whole {
		t.Fatalf("body of net/http %q, of h1 %q", std.body, own.body)
	}
}

// seed is one input of the fuzz test.
type seed struct {
	method, target, fields string
	body                   []byte
	shape                  uint8
	first, second          string
}

// seeds are the inputs to begin with: each way of answering, whole and in
// pieces, and each way of asking.
func seeds() []seed {
	const head, chunks = "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	answers := []string{
		good, "", "\r\n", good + good, good + "x", "HTTP/1.1 200", head, head + "A: b\r\n",
		head + "Content-Length: 9\r\n\r\nshort", head + "Content-Length: 0\r\n\r\n", head + "\r\nuntil close",
		"HTTP/1.0 200 OK\r\n\r\nold", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold",
		"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", head + "A: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
		head + "A: a\x00\r\nContent-Length: 2\r\n\r\nok", head + "A : a\r\nContent-Length: 2\r\n\r\nok",
		head + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
		head + "Content-Length: 2, 2\r\n\r\nok", head + "Content-Length: +2\r\n\r\nok", head + "Content-Length:\r\n\r\nok",
		head + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		head + "Transfer-Encoding: identity\r\n\r\nok", head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
		"HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\ngood",
		"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\n" + good, "HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n" + good,
		strings.Repeat("HTTP/1.1 102 P\r\n\r\n", 6) + good, "HTTP/1.1 100 C\r\nContent-Length: 4\r\n\r\ngood" + good,
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nraw",
		"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 -12 Low\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n",
		"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "SSH-2.0-x\r\n",
		chunks + "2\r\nok\r\n0\r\n\r\n", chunks + "2\r\nok\r\n0\r\n\r\n" + good, chunks + "2;a=b\r\nok\r\n00\r\n\r\n",
		chunks + "2 \r\nok\r\n0\r\n\r\n", chunks + "2\nok\r\n0\r\n\r\n", chunks + "2\r\nok0\r\n\r\n", chunks + "0x2\r\nok\r\n0\r\n\r\n",
		chunks + "ffffffffffffffff\r\nok", chunks + "2\r\nok\r\n0\r\n", chunks + "A\r\n0123456789\r\n1\r\nx\r\n0\r\nA: 1\r\nB: 2\r\n\r\n",
		head + "Trailer: A, b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: 1\r\n\r\n",
		head + "Trailer: Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", head + "Trailer: A\r\nContent-Length: 2\r\n\r\nok",
		chunks + "0\r\nContent-Length: 4\r\n\r\n", chunks + "0\r\nA: 1\n\r\n", chunks + "0\r\nA: 1\r\n 2\r\n\r\n",
		head + "Connection: close\r\nContent-Length: 2\r\n\r\nok", head + "Connection: a, CLOSE\r\nContent-Length: 2\r\n\r\nok",
		head + "Pragma: no-cache\r\nContent-Length: 2\r\n\r\nok", head + "WWW-Authenticate: Negotiate\r\nContent-Length: 2\r\n\r\nok",
	}
	var list []seed
	for i, a := range answers {
		shape := uint8(i%8) << 3
		list = append(list,
			seed{"GET", "/a?b=c", "A: 1\nCookie: a=b", nil, 0, a, good},
			seed{"HEAD", "/", "", nil, shape, a, a},
			seed{"POST", "/x%2Fy", "Content-Type: text/plain", []byte("hello"), shape | uint8(i%5), good, a},
		)
	}
	for kind := range uint8(8) {
		for _, more := range []uint8{0, shapeEarly, shapeHangUp, shapeEarly | shapeHangUp} {
			list = append(list, seed{"PUT", "/", fmt.Sprint("Host: h", kind), []byte("body"), kind | more, good, good})
		}
	}
	for _, f := range []string{
		"Connection: close", "connection: x", "Transfer-Encoding: chunked", "content-length: 3", "User-Agent: me", "A b: c", "A: b\rc",
		"Te: trailers", "Authorization: NTLM x", "Host: a b", "Host: [::1]:80", "A:\t v \t", "expect: 100-continue", "A: \xff",
	} {
		list = append(list, seed{"GET", "/", f, nil, 0, good, good})
	}
	return append(list,
		seed{"get", "*", "", nil, 0, good, good}, seed{"OPTIONS", "*", "", nil, 0, good, good}, seed{"G T", "/", "", nil, 0, good, good},
		seed{"", "/%zz", "", nil, 0, good, good}, seed{"GET", "/a b?c d", "", nil, 0, good, good}, seed{"GET", "", "", nil, 0, good, good},
		seed{"GET", "/\r\nA: b?", "", nil, 0, good, good}, seed{"DELETE", "//a/../b?", "", nil, 0, good, good})
}
