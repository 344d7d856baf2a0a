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
type wire struct{ id, raw, want string }

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
			t.Errorf("%s: %.90q = %q, want %q", c.id, c.raw, got, c.want)
		}
	}
}

// target is a GET of the target on app.test.
func target(id, target, want string) wire {
	return wire{id, "GET " + target + " HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n", want}
}

func TestRawTargets(t *testing.T) {
	g := newGateway(t, (*httptest.Server).Start)
	cases := []wire{
		target("T001", "/admin/x?z=/public/", "/admin/x"),
		target("T001", "/admin?/public/", "/admin"),
		target("T002", "/public/..%23/admin", "400"),
		target("T002", "/admin%23/public/x", "/admin encoded_hash"),
		target("T002", "/admin#/public/x", "400"),
		target("T002", "/public?x#/admin", "400"),
		target("T004", "/public/../admin/x", "400"),
		target("T004", "/user/../admin/secrets", "400"),
		target("T005", "/public/%2e%2e/admin/x", "400"),
		target("T005", "/public/%2e%2e%2fadmin", "400"),
		target("T005", "/public/.%2e/admin", "400"),
		target("T006", "/public%2f..%2fadmin", "400"),
		target("T006", "/admin%2fx", "/admin/x encoded_slash"),
		target("T006", "/public/..%5cadmin", "400"),
		target("T006", `/public\..\admin`, "400"),
		target("T007", "/public%2F..%2fadmin", "400"),
		target("T007", "/admin%2Fx", "/admin/x encoded_slash"),
		target("T007", "/public/..%5Cadmin", "400"),
		target("T008", "//admin/x", "/admin/x"),
		target("T008", "//evil.test/admin", "/evil.test/admin"),
		target("T008", "///admin", "/admin"),
		target("T010", "/./admin", "400"),
		target("T010", "/x/./../admin", "400"),
		target("T011", "/public/%2f../admin", "400"),
		target("T011", "/public/%5c../admin", "400"),
		target("T011", "/public/%00../admin", "400"),
		target("T011", "/public/%3b../admin", "400"),
		target("T011", "/public/%25../admin", "/public/%../admin encoded_percent"),
		target("T011", "/public/%3f../admin", "400"),
		target("T011", "/public/%23../admin", "400"),
		target("T011", "/admin%2f", "/admin/ encoded_slash"),
		target("T011", "/admin%5c", "/admin/ encoded_backslash"),
		target("T011", "/admin%00", "400"),
		target("T011", "/admin%3b", "/admin encoded_semicolon"),
		target("T011", "/admin%25", "/admin% encoded_percent"),
		target("T011", "/admin%3f", "/admin encoded_question"),
		target("T011", "/admin%23", "/admin encoded_hash"),
		target("T012", "/api../admin", "/api../admin"),
		target("T012", "/api/../admin", "400"),
		target("T012", "/api/%2e%2e/admin", "400"),
		target("T012", "/apiadmin", "/apiadmin"),
	}
	check(t, g, cases)
}

func TestRawOddCharacters(t *testing.T) {
	g := newGateway(t, (*httptest.Server).Start)
	cases := []wire{
		target("T013", "/public/..;/admin", "400"),
		target("T013", "/admin/%3bx", "/admin/ encoded_semicolon"),
		target("T013", "/realms;x/master", "400"),
		target("T013", "/admin;jsessionid=1", "/admin semicolon"),
		target("T013", "/public;/../admin", "400"),
		target("T015", "/admin/%20", "/admin/ segment_space"),
		target("T015", "/admin%20", "/admin segment_space"),
		target("T015", "/%20admin", "/admin segment_space"),
		target("T016", "/admin/a%0ab", "400"),
		target("T016", "/admin/%0d", "400"),
		target("T016", "/admin%0a", "400"),
		target("T017", "/public/.%2e/admin", "400"),
		target("T017", "/public/%%32%65%%32%65/admin", "400"),
		target("T019", "/public%00/admin", "400"),
		target("T019", "/admin%00.png", "400"),
		target("T020", "/ADMIN", "/ADMIN"),
		target("T020", "/%41DMIN", "/ADMIN"),
		target("T020", "/Admin/", "/Admin/"),
		target("T021", "/admin/", "/admin/"),
		target("T021", "/admin/.", "400"),
		target("T021", "/admin.", "/admin."),
		target("T021", "/admin.json", "/admin.json"),
		target("T021", "/admin.css;.js", "/admin.css semicolon"),
		target("T032", "//evil.test/%2e%2e", "400"),
		target("T032", "//evil.test/..;/", "400"),
		target("T035", "/api/x?"+strings.Repeat("a&", 3000)+"role=admin", "/api/x"),
		target("T035", "/api/x?"+strings.Repeat("a&", 10_001)+"role=admin", "414"),
		target("net/http", "/%61dmin", "/admin"),
		target("net/http", "/a%c0%ae", "400"),
		target("net/http", "/a/%252e%252e/b", "400"),
		target("net/http", "/a%252fb", "/a%2fb double_encoding"),
		target("net/http", "/caf\xe9", "400"),
		target("net/http", "/caf\xc3\xa9", "/café non_ascii"),
		target("net/http", "/a%zz", "400"),
		target("net/http", "admin", "400"),
		target("net/http", "http://adm.test/admin", "400"),
		target("net/http", "https://app.test/", "400"),
		target("net/http", "http:/admin", "400"),
		target("net/http", "*", "400"),
		target("net/http", "/a b", "400"),
		target("net/http", "/a\x01b", "400"),
		target("net/http", "/"+strings.Repeat("a", 9000), "414"),
	}
	check(t, g, cases)
}

func TestRawQueriesArriveAsTheyWereSent(t *testing.T) {
	g := newGateway(t, (*httptest.Server).Start)
	for _, q := range []string{"a=1;role=admin", "a=%zz&role=admin", "a=1&a=2", "x=\xff", "/public/"} {
		_, taken := g.send(t, target("T035", "/api/x?"+q, "").raw)
		if len(taken) != 1 || taken[0].RawQuery != q {
			t.Errorf("T035: GET /api/x?%s = %+v, want the query as it was", q, taken)
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
			t.Errorf("T022, T023: Host: %q = %q, want %q", host, got, want)
		}
	}
	check(t, g, []wire{
		{"no host", "GET / HTTP/1.0\r\n\r\n", "400"},
		{"no host", "GET / HTTP/1.1\r\n\r\n", "400"},
		{"1.0 with host", "GET /x HTTP/1.0\r\nHost: app.test\r\n\r\n", "/x"},
		{"two hosts", "GET / HTTP/1.1\r\nHost: app.test\r\nHost: adm.test\r\n\r\n", "400"},
		{"absolute form against Host", "GET http://pub.test/ HTTP/1.1\r\nHost: adm.test\r\n\r\n", "400"},
	})
}

func TestRawMethodsAndFraming(t *testing.T) {
	g := newGateway(t, (*httptest.Server).Start)
	post := "POST / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n"
	line := func(l string) string { return l + " HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n" }
	check(t, g, []wire{
		{"T027", line("get /admin"), "400"},
		{"T027", line("Get /admin"), "400"},
		{"T027", line("hEaD /admin"), "400"},
		{"T027", line(strings.Repeat("A", 40) + " /"), "501"},
		{"T027", line("REPORT /x"), "/x"},
		{"T090", line("CONNECT evil:443"), "405"},
		{"T090", line("CONNECT /admin"), "405"},
		{"T090", "CONNECT evil:443 HTTP/1.1\r\nHost: app.test\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", "405"},
		{"T090", line("TRACE /"), "405"},
		{"net/http", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "501"},
		{"net/http", "GET / HTTP/2.0\r\nHost: app.test\r\n\r\n", "505"},
		{"net/http", line("G@T /"), "400"},
		{"T081", post + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400"},
		{"T081", post + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", "400"},
		{"T081", post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "501"},
		{"T081", post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", "501"},
		{"T081", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", "501"},
		{"T085", post + "X-A: a\rb\r\n\r\n", "400"},
		{"T085", post + "X-A: a\x00b\r\n\r\n", "400"},
		{"net/http", post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "400"},
		{"net/http", post + "Content-Length: +4\r\n\r\nxxxx", "400"},
		{"net/http", post + ": x\r\n\r\n", "400"},
		{"T087", post + "Expect: y 100-continue\r\nContent-Length: 1\r\n\r\nx", "417"},
		{"T087", post + "Expect: 200-ok\r\nContent-Length: 1\r\n\r\nx", "417"},
		{"T087", post + "Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx", "417"},
		{"T087", post + "Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx", "/"},
		{"fields", post + strings.Repeat("X-A: b\r\n", 199) + "\r\n", "/"},
		{"fields", post + strings.Repeat("X-A: b\r\n", 200) + "\r\n", "431"},
	})
}

// TestPipelinedRequestsAreJudgedOneByOne is T089.
func TestPipelinedRequestsAreJudgedOneByOne(t *testing.T) {
	g := newGateway(t, (*httptest.Server).Start)
	statuses, taken := g.send(t, "GET /public HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\n\r\nGET /admin HTTP/1.1\r\nHost: adm.test\r\n\r\nGET /a/../b HTTP/1.1\r\nHost: app.test\r\n\r\n")
	if !slices.Equal(statuses, []int{200, 200, 400}) || len(taken) != 2 || taken[0].Path != "/public" || taken[1].Path != "/admin" || taken[1].Host != "adm.test" {
		t.Errorf("T089: statuses %v, taken %+v", statuses, taken)
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
		"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n":                    false, // T092
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
			t.Errorf("T091, T092: %q = %+v, want web socket %v", head, taken, websocket)
		}
	}
}

// TestWhatAHandlerCannotSee holds down what net/http hides from handlers, so
// that a change there, or a strict reader below it, is noticed here.
func TestWhatAHandlerCannotSee(t *testing.T) {
	g := newGateway(t, (*httptest.Server).Start)
	_, taken := g.send(t, "POST /t080 HTTP/1.1\r\nHost: app.test\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG")
	if len(taken) != 1 {
		t.Fatalf("T080: taken %+v, want the chunked request alone", taken)
	}
	if r := g.heads[0]; r.ContentLength != -1 || r.Header["Content-Length"] != nil {
		t.Errorf("T080: the handler sees length %d and header %q; canon can refuse it now", r.ContentLength, r.Header["Content-Length"])
	}
	check(t, g, []wire{
		{"T085 bare LF", "GET /lf HTTP/1.1\nHost: app.test\nConnection: close\n\n", "/lf"},
		{"T085 obs-fold", "GET /fold HTTP/1.1\r\nHost: app.test\r\nX-A: b\r\n c\r\nConnection: close\r\n\r\n", "/fold"},
		{"T087 folded", "GET /x HTTP/1.1\r\nHost: app.test\r\nExpect:\r\n 100-continue\r\nConnection: close\r\n\r\n", "/x"},
	})
}
