package httpx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func answer(t *testing.T, log io.Writer, h func(http.ResponseWriter, *http.Request) error) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/x?code=secret-code", nil)
	r = r.WithContext(WithRequestID(r.Context(), "abc123"))
	Handle(slog.New(slog.NewTextHandler(log, nil)), h).ServeHTTP(w, r)
	return w.Result()
}

func TestClientSeesOnlyThePublicHalf(t *testing.T) {
	var log bytes.Buffer
	res := answer(t, &log, func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Set-Cookie", "half=done")
		return &Error{Status: 503, Public: "try again", RetryAfter: 1500 * time.Millisecond, Err: errors.New("disk on fire")}
	})
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != 503 || string(body) != `{"error":"temporarily_unavailable","error_description":"try again"}`+"\n" {
		t.Errorf("answer = %d %s", res.StatusCode, body)
	}
	if got := res.Header.Get("Retry-After"); got != "2" {
		t.Errorf("Retry-After = %q, want 2 (rounded up)", got)
	}
	if got := res.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control = %q, want no-store", got)
	}
	if res.Header.Get("Set-Cookie") != "" {
		t.Error("a header of the abandoned answer was sent")
	}
	if text := log.String(); !strings.Contains(text, "disk on fire") || !strings.Contains(text, "abc123") {
		t.Errorf("log = %q, want cause and request id", text)
	}
	if strings.Contains(log.String(), "secret-code") {
		t.Error("the log holds the query")
	}
}

func TestUnknownErrorAndPanicTellNothing(t *testing.T) {
	for name, h := range map[string]func(http.ResponseWriter, *http.Request) error{
		"error": func(http.ResponseWriter, *http.Request) error { return errors.New("select * from secrets") },
		"panic": func(http.ResponseWriter, *http.Request) error { panic("select * from secrets") },
	} {
		res := answer(t, io.Discard, h)
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != 500 || strings.Contains(string(body), "secrets") {
			t.Errorf("%s: answer = %d %s, want a 500 without detail", name, res.StatusCode, body)
		}
	}
}

func TestWrappedErrorKeepsItsStatus(t *testing.T) {
	e := As(fmt.Errorf("around: %w", &Error{Status: 404}))
	if e.Status != 404 || e.Code != "not_found" || !strings.Contains(e.Error(), "around") {
		t.Errorf("As = %+v (%s)", e, e.Error())
	}
}

func TestHalfAnAnswerIsCut(t *testing.T) {
	srv := httptest.NewServer(Handle(nil, func(w http.ResponseWriter, _ *http.Request) error {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		return errors.New("late")
	}))
	defer srv.Close()
	res, err := http.Get(srv.URL)
	if err != nil {
		return
	}
	defer res.Body.Close()
	if _, err := io.ReadAll(res.Body); err == nil {
		t.Error("the client took half an answer for a whole one")
	}
}

func TestReadForm(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	for _, c := range []struct {
		name, kind, body string
		status           int
	}{
		{"good", form, "a=1&b=2", 0},
		{"charset", form + "; charset=utf-8", "a=1", 0},
		{"empty", form, "", 0},
		{"json", "application/json", "{}", 415},
		{"none", "", "a=1", 415},
		{"twice", form, "a=1&a=2", 400},
		{"nul", form, "a=%00", 400},
		{"not utf-8", form, "a=%ff", 400},
		{"bad escape", form, "a=%zz", 400},
		{"semicolon", form, "a=1;b=2", 400},
		{"too large", form, "a=" + strings.Repeat("x", 200), 413},
		{"too many", form, many(MaxFields + 1), 400},
	} {
		r := httptest.NewRequest("POST", "/?q=1", strings.NewReader(c.body))
		if c.kind != "" {
			r.Header.Set("Content-Type", c.kind)
		}
		max := int64(100)
		if c.name == "too many" {
			max = 10000
		}
		f, err := ReadForm(httptest.NewRecorder(), r, max)
		status := 0
		if err != nil {
			status = As(err).Status
		}
		if status != c.status {
			t.Errorf("%s: status = %d, want %d (%v)", c.name, status, c.status, err)
		}
		if f.Has("q") {
			t.Errorf("%s: the query leaked into the form", c.name)
		}
		if err != nil && strings.Contains(err.Error(), "%zz") {
			t.Errorf("%s: the error quotes the input", c.name)
		}
	}
}

func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "f%d=1&", i)
	}
	return b.String()
}
