package declog

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	"google.golang.org/protobuf/proto"

	"gatehouse/policy"
)

func textLog(w io.Writer) *slog.Logger { return slog.New(slog.NewTextHandler(w, nil)) }

// ended returns a context that has ended.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// service is a real collector.
type service struct {
	*httptest.Server
	mu      sync.Mutex
	bodies  [][]byte
	headers []http.Header
	// answer tells the status of the nth call, from 0; nil is 204.
	answer func(n int) int
	calls  int
}

func newService(t *testing.T, answer func(n int) int) *service {
	t.Helper()
	s := &service{answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Errorf("the body is not gzip: %v", err)
			return
		}
		body, err := io.ReadAll(z)
		if err != nil {
			t.Errorf("read body: %v", err)
		}
		s.mu.Lock()
		n := s.calls
		s.calls++
		s.mu.Unlock()
		status := http.StatusNoContent
		if s.answer != nil {
			status = s.answer(n)
		}
		if status >= 300 && status < 400 {
			w.Header().Set("Location", "/elsewhere")
		}
		if status < 300 {
			s.mu.Lock()
			s.bodies, s.headers = append(s.bodies, body), append(s.headers, r.Header)
			s.mu.Unlock()
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s
}

// events are those of all calls that were answered with success.
func (s *service) events(t *testing.T) (ids []string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, body := range s.bodies {
		var list []Event
		if err := json.Unmarshal(body, &list); err != nil {
			t.Fatalf("body %.80s: %v", body, err)
		}
		for _, ev := range list {
			ids = append(ids, ev.Custom.RequestID)
		}
	}
	return ids
}

func TestServiceGetsGzippedArrays(t *testing.T) {
	s := newService(t, nil)
	l := open(t, config(func(c *policy.LogConfig) { c.URL, c.Token = parseURL(t, s.URL+"/logs?key=1"), "service-token" }), nil)
	for i := range 2500 {
		l.Record(numbered(i, policy.OutcomeDeny))
	}
	l.stop()
	ids := s.events(t)
	if len(ids) != 2500 || ids[0] != "req-0" || ids[2499] != "req-2499" {
		t.Fatalf("%d events came, want 2500 in order", len(ids))
	}
	if len(s.bodies) < 3 {
		t.Errorf("they came in %d calls, want no more than 1000 or 1 MiB in one", len(s.bodies))
	}
	h := s.headers[0]
	if h.Get("Content-Type") != "application/json" || h.Get("Authorization") != "Bearer service-token" {
		t.Errorf("headers = %v, want JSON and the token", h)
	}
	if got := l.sink("http"); got.Written != 2500 || got.Failed+got.Dropped != 0 {
		t.Errorf("stats = %+v, want 2500 written", got)
	}
}

func TestPassingFailuresAreTriedAgain(t *testing.T) {
	for _, status := range []int{500, 502, 503, 429, 408} {
		s := newService(t, func(n int) int {
			if n < 3 {
				return status
			}
			return 200
		})
		l := open(t, config(func(c *policy.LogConfig) { c.URL = parseURL(t, s.URL) }), nil, eager)
		l.Record(numbered(1, policy.OutcomeDeny))
		until(t, "it is written in the end", func() bool { return l.sink("http").Written == 1 })
		if got := s.events(t); !slices.Equal(got, []string{"req-1"}) {
			t.Errorf("after %d: %v came, want the decision once", status, got)
		}
		l.stop()
	}
}

func TestRefusedBatchesAreGivenUp(t *testing.T) {
	for _, status := range []int{302, 307, 400, 401, 413, 501} {
		warnings := &logBuffer{}
		s := newService(t, func(n int) int {
			if n == 0 {
				return status
			}
			return 200
		})
		l := open(t, config(func(c *policy.LogConfig) { c.URL, c.Token = parseURL(t, s.URL+"/?key=secret"), "service-token" }), textLog(warnings), eager)
		l.Record(numbered(1, policy.OutcomeDeny))
		until(t, "it is given up", func() bool { return l.sink("http").Failed == 1 })
		l.Record(numbered(2, policy.OutcomeDeny))
		l.stop()
		if got := s.events(t); !slices.Equal(got, []string{"req-2"}) {
			t.Errorf("after %d: %v came, want the second alone", status, got)
		}
		if text := warnings.String(); !strings.Contains(text, "gatehouse.failed=") || strings.Contains(text, "secret") || strings.Contains(text, "service-token") {
			t.Errorf("the log says %q, want a warning without a secret", text)
		}
	}
}

// eager makes batches without waiting for more.
func eager(l *Log) {
	for _, o := range l.outlets {
		o.sink = eagerSink{o.sink}
	}
}

type eagerSink struct{ sink }

func (e eagerSink) batch() batch { return batch{count: 1, bytes: 1} }

func TestAServiceThatHangsStopsNobodyElse(t *testing.T) {
	release := make(chan struct{})
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer hanging.Close()
	defer close(release)
	path := filepath.Join(t.TempDir(), "log")
	l := open(t, config(func(c *policy.LogConfig) {
		c.URL, c.OTLP, c.File, c.Queue = parseURL(t, hanging.URL), parseURL(t, hanging.URL), path, 10
	}), nil, eager, func(l *Log) { l.flush = 50 * time.Millisecond })
	for i := range 100 {
		l.Record(numbered(i, policy.OutcomeDeny))
		until(t, "the file is written", func() bool { return l.sink("file").Written == uint64(i+1) })
	}
	l.stop()
	if got := len(readLines(t, path)); got != 100 {
		t.Errorf("the file has %d lines, want 100", got)
	}
	for _, name := range []string{"http", "otlp"} {
		if got := l.sink(name); got.Written != 0 || got.Dropped+got.Failed != 100 || got.Failed < 10 {
			t.Errorf("%s = %+v, want all 100 dropped or failed", name, got)
		}
	}
}

func TestAServiceThatIsClosedCostsNothingButItsRecords(t *testing.T) {
	s := newService(t, nil)
	s.Close()
	l := open(t, config(func(c *policy.LogConfig) { c.URL, c.OTLP = parseURL(t, s.URL), parseURL(t, s.URL) }), nil,
		eager, func(l *Log) { l.flush = 20 * time.Millisecond })
	for i := range 5 {
		l.Record(numbered(i, policy.OutcomeDeny))
	}
	l.stop()
	for _, name := range []string{"http", "otlp"} {
		if got := l.sink(name); got.Failed != 5 || got.Written != 0 {
			t.Errorf("%s = %+v, want 5 failed", name, got)
		}
	}
}

func TestCollectorGetsLogRecords(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=stolen")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "3")
	s := newService(t, func(n int) int {
		if n == 0 {
			return 503
		}
		return 200
	})
	l := open(t, config(func(c *policy.LogConfig) { c.OTLP = parseURL(t, s.URL+"/v1/logs") }), nil, eager)
	l.Record(entry(policy.OutcomeDeny))
	until(t, "it is written", func() bool { return l.sink("otlp").Written == 1 })
	var got collector.ExportLogsServiceRequest
	if err := proto.Unmarshal(s.bodies[0], &got); err != nil {
		t.Fatal(err)
	}
	if s.headers[0].Get("Authorization") != "" {
		t.Error("a header of the environment was sent")
	}
	resource := got.ResourceLogs[0]
	if name := resource.Resource.Attributes; len(name) == 0 || !strings.Contains(resource.Resource.String(), "gatehouse") {
		t.Errorf("resource = %v, want the service's name", name)
	}
	record := resource.ScopeLogs[0].LogRecords[0]
	if record.TimeUnixNano != uint64(at.UnixNano()) || record.EventName != "gatehouse.decision" {
		t.Errorf("record %s at %d, want gatehouse.decision at %d", record.EventName, record.TimeUnixNano, at.UnixNano())
	}
	ev, err := Parse([]byte(record.Body.GetStringValue()))
	if err != nil || ev.Custom.RequestID != "req-1" {
		t.Errorf("body = %q (%v), want the event", record.Body.GetStringValue(), err)
	}
	attributes := map[string]string{}
	for _, a := range record.Attributes {
		attributes[a.Key] = a.Value.GetStringValue()
	}
	for key, want := range map[string]string{
		"request_id": "req-1", "http.request.method": "POST", "server.address": "app.test", "url.path": "/tenants/acme/orders",
		"client.address": "192.0.2.7", "http.route": "orders", "user.id": "sub-7", "gatehouse.credential": "session",
		"gatehouse.reason": "group_missing", "gatehouse.outcome": "deny", "gatehouse.rule": "gatehouse.yaml:7",
	} {
		if attributes[key] != want {
			t.Errorf("attribute %s = %q, want %q", key, attributes[key], want)
		}
	}
}

func TestAttributesAreMaskedLikeTheBody(t *testing.T) {
	s := newService(t, nil)
	l := open(t, config(func(c *policy.LogConfig) {
		c.OTLP = parseURL(t, s.URL)
		c.Mask = []string{"/input/user/subject", "/input/request/path", "/input/request/client_ip", "/input/route"}
	}), nil, eager)
	l.Record(entry(policy.OutcomeDeny))
	l.stop()
	for _, text := range []string{"sub-7", "acme", "192.0.2.7", "http.route"} {
		if strings.Contains(string(s.bodies[0]), text) {
			t.Errorf("%s stands in the log record", text)
		}
	}
}
