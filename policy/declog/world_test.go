package declog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse/internal/conf"
	"gatehouse/policy"
	"gatehouse/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var at = time.Date(2026, 5, 4, 3, 2, 1, 123456789, time.UTC)

// alice returns what is known of her; each value is a word of its own.
func alice() *session.Identity {
	return &session.Identity{
		Credential: session.Cookie, Issuer: "https://issuer.test", Subject: "sub-7", Username: "alice", Name: "Alice Example",
		Email: "mail-alice@example.com", EmailVerified: true, ClientID: "gateway", ClientNamed: true,
		Groups: []string{"staff", "admins"}, Scopes: []string{"orders.read"}, Person: true, Listed: true,
		Claims:   map[string]any{"department": "sales", "contact": []any{"Mail-Alice@example.com"}, "a/b": "slashed", "level": json.Number("3")},
		AuthTime: at.Add(-time.Minute), ACR: "urn:acr", AMR: []string{"pwd", "otp"}, MFA: true,
		SID: "secret-session", JTI: "secret-jti", AccessToken: "secret-token", Expires: at.Add(time.Hour),
	}
}

func entry(outcome policy.Outcome) Entry {
	return Entry{
		RequestID: "req-1", Route: "orders", Revision: "0123456789ab", At: at, Took: 1500 * time.Nanosecond,
		Query: policy.Query{
			Identity: alice(), Method: "POST", Host: "app.test", Path: "/tenants/acme/orders", RawQuery: "code=secret-query",
			Variables: []policy.Variable{{Name: "tenant", Value: "acme"}}, ClientIP: netip.MustParseAddr("192.0.2.7"), Time: at,
			Body: policy.Body{State: policy.BodyParsed, Value: map[string]any{"items": []any{"one", map[string]any{"note": "secret-body"}}}},
		},
		Decision: policy.Decision{Outcome: outcome, Reason: policy.GroupMissing, Rule: conf.Pos{File: "gatehouse.yaml", Line: 7, Column: 3}},
	}
}

// config is the configuration with its defaults, and all that is allowed.
func config(edit func(*policy.LogConfig)) policy.LogConfig {
	var c policy.LogConfig
	c.Defaults()
	c.Allows = 1
	edit(&c)
	return c
}

// running is a log whose Run is under way.
type running struct {
	*Log
	t    *testing.T
	stop func()
}

// open makes a log of cfg, which edit may change before it runs.
func open(t *testing.T, cfg policy.LogConfig, logger *slog.Logger, edit ...func(*Log)) *running {
	t.Helper()
	l, err := New(cfg, Options{Labels: map[string]string{"id": "gw-1", "version": "1.2.3", "app": "gatehouse"}, Log: logger})
	if err != nil {
		t.Fatal(err)
	}
	l.flush = time.Minute // what is tested is not how busy the machine is
	for _, o := range l.outlets {
		o.retry = time.Millisecond
	}
	for _, f := range edit {
		f(l)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { l.Run(ctx) })
	r := &running{l, t, sync.OnceFunc(func() { cancel(); wg.Wait() })}
	t.Cleanup(r.stop)
	return r
}

// until waits for a condition that other goroutines bring about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("it never came about that %s", what)
		}
	}
}

func (r *running) sink(name string) SinkStats {
	r.t.Helper()
	for _, s := range r.Stats().Sinks {
		if s.Name == name {
			return s
		}
	}
	r.t.Fatalf("there is no sink %s", name)
	return SinkStats{}
}

func parseURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func readLines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		t.Fatalf("%s ends in the middle of a line", path)
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// written is what a log of cfg with the file writes of e.
func written(t *testing.T, cfg policy.LogConfig, e Entry) string {
	t.Helper()
	cfg.File = filepath.Join(t.TempDir(), "log")
	l := open(t, cfg, nil)
	l.Record(e)
	l.stop()
	lines := readLines(t, cfg.File)
	if len(lines) != 1 {
		t.Fatalf("%d lines were written, want 1", len(lines))
	}
	return lines[0]
}

// logBuffer is a log that several goroutines write.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func numbered(i int, outcome policy.Outcome) Entry {
	e := entry(outcome)
	e.RequestID = fmt.Sprint("req-", i)
	return e
}
