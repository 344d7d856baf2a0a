package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/session"
)

// The gate and the forwarder must agree on what a web socket is: one that only
// the forwarder saw was a tunnel past the rule for web sockets.
func TestUpgradeThatIsNoWebSocketForTheGateIsNoneForTheForwarder(t *testing.T) {
	w := newWorld(t, `
  - { name: sockets, match: { path: /ws, websocket: true }, allow: nobody }
  - { name: pages, match: { path: /ws, websocket: false }, allow: anyone }
`)
	for _, version := range []string{"1.1", "1.0"} {
		answer := w.raw("GET /ws HTTP/" + version + "\r\nHost: " + w.site.Host + "\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\n" +
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		if strings.Contains(answer, " 101 ") {
			t.Errorf("HTTP/%s: a web socket was opened past its rule: %.80s", version, answer)
		}
	}
}

// An answer with an announced end is a stream too, if it takes
// its time.
func TestSlowAnswerWithALengthEndsWithTheSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, baseRoutes)
	cookie := w.session("bob", "staff")
	res := w.ask("GET", "/slow", "Cookie: "+cookie)
	if _, err := bufio.NewReader(res.Body).ReadByte(); err != nil {
		t.Fatal(err)
	}
	w.signOut(cookie, "Origin: "+w.site.Origin)
	ended := make(chan error, 1)
	go func() { _, err := io.Copy(io.Discard, res.Body); ended <- err }()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the answer ended as if it were complete, want it cut off")
		}
	case <-time.After(streamAfter + 5*time.Second):
		t.Fatal("the answer goes on after sign-out")
	}
}

// A client that sends a form a byte at a time is not waited for.
func TestSlowFormsAreCutOff(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it waits for a deadline of ten seconds")
	}
	w := newWorld(t, baseRoutes)
	c, err := net.Dial("tcp", w.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /_gatehouse/sign-out HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 60000\r\n\r\nt",
		w.site.Host, w.session("bob"))
	begin := time.Now()
	c.SetReadDeadline(begin.Add(formTime + 10*time.Second))
	answer, _ := bufio.NewReader(c).ReadString('\n')
	if took := time.Since(begin); !strings.Contains(answer, "400") || took > formTime+5*time.Second {
		t.Errorf("a form that never ends is answered %q after %v, want 400 after %v", answer, took, formTime)
	}
}

// A body that is announced and never sent keeps no connection, though nobody
// wanted it.
func TestRefusedBodiesAreNotWaitedForLong(t *testing.T) {
	t.Parallel()
	w := newWorld(t, baseRoutes)
	begin := time.Now()
	c, err := net.Dial("tcp", w.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /x HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000\r\n\r\n", w.site.Host)
	c.SetReadDeadline(begin.Add(formTime + 10*time.Second))
	answer, err := io.ReadAll(c)
	if took := time.Since(begin); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 401") || took > formTime+5*time.Second {
		t.Errorf("after %v: %.40q and %v, want 401 and the end after %v", took, answer, err, formTime)
	}
}

// Pictures and frames of other pages begin no attempt.
func TestSignInBeginsForNavigationsOnly(t *testing.T) {
	w := newWorld(t, baseRoutes)
	for _, headers := range [][]string{
		{"Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"}, {"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"}, {"Sec-Fetch-Mode: cors"},
	} {
		if res := w.ask("GET", "/_gatehouse/sign-in?rd=/x", headers...); res.StatusCode != http.StatusForbidden || len(res.Cookies()) > 0 {
			t.Errorf("sign-in with %q = %d with cookies %v, want 403 and none", headers, res.StatusCode, res.Cookies())
		}
	}
	for _, headers := range [][]string{{}, {navigate, "Sec-Fetch-Dest: document"}} {
		if res := w.ask("GET", "/_gatehouse/sign-in?rd=/x", headers...); res.StatusCode != http.StatusFound {
			t.Errorf("sign-in with %q = %d, want 302", headers, res.StatusCode)
		}
	}
}

// While revocations cannot be known nobody is believed, on our own pages too.
func TestStaleRevocationsBelieveNobody(t *testing.T) {
	w := newWorld(t, baseRoutes)
	cookie := "Cookie: " + w.session("bob", "staff")
	w.stale.Store(true)
	w.status(503, "GET", "/x", cookie)
	w.status(503, "GET", "/api/x", "Authorization: Bearer scope:orders.read")
	w.status(200, "GET", "/public/x", cookie)
	for _, path := range []string{"/_gatehouse/me.json", "/_gatehouse/sign-out"} {
		if res := w.ask("GET", path, cookie); res.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("GET %s = %d, want 503", path, res.StatusCode)
		}
	}
	w.stale.Store(false)
	w.status(200, "GET", "/x", cookie)
}

// A foreign issuer's client that happens to be called like ours.
func TestClientsOfForeignIssuersAreNotOurs(t *testing.T) {
	w := newWorld(t, `
  - { name: job, match: { path: "/**" }, allow: { clients: [job] } }
`)
	w.tokens.believe(func(id *session.Identity) { id.ClientNamed = true })
	w.status(200, "GET", "/x", "Authorization: Bearer scope:a")
	w.tokens.believe(func(id *session.Identity) { id.ClientNamed = false })
	w.status(403, "GET", "/x", "Authorization: Bearer scope:a")
}
