package e2e

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// socket opens the application's echo socket as v.
func socket(t *testing.T, v *visitor, origin string) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	header := http.Header{}
	if origin != "" {
		header.Set("Origin", origin)
	}
	// The visitor's transport, without its time-out: that would end the socket.
	client := &http.Client{Transport: v.client.Transport, Jar: v.client.Jar, CheckRedirect: noRedirects}
	return websocket.Dial(ctx, v.base+"/ws", &websocket.DialOptions{HTTPClient: client, HTTPHeader: header})
}

func TestSocketNeedsASessionAndOurOrigin(t *testing.T) {
	d := sharedDemo(t)
	if _, resp, err := socket(t, newVisitor(t, d.url), d.url); err == nil || resp == nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("socket without a session: %v, want 401", err)
	}
	bob := newVisitor(t, d.url)
	bob.signIn("bob", demoPassword, "/")
	for _, origin := range []string{"https://evil.example", "null", d.url + ".evil.example", ""} {
		_, resp, err := socket(t, bob, origin)
		if err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
			t.Errorf("socket with bob's cookie and Origin %q: %v, want 403", origin, err)
		}
	}
	c, _, err := socket(t, bob, d.url)
	if err != nil {
		t.Fatalf("bob's socket: %v", err)
	}
	defer c.CloseNow()
	echo(t, c, "hello")
}

func echo(t *testing.T, c *websocket.Conn, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		t.Fatalf("send %q: %v", text, err)
	}
	if _, got, err := c.Read(ctx); err != nil || string(got) != text {
		t.Fatalf("echo of %q = %q, %v", text, got, err)
	}
}

// stream reads the application's events until the stream ends.
type stream struct {
	events chan string
	ended  chan struct{}
}

func openStream(t *testing.T, v *visitor) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.base+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Sec-Fetch-Mode", "cors")
	client := &http.Client{Transport: v.client.Transport, Jar: v.client.Jar, CheckRedirect: noRedirects}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		t.Fatalf("GET /events = %d, want 200", resp.StatusCode)
	}
	s := &stream{events: make(chan string, 100), ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				s.events <- data
			}
		}
	}()
	return s
}

func (s *stream) next(t *testing.T) {
	t.Helper()
	select {
	case <-s.events:
	case <-s.ended:
		t.Fatal("the event stream has ended")
	case <-time.After(patience):
		t.Fatal("no event comes: is the stream buffered?")
	}
}

func TestEventsNeedASessionAndArriveOneByOne(t *testing.T) {
	d := sharedDemo(t)
	if a := newVisitor(t, d.url).fetch("/events"); a.status != http.StatusUnauthorized {
		t.Errorf("GET /events without a session = %d, want 401", a.status)
	}
	bob := newVisitor(t, d.url)
	bob.signIn("bob", demoPassword, "/")
	s := openStream(t, bob)
	start := time.Now()
	s.next(t)
	s.next(t)
	// The second is sent a second later: had they been kept back, they would
	// come together, much later, or never.
	if took := time.Since(start); took < 500*time.Millisecond {
		t.Errorf("two events came within %v", took)
	}
}

func TestSocketAndStreamEndWithSignOut(t *testing.T) {
	d := sharedDemo(t)
	bob, other := newVisitor(t, d.url), newVisitor(t, d.url)
	bob.signIn("bob", demoPassword, "/")
	other.signIn("bob", demoPassword, "/")
	c, _, err := socket(t, bob, d.url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	kept, _, err := socket(t, other, d.url)
	if err != nil {
		t.Fatal(err)
	}
	defer kept.CloseNow()
	echo(t, c, "before")
	s, keptStream := openStream(t, bob), openStream(t, other)
	s.next(t)
	bob.signOut()

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, _, err = c.Read(ctx)
	if ctx.Err() != nil {
		t.Fatal("bob's socket is open 5 s after sign-out")
	}
	if got := websocket.CloseStatus(err); got != websocket.StatusPolicyViolation {
		t.Errorf("bob's socket ends with %v, want close code 1008", err)
	}
	select {
	case <-s.ended:
	case <-time.After(5 * time.Second):
		t.Error("bob's event stream is open 5 s after sign-out")
	}
	echo(t, kept, "the other session goes on")
	keptStream.next(t)
}
