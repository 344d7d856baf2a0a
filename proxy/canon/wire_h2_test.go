package canon_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http/httptest"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// stream sends one request with these HTTP/2 header fields, pseudo headers
// first, and returns its status, or "reset" if the server refused the stream.
func stream(t *testing.T, g *gateway, fields ...string) string {
	t.Helper()
	g.mu.Lock()
	g.taken = nil
	g.mu.Unlock()
	conn, err := tls.Dial("tcp", g.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = framer.WriteSettings()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		_ = enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return "closed"
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			return f.PseudoValue("status")
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return "reset"
		}
	}
}

func TestHTTP2Targets(t *testing.T) {
	g := newGateway(t, func(s *httptest.Server) { s.EnableHTTP2 = true; s.StartTLS() })
	head := func(method, path string, more ...string) []string {
		return append([]string{":method", method, ":scheme", "https", ":authority", "app.test", ":path", path}, more...)
	}
	for name, c := range map[string]struct {
		fields []string
		want   string
	}{
		"ordinary":           {head("GET", "/a?b=c"), "200"},
		"same host twice":    {head("GET", "/a", "host", "app.test"), "200"},
		"host differs":       {head("GET", "/a", "host", "adm.test"), "400"},
		"list of hosts":      {[]string{":method", "GET", ":scheme", "https", ":authority", "a.test,b.test", ":path", "/"}, "400"},
		"dot segment":        {head("GET", "/a/../b"), "400"},
		"hash":               {head("GET", "/a#b"), "400"},
		"space in path":      {head("GET", "/a b"), "400"},
		"space in query":     {head("GET", "/a?b c"), "400"},
		"absolute form":      {head("GET", "http://adm.test/"), "400"},
		"no slash":           {head("GET", "admin"), "reset"},
		"lower-case method":  {head("get", "/"), "400"},
		"CONNECT":            {[]string{":method", "CONNECT", ":authority", "evil.test:443"}, "405"},
		"extended CONNECT":   {head("CONNECT", "/ws", ":protocol", "websocket"), "reset"},
		"transfer-encoding":  {head("POST", "/", "transfer-encoding", "chunked"), "400"},
		"connection":         {head("GET", "/", "connection", "upgrade"), "400"},
		"upgrade":            {head("GET", "/", "upgrade", "websocket"), "400"},
		"upper-case name":    {head("GET", "/", "X-A", "b"), "reset"},
		"line feed in value": {head("GET", "/", "x-a", "b\r\nx-b: c"), "reset"},
	} {
		if got := stream(t, g, c.fields...); got != c.want {
			t.Errorf("%s: answered %s, want %s", name, got, c.want)
		}
		if c.want != "200" && len(g.taken) > 0 {
			t.Errorf("%s: taken as %+v", name, g.taken)
		}
	}
}
