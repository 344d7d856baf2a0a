package app

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// Each request is one line of the access log and one in the figures: who, where,
// what was decided and why, and never what opens anything.
func TestEveryRequestIsLoggedAndCounted(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.log")
	addr := free(t)
	where := fmt.Sprintf("telemetry: { access_log: %q, listen: %q }", file, addr)
	w := newWorld(t, "telemetry: { access_log: off }", where)
	b := w.browser()
	b.fetch("/healthz?secret=1")
	b.fetch("/admin/?secret=1")
	b.fetch("/odd%2f%61dmin?secret=1")
	b.signIn("/admin/?secret=1", "bob")
	b.fetch("/page")
	if _, err := w.browser().do(w.origin+"/healthz", nil, map[string]string{"X-Auth-Request-User": "root"}); err != nil {
		t.Fatal(err)
	}
	w.socketOf(b)
	w.figures(addr,
		`gatehouse_http_requests_total{code="200",method="GET",route="open"} 2`,
		`gatehouse_http_requests_total{code="401",method="GET",route="admin"} 1`,
		`gatehouse_http_requests_total{code="403",method="GET",route="admin"} 1`,
		`gatehouse_http_requests_total{code="101",method="GET",route="the-rest"} 1`,
		`gatehouse_http_request_duration_seconds_count{route="open"} 2`,
		`gatehouse_upstream_request_duration_seconds_count{upstream="app"} 4`,
		`gatehouse_identity_headers_stripped_total{route="open"} 1`,
		`gatehouse_websockets_open{route="the-rest"} 0`,
		`gatehouse_principal_cache_hits_total{kind="session"}`,
	)
	w.stop()
	lines := readLines(t, file)
	find := func(path string, status float64, fields map[string]any) {
		t.Helper()
		for _, line := range lines {
			if line["url.path"] != path || line["http.response.status_code"] != status {
				continue
			}
			for name, want := range fields {
				if fmt.Sprint(line[name]) != fmt.Sprint(want) {
					t.Errorf("%s %v: %s = %v, want %v", path, status, name, line[name], want)
				}
			}
			return
		}
		t.Errorf("no line tells of %s with %v", path, status)
	}
	sub := b.w.subjectOf(lines)
	find("/healthz", 200, map[string]any{"http.route": "open", "gatehouse.decision": "allow", "gatehouse.reason": "route_open", "gatehouse.upstream": "app"})
	find("/odd%2f%61dmin", 400, map[string]any{"gatehouse.reason": "path_rejected", "gatehouse.upstream": nil})
	find("/admin/", 401, map[string]any{"http.route": "admin", "gatehouse.decision": "deny", "gatehouse.reason": "sign_in_required", "upstream_ms": nil, "gatehouse.upstream": nil})
	find("/admin/", 302, map[string]any{"gatehouse.decision": "redirect"})
	find("/admin/", 403, map[string]any{"gatehouse.decision": "deny", "gatehouse.reason": "group_missing", "gatehouse.credential": "session", "user.id": sub})
	find("/page", 200, map[string]any{"gatehouse.decision": "allow", "gatehouse.reason": "signed_in", "user.id": sub})
	find("/ws", 101, map[string]any{"http.route": "the-rest"})
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"secret=1", "code=", demoPassword, "gatehouse-8", "bob@"} {
		if strings.Contains(string(whole), secret) {
			t.Errorf("the access log holds %q", secret)
		}
	}
}

// figures waits until /metrics at addr tells all of this: a request is counted
// after its answer has been read.
func (w *world) figures(addr string, want ...string) {
	w.t.Helper()
	b := w.browser()
	var missing []string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
		told, err := b.do("http://"+addr+"/metrics", nil, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		missing = slices.DeleteFunc(slices.Clone(want), func(line string) bool { return strings.Contains(told.body, line) })
		if len(missing) == 0 {
			return
		}
	}
	w.t.Errorf("/metrics does not tell %s", strings.Join(missing, "\n"))
}

// socketOf opens the demo's web socket as b, and closes it.
func (w *world) socketOf(b *browser) {
	w.t.Helper()
	c, res, err := websocket.Dial(w.t.Context(), strings.Replace(w.origin, "http:", "ws:", 1)+"/ws", &websocket.DialOptions{
		HTTPClient: b.http, HTTPHeader: http.Header{"Origin": {w.origin}},
	})
	if err != nil {
		w.t.Fatalf("%v: %v", res, err)
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) subjectOf(lines []map[string]any) any {
	for _, line := range lines {
		if id, ok := line["user.id"]; ok {
			return id
		}
	}
	w.t.Error("no line names a user")
	return nil
}

func readLines(t *testing.T, file string) []map[string]any {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var lines []map[string]any
	for s := bufio.NewScanner(f); s.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			t.Fatalf("%s: %v", s.Text(), err)
		}
		lines = append(lines, line)
	}
	return lines
}

// A log that is configuration too would be a reload for each line, and one among
// the keys is nothing that anybody means.
func TestTheAccessLogIsNoConfiguration(t *testing.T) {
	dir := t.TempDir()
	rules := filepath.Join(dir, "rules")
	if err := os.Mkdir(rules, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(rules, "orders.rego"), "package orders\n\nallow := true\n")
	t.Chdir(dir)
	for place, want := range map[string]string{
		"gatehouse.yaml": "read as configuration", "rules/access.log": "read as configuration",
		"secrets/access.log": "among the keys", "access.log": "", "logs.d": "", "off": "",
	} {
		write(t, filepath.Join(dir, "gatehouse.yaml"), "public_url: http://localhost:8080\nupstreams: { app: http://127.0.0.1:3000 }\n"+
			"routes: [{ name: open, match: { path: /** }, allow: anyone }]\n"+
			"policy: { custom: [rules] }\ntelemetry: { access_log: \""+place+"\" }\n")
		for _, path := range []string{filepath.Join(dir, "gatehouse.yaml"), "gatehouse.yaml", "./gatehouse.yaml"} {
			_, err := Load(path)
			if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s with access_log: %s gives %v, want %q", path, place, err, want)
			}
		}
	}
}
