//go:build unix

package h1

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"
)

// muchTooMuch is more than a pair of sockets holds, so a server that sends it
// after an answer waits for a client that no longer reads.
var muchTooMuch = strings.Repeat("\xff", 4<<20)

// surplusLeft returns a transport with one idle connection on which more waits
// than the answer had, and its server, which cannot send all of it. shape is
// how the server goes on.
func surplusLeft(t *testing.T, shape uint8) (*Transport, *script) {
	t.Helper()
	// The first read takes a full buffer and the second, large enough to go past
	// the buffer, no more than the rest of the body: the surplus stays in the
	// socket.
	body := strings.Repeat("x", 2*bufferSize)
	answer := "HTTP/1.1 200 OK\r\nContent-Length: 8192\r\n\r\n" + body
	s := newScript(shape, [][]byte{[]byte(answer + muchTooMuch), []byte(good)})
	own := New(Options{Dial: s.dial})
	t.Cleanup(func() {
		own.CloseIdleConnections()
		s.wait()
	})
	res, err := own.RoundTrip(numbered(plainRequest(t.Context()), 0))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got := make([]byte, len(body)+1)
	if n, err := io.ReadFull(res.Body, got); string(got[:n]) != body || err != io.ErrUnexpectedEOF {
		t.Fatalf("%d bytes of a body, %v", n, err)
	}
	if n := own.Stats().Idle; n != 1 {
		t.Fatalf("%d idle connections, want one: nothing was seen on it yet", n)
	}
	return own, s
}

// The server of the fuzz test waits with a surplus that is larger than the
// socket for as long as the connection is idle. That must not take the time of
// the exchanges that follow.
func TestSettleDoesNotWaitForWhatNobodyReads(t *testing.T) {
	for name, shape := range map[string]uint8{"and no more": 0, "and more": shapeStray} {
		t.Run(name, func(t *testing.T) {
			own, s := surplusLeft(t, shape)
			s.settle(0, true)
			if n := own.Stats().Idle; n != 1 {
				t.Fatalf("%d idle connections, want one: it was waited for until the sweep", n)
			}
			if own.pool.idle[0].quiet() {
				t.Error("nothing waits on the idle connection, the server's surplus is lost")
			}
		})
	}
}

// A server that is stuck in what nobody asked for delays nobody, and no answer
// of its own is taken for another's.
func TestSurplusThatFillsTheSocketIsNobodysAnswer(t *testing.T) {
	own, _ := surplusLeft(t, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	o := exchangeOnce(own, numbered(plainRequest(ctx), 1))
	if o.err != nil || o.Body != "good" {
		t.Errorf("got %q, %v", o.Body, o.err)
	}
	if n := own.Stats(); n.Dials != 2 || n.Retries != 0 {
		t.Errorf("%+v, want a second connection and nothing sent twice", n)
	}
}
