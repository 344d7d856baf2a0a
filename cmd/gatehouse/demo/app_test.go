package demo_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"gatehouse/cmd/gatehouse/demo"
)

func serve(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(demo.App())
	t.Cleanup(s.Close)
	return s
}

func get(t *testing.T, url string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	// The transport, not a client: a redirect is an answer here.
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestJSONShowsTheRequestAsItArrived(t *testing.T) {
	s := serve(t)
	resp, body := get(t, s.URL+"/headers?a=1;b=2&c", "X-Forwarded-User", "alice", "X-Twice", "1", "X-Twice", "2")
	var seen demo.Seen
	if err := json.Unmarshal([]byte(body), &seen); err != nil {
		t.Fatalf("answer %q: %v", body, err)
	}
	if resp.Header.Get("Content-Type") != "application/json" {
		t.Errorf("Content-Type = %q, want application/json", resp.Header.Get("Content-Type"))
	}
	if seen.Method != "GET" || seen.Path != "/headers" || seen.Query != "a=1;b=2&c" {
		t.Errorf("request = %s %s ? %s, want GET /headers ? a=1;b=2&c", seen.Method, seen.Path, seen.Query)
	}
	if "http://"+seen.Host != s.URL {
		t.Errorf("host = %q, want that of %s", seen.Host, s.URL)
	}
	if got := seen.Headers["X-Forwarded-User"]; len(got) != 1 || got[0] != "alice" {
		t.Errorf("X-Forwarded-User = %q, want alice once", got)
	}
	if got := seen.Headers["X-Twice"]; len(got) != 2 {
		t.Errorf("X-Twice = %q, want both lines", got)
	}
}

func TestOrderIsTheSameEachTimeAndShowsTheRequest(t *testing.T) {
	s := serve(t)
	_, one := get(t, s.URL+"/api/orders/7")
	_, two := get(t, s.URL+"/api/orders/7")
	if one != two {
		t.Errorf("order 7 differs between two reads:\n%s\n%s", one, two)
	}
	var order map[string]any
	if err := json.Unmarshal([]byte(one), &order); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"id", "item", "quantity", "cents", "currency", "status", "method", "path", "query", "headers"} {
		if _, ok := order[key]; !ok {
			t.Errorf("order has no %q: %s", key, one)
		}
	}
	if order["id"] != "7" || order["path"] != "/api/orders/7" {
		t.Errorf("id, path = %v, %v, want 7, /api/orders/7", order["id"], order["path"])
	}
}

func TestOddPathsAreShownNotRedirected(t *testing.T) {
	s := serve(t)
	for _, path := range []string{"/public//x", "/a/./b", "/a/../b", "/a%2fb", "/api/orders/", "/api/orders/1/2"} {
		resp, body := get(t, s.URL+path)
		if resp.StatusCode != http.StatusOK {
			t.Errorf("GET %s = %d, want 200", path, resp.StatusCode)
		}
		if want := `<td id="path">` + path + `</td>`; !strings.Contains(body, want) {
			t.Errorf("GET %s does not show %s", path, want)
		}
	}
}

func TestPageEscapesWhatItShowsAndMayRunNothing(t *testing.T) {
	s := serve(t)
	resp, body := get(t, s.URL+"/x?<script>alert(1)</script>", "X-Forwarded-Name", `"><img src=x onerror=alert(1)>`)
	if strings.Contains(body, "<script") || strings.Contains(body, "<img") {
		t.Errorf("page holds markup of its visitor:\n%s", body)
	}
	policy := resp.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src") {
		t.Errorf("Content-Security-Policy = %q, want default-src 'none' and no script", policy)
	}
	if !strings.Contains(body, `href="/_gatehouse/sign-out"`) {
		t.Error("page has no way to sign out")
	}
}

func TestHealth(t *testing.T) {
	resp, body := get(t, serve(t).URL+"/healthz")
	if resp.StatusCode != 200 || body != "ok\n" {
		t.Errorf("GET /healthz = %d %q, want 200 ok", resp.StatusCode, body)
	}
}

func TestSocketSendsEachMessageBack(t *testing.T) {
	s := serve(t)
	c, _, err := websocket.Dial(t.Context(), s.URL+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	for _, kind := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
		if err := c.Write(t.Context(), kind, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		gotKind, got, err := c.Read(t.Context())
		if err != nil || gotKind != kind || string(got) != "hello" {
			t.Errorf("echo of %v hello = %v %q, %v", kind, gotKind, got, err)
		}
	}
}

func TestSocketRefusesAForeignOriginAndAPlainRequest(t *testing.T) {
	s := serve(t)
	_, resp, err := websocket.Dial(t.Context(), s.URL+"/ws", &websocket.DialOptions{
		HTTPHeader: http.Header{"Origin": {"https://evil.example"}},
	})
	if err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("socket from a foreign origin: %v, %v, want 403", resp, err)
	}
	if resp, _ := get(t, s.URL+"/ws"); resp.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("GET /ws without upgrade = %d, want 426", resp.StatusCode)
	}
}

func TestEventsArriveOneByOneAndEndWithTheClient(t *testing.T) {
	done := make(chan struct{})
	app := demo.App()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		app.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)

	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type = %q, want text/event-stream", got)
	}
	lines := bufio.NewScanner(resp.Body)
	for want := 1; want <= 2; {
		if !lines.Scan() {
			t.Fatalf("stream ended before event %d: %v", want, lines.Err())
		}
		if strings.HasPrefix(lines.Text(), "data: ") {
			want++
		}
	}
	leave()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Error("the handler goes on after the client has left")
	}
}
