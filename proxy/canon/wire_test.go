package canon_test

import (
	"bufio"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/proxy/canon"
)

// gateway is a real net/http server whose handler asks canon and answers the
// status of a refusal, or 200. It records what was taken.
type gateway struct {
	*httptest.Server
	mu    sync.Mutex
	taken []canon.Request
	heads []*http.Request
}

func newGateway(t *testing.T, start func(*httptest.Server)) *gateway {
	g := &gateway{}
	g.Server = httptest.NewUnstartedServer(http.HandlerFunc(g.serve))
	g.Config.ErrorLog = log.New(io.Discard, "", 0)
	start(g.Server)
	t.Cleanup(g.Close)
	return g
}

func (g *gateway) serve(w http.ResponseWriter, r *http.Request) {
	req, err := canon.Parse(r)
	var bad *canon.Error
	if errors.As(err, &bad) {
		w.WriteHeader(bad.Status)
		return
	}
	g.mu.Lock()
	g.taken, g.heads = append(g.taken, req), append(g.heads, r)
	g.mu.Unlock()
	_, _ = io.Copy(io.Discard, r.Body)
}

// send writes raw bytes on a new connection, reads answers until the server
// closes it, and returns their statuses and the requests that were taken.
func (g *gateway) send(t *testing.T, raw string) (statuses []int, taken []canon.Request) {
	t.Helper()
	g.mu.Lock()
	g.taken, g.heads = nil, nil
	g.mu.Unlock()
	conn, err := net.Dial("tcp", g.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	// A server that refuses early may close while we still write.
	_, _ = io.WriteString(conn, raw)
	_ = conn.(*net.TCPConn).CloseWrite()
	in := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			break
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		if resp.StatusCode != http.StatusContinue {
			statuses = append(statuses, resp.StatusCode)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return statuses, slices.Clone(g.taken)
}

// wire is one request of the catalogue: raw bytes, and either the status of
// the refusal ("400") or the canonical path, with the oddities a route would
// have to take after a space.
type wire struct{ raw, want string }

func check(t *testing.T, g *gateway, cases []wire) {
	t.Helper()
	for _, c := range cases {
		statuses, taken := g.send(t, c.raw)
		got := ""
		switch {
		case len(taken) > 0:
			got = strings.TrimSpace(taken[0].Path + " " + taken[0].Odd.String())
		case len(statuses) > 0:
			got = strconv.Itoa(statuses[0])
		}
		if got != c.want {
			t.Errorf("%.90q = %q, want %q", c.raw, got, c.want)
		}
	}
}

// target is a GET of the target on app.test.
func target(target, want string) wire {
	return wire{"GET " + target + " HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n", want}
}

func TestRawTargets(t *testing.T) {
	g := newGateway(t, (*httptest.Server).Start)
	cases := []wire{
		target("/admin/x?z=/public/", "/admin/x"),
		target("/admin?/public/", "/admin"),
		target("/public/..%23/admin", "400"),
		target("/admin%23/public/x", "/admin encoded_hash"),
		target("/admin#/public/x", "400"),
		target("/public?x#/admin", "400"),
		target("/public/../admin/x", "400"),
		target("/user/../admin/secrets", "400"),
		target("/public/%2e%2e/admin/x", "400"),
		target("/public/%2e%2e%2fadmin", "400"),
		target("/public/.%2e/admin", "400"),
		target("/public%2f..%2fadmin", "400"),
		target("/admin%2fx", "/admin/x encoded_slash"),
		target("/public/..%5cadmin", "400"),
		target(`/public\..\admin`, "400"),
		target("/public%2F..%2fadmin", "400"),
		target("/admin%2Fx", "/admin/x encoded_slash"),
		target("/public/..%5Cadmin", "400"),
		target("//admin/x", "/admin/x"),
		target("//evil.test/admin", "/evil.test/admin"),
		target("///admin", "/admin"),
		target("/./admin", "400"),
		target("/x/./../admin", "400"),
		target("/public/%2f../admin", "400"),
		target("/public/%5c../admin", "400"),
		target("/public/%00../admin", "400"),
		target("/public/%3b../admin", "400"),
		target("/public/%25../admin", "/public/%../admin encoded_percent"),
		target("/public/%3f../admin", "400"),
		target("/public/%23../admin", "400"),
		target("/admin%2f", "/admin/ encoded_slash"),
		target("/admin%5c", "/admin/ encoded_backslash"),
		target("/admin%00", "400"),
		target("/admin%3b", "/admin encoded_semicolon"),
		target("/admin%25", "/admin% encoded_percent"),
		target("/admin%3f", "/admin encoded_question"),
		target("/admin%23", "/admin encoded_hash"),
		target("/api../admin", "/api../admin"),
		target("/api/../admin", "400"),
		target("/api/%2e%2e/admin", "400"),
		target("/apiadmin", "/apiadmin"),
	}
	check(t, g, cases)
}

func TestRawOddCharacters(t *testing.T) {
	g := newGateway(t, (*httptest.Server).Start)
	cases := []wire{
		target("/public/..;/admin", "400"),
		target("/admin/%3bx", "/admin/ encoded_semicolon"),
		target("/realms;x/master", "400"),
		target("/admin;jsessionid=1", "/admin semicolon"),
		target("/public;/../admin", "400"),
		target("/admin/%20", "/admin/ segment_space"),
		target("/admin%20", "/admin segment_space"),
		target("/%20admin", "/admin segment_space"),
		target("/admin/a%0ab", "400"),
		target("/admin/%0d", "400"),
		target("/admin%0a", "400"),
		target("/public/.%2e/admin", "400"),
		target("/public/%%32%65%%32%65/admin", "400"),
		target("/public%00/admin", "400"),
		target("/admin%00.png", "400"),
		target("/ADMIN", "/ADMIN"),
		target("/%41DMIN", "/ADMIN"),
		target("/Admin/", "/Admin/"),
		target("/admin/", "/admin/"),
		target("/admin/.", "400"),
		target("/admin.", "/admin."),
		target("/admin.json", "/admin.json"),
		target("/admin.css;.js", "/admin.css semicolon"),
		target("//evil.test/%2e%2e", "400"),
		target("//evil.test/..;/", "400"),
		target("/api/x?"+strings.Repeat("a&", 3000)+"role=admin", "/api/x"),
		target("/api/x?"+strings.Repeat("a&", 10_001)+"role=admin", "414"),
		target("/%61dmin", "/admin"),
		target("/a%c0%ae", "400"),
		target("/a/%252e%252e/b", "400"),
		target("/a%252fb", "/a%2fb double_encoding"),
		target("/caf\xe9", "400"),
		target("/caf\xc3\xa9", "/café non_ascii"),
		target("/a%zz", "400"),
		target("admin", "400"),
		target("http://adm.test/admin", "400"),
		target("https://app.test/", "400"),
		target("http:/admin", "400"),
		target("*", "400"),
		target("/a b", "400"),
		target("/a\x01b", "400"),
		target("/"+strings.Repeat("a", 9000), "414"),
	}
	check(t, g, cases)
}

func TestRawQueriesArriveAsTheyWereSent(t *testing.T) {
	g := newGateway(t, (*httptest.Server).Start)
	for _, q := range []string{"a=1;role=admin", "a=%zz&role=admin", "a=1&a=2", "x=\xff", "/public/"} {
		_, taken := g.send(t, target("/api/x?"+q, "").raw)
		if len(taken) != 1 || taken[0].RawQuery != q {
			t.Errorf("GET /api/x?%s = %+v, want the query as it was", q, taken)
		}
	}
}

func TestRawHosts(t *testing.T) {
	g := newGateway(t, (*httptest.Server).Start)
	for host, want := range map[string]string{
		"x.ADMIN.app.test":    "x.admin.app.test",
		"adm.test.":           "adm.test",
		"adm.test:80":         "adm.test",
		"adm.test:443":        "adm.test:443",
		"ADM.TEST.:8443":      "adm.test:8443",
		"[::1]":               "[::1]",
		"XN--E1AFMKFD.test":   "xn--e1afmkfd.test",
		"xn--":                "xn--",
		"adm.test,pub.test":   "400",
		"adm.test, pub.test":  "400",
		"":                    "400",
		"user@app.test":       "400",
		"app.test/x":          "400",
		"app.test:":           "400",
		"app.test:99999":      "400",
		"a.test:80:80":        "400",
		"app.test\x00":        "400",
		"app.test\r\nHost: b": "400",
		"münchen.test":        "400",
		"app%2etest":          "400",
		"[fe80::1%25lo]":      "400",
	} {
		statuses, taken := g.send(t, "GET / HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
		got := ""
		if len(taken) > 0 {
			got = taken[0].Host
		} else if len(statuses) > 0 {
			got = strconv.Itoa(statuses[0])
		}
		if got != want {
			t.Errorf("Host: %q = %q, want %q", host, got, want)
		}
	}
	check(t, g, []wire{
		{"GET / HTTP/1.0\r\n\r\n", "400"},
		{"GET / HTTP/1.1\r\n\r\n", "400"},
		{"GET /x HTTP/1.0\r\nHost: app.test\r\n\r\n", "/x"},
		{"GET / HTTP/1.1\r\nHost: app.test\r\nHost: adm.test\r\n\r\n", "400"},
		{"GET http://pub.test/ HTTP/1.1\r\nHost: adm.test\r\n\r\n", "400"},
	})
}

func TestRawMethodsAndFraming(t *testing.T) {
	g := newGateway(t, (*httptest.Server).Start)
	post := "POST / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n"
	line := func(l string) string { return l + " HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n" }
	check(t, g, []wire{
		{line("get /admin"), "400"},
		{line("Get /admin"), "400"},
		{line("hEaD /admin"), "400"},
		{line(strings.Repeat("A", 40) + " /"), "501"},
		{line("REPORT /x"), "/x"},
		{line("CONNECT evil:443"), "405"},
		{line("CONNECT /admin"), "405"},
		{"CONNECT evil:443 HTTP/1.1\r\nHost: app.test\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", "405"},
		{line("TRACE /"), "405"},
		{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "501"},
		{"GET / HTTP/2.0\r\nHost: app.test\r\n\r\n", "505"},
		{line("G@T /"), "400"},
		{post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400"},
		{post + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", "400"},
		{post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "501"},
		{post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", "501"},
		{post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", "501"},
		{post + "X-A: a\rb\r\n\r\n", "400"},
		{post + "X-A: a\x00b\r\n\r\n", "400"},
		{post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "400"},
		{post + "Content-Length: +4\r\n\r\nxxxx", "400"},
		{post + ": x\r\n\r\n", "400"},
		{post + "Expect: y 100-continue\r\nContent-Length: 1\r\n\r\nx", "417"},
		{post + "Expect: 200-ok\r\nContent-Length: 1\r\n\r\nx", "417"},
		{post + "Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx", "417"},
		{post + "Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx", "/"},
		{post + strings.Repeat("X-A: b\r\n", 199) + "\r\n", "/"},
		{post + strings.Repeat("X-A: b\r\n", 200) + "\r\n", "431"},
	})
}

// Each request of a pipeline is judged by itself.
func TestPipelinedRequestsAreJudgedOneByOne(t *testing.T) {
	g := newGateway(t, (*httptest.Server).Start)
	statuses, taken := g.send(t, "GET /public HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\n\r\nGET /admin HTTP/1.1\r\nHost: adm.test\r\n\r\nGET /a/../b HTTP/1.1\r\nHost: app.test\r\n\r\n")
	if !slices.Equal(statuses, []int{200, 200, 400}) || len(taken) != 2 || taken[0].Path != "/public" || taken[1].Path != "/admin" || taken[1].Host != "adm.test" {
		t.Errorf("statuses %v, taken %+v", statuses, taken)
	}
}

func TestRawUpgrades(t *testing.T) {
	g := newGateway(t, (*httptest.Server).Start)
	const settings = "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
	for head, websocket := range map[string]bool{
		"Connection: Upgrade\r\nUpgrade: websocket\r\n":                                         true,
		"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" + settings:                    false,
		"Connection: Upgrade\r\nUpgrade: h2c\r\n" + settings:                                    false,
		"Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n":                                    false,
		"Connection: Upgrade\r\nUpgrade: H2C\r\n":                                               false,
		"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n":                    false,
		"Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n":           false,
		"Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n":                         false,
		"Connection: Upgrade\r\nUpgrade: foo\r\nContent-Length: 5\r\n":                          false,
		"Connection: close, Upgrade\r\nUpgrade: TLS/1.0\r\n":                                    false,
		"Connection: Sec-WebSocket-Key\r\nUpgrade: websocket\r\nSec-WebSocket-Key: Upgrade\r\n": false,
	} {
		body := ""
		if strings.Contains(head, "Content-Length") {
			body = "hello"
		} else if strings.Contains(head, "chunked") {
			body = "0\r\n\r\n"
		}
		_, taken := g.send(t, "GET /ws HTTP/1.1\r\nHost: app.test\r\n"+head+"\r\n"+body)
		if len(taken) != 1 || taken[0].Websocket != websocket || taken[0].OtherUpgrade == websocket {
			t.Errorf("%q = %+v, want web socket %v", head, taken, websocket)
		}
	}
}

// TestWhatAHandlerCannotSee holds down what net/http hides from handlers, so
// that a change there, or a strict reader below it, is noticed here.
func TestWhatAHandlerCannotSee(t *testing.T) {
	g := newGateway(t, (*httptest.Server).Start)
	_, taken := g.send(t, "POST /t080 HTTP/1.1\r\nHost: app.test\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG")
	if len(taken) != 1 {
		t.Fatalf("taken %+v, want the chunked request alone", taken)
	}
	if r := g.heads[0]; r.ContentLength != -1 || r.Header["Content-Length"] != nil {
		t.Errorf("the handler sees length %d and header %q; canon can refuse it now", r.ContentLength, r.Header["Content-Length"])
	}
	check(t, g, []wire{
		{"GET /lf HTTP/1.1\nHost: app.test\nConnection: close\n\n", "/lf"},
		{"GET /fold HTTP/1.1\r\nHost: app.test\r\nX-A: b\r\n c\r\nConnection: close\r\n\r\n", "/fold"},
		{"GET /x HTTP/1.1\r\nHost: app.test\r\nExpect:\r\n 100-continue\r\nConnection: close\r\n\r\n", "/x"},
	})
}
