//go:build unix

package h1

import (
	"testing"
	"time"
)

// oneExchange returns a transport with one idle connection to a server that
// answers in this shape, and that server.
func oneExchange(t *testing.T, shape uint8) (*Transport, *script) {
	t.Helper()
	s := newScript(shape, [][]byte{[]byte(good)})
	own := New(Options{Dial: s.dial})
	if o := exchangeOnce(own, numbered(plainRequest(t.Context()), 0)); o.err != nil || o.Body != "good" {
		t.Fatalf("got %+v", o)
	}
	s.settle(0, true)
	if n := own.Stats().Idle; n != 1 {
		t.Fatalf("%d idle connections, want one", n)
	}
	t.Cleanup(func() {
		own.CloseIdleConnections()
		s.wait()
	})
	return own, s
}

func TestSweepLeavesWhatIsQuiet(t *testing.T) {
	own, _ := oneExchange(t, 0)
	own.pool.sweep()
	if n := own.Stats().Idle; n != 1 {
		t.Errorf("%d idle connections, want the quiet one", n)
	}
}

func TestSweepRemovesWhatTheServerEnded(t *testing.T) {
	own, _ := oneExchange(t, shapeHangUp)
	own.pool.sweep()
	if n := own.Stats().Idle; n != 0 {
		t.Errorf("%d idle connections, want none: the server has closed it", n)
	}
}

func TestSweepRemovesWhatSpeaksUnasked(t *testing.T) {
	own, _ := oneExchange(t, shapeStray)
	own.pool.sweep()
	if n := own.Stats().Idle; n != 0 {
		t.Errorf("%d idle connections, want none: there are bytes on it", n)
	}
}

func TestIdleConnectionKeepsOnlyASmallBuffer(t *testing.T) {
	own, _ := oneExchange(t, 0)
	c := own.pool.take()
	for range 4 {
		c.grow()
	}
	own.pool.put(c)
	if n := cap(own.pool.idle[0].buf); n != bufferSize {
		t.Errorf("an idle connection keeps a buffer of %d bytes, want %d", n, bufferSize)
	}
}

func TestOldConnectionIsNotTaken(t *testing.T) {
	own, _ := oneExchange(t, 0)
	own.pool.idle[0].since = time.Now().Add(-own.opt.IdleTimeout - time.Second)
	if c := own.pool.take(); c != nil || own.Stats().Idle != 0 {
		t.Errorf("took %v, %+v, want it closed", c, own.Stats())
	}
}
