package upstream

import (
	"net"
	"testing"
)

func TestAnswerMustFollowTheRequest(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	c := &conn{Conn: ours}
	defer c.Close()
	buf := make([]byte, 64)
	write := func() {
		go theirs.Read(make([]byte, 64))
		c.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
	}
	read := func() {
		go theirs.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
		c.Read(buf)
	}
	for name, s := range map[string]struct {
		steps []func()
		mixed bool
	}{
		"request, answer":                  {[]func(){c.begin, write, read, c.firstByte}, false},
		"answer buffered before":           {[]func(){c.begin, write, c.firstByte}, true},
		"answer before anything is sent":   {[]func(){c.begin, c.firstByte, write}, true},
		"leftover read while being lent":   {[]func(){c.begin, read, write, c.firstByte}, true},
		"the next request starts anew":     {[]func(){c.begin, write, c.firstByte, c.begin, write, read, c.firstByte}, false},
		"reads of the last one do not do":  {[]func(){c.begin, write, read, c.firstByte, read, c.begin, write, c.firstByte}, true},
		"a body that is read on is fine":   {[]func(){c.begin, write, read, c.firstByte, read, read}, false},
		"a body that is still sent is too": {[]func(){c.begin, write, write, read, c.firstByte, write}, false},
	} {
		for _, step := range s.steps {
			step()
		}
		if c.mixedUp() != s.mixed {
			t.Errorf("%s: mixed up = %t, want %t", name, c.mixedUp(), s.mixed)
		}
	}
}
