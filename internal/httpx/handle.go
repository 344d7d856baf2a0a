package httpx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

// Render writes an *Error that As has completed. The headers WWW-Authenticate,
// Retry-After and Cache-Control are set already.
type Render func(w http.ResponseWriter, r *http.Request, e *Error)

// Handle answers with h, and with a small JSON object when h returns an error.
// See HandleWith.
func Handle(log *slog.Logger, h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return HandleWith(log, RenderJSON, h)
}

// HandleWith answers with h; an error of h is completed, logged when it is the
// server's fault, and written by render. h must not have written anything when
// it returns an error: what it had put into the header of the response is
// discarded. A panic is a 500; http.ErrAbortHandler passes. A nil log discards.
func HandleWith(log *slog.Logger, render Render, h func(http.ResponseWriter, *http.Request) error) http.Handler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := &tracked{ResponseWriter: w}
		err := call(h, t, r)
		if err == nil {
			return
		}
		e := As(err)
		report(log, r, e)
		if t.written {
			// Half an answer is worse than none: cut the connection.
			panic(http.ErrAbortHandler)
		}
		clear(w.Header())
		if id := RequestID(r.Context()); id != "" {
			w.Header().Set("X-Request-Id", id)
		}
		Prepare(w.Header(), e)
		render(w, r, e)
	})
}

// Prepare sets the headers that belong to an error: no-store, and the
// challenge and the waiting time when it has them.
func Prepare(h http.Header, e *Error) {
	h.Set("Cache-Control", "no-store")
	if e.Challenge != "" {
		h.Set("WWW-Authenticate", e.Challenge)
	}
	if e.RetryAfter > 0 {
		seconds := (e.RetryAfter + time.Second - 1) / time.Second
		h.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
}

// RenderJSON writes {"error": Code, "error_description": Public}, the form of
// RFC 6749 §5.2.
func RenderJSON(w http.ResponseWriter, _ *http.Request, e *Error) {
	WriteJSON(w, e.Status, map[string]string{"error": e.Code, "error_description": e.Public})
}

// WriteJSON writes v as the whole answer. v must be something that
// encoding/json can write; the caller has set the caching headers.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		// Only a programming error gets here; nothing of v may leak.
		status, body = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// The client has gone if this fails; there is nobody left to tell.
	_, _ = w.Write(append(body, '\n'))
}

func call(h func(http.ResponseWriter, *http.Request) error, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if e, ok := p.(error); ok && errors.Is(e, http.ErrAbortHandler) {
			panic(p)
		}
		err = fmt.Errorf("panic: %v", p)
	}()
	return h(w, r)
}

// report writes one line for what the operator must know. The path has no
// query: codes and tokens travel there.
func report(log *slog.Logger, r *http.Request, e *Error) {
	if e.Status < 500 || errors.Is(e.Err, context.Canceled) {
		log.InfoContext(r.Context(), "request refused", "status", e.Status, "code", e.Code,
			"method", r.Method, "path", r.URL.Path, "request_id", RequestID(r.Context()), "error", e.Err)
		return
	}
	log.ErrorContext(r.Context(), "request not answered", "status", e.Status, "code", e.Code,
		"method", r.Method, "path", r.URL.Path, "request_id", RequestID(r.Context()), "error", e.Err)
}

// tracked remembers whether an answer has begun.
type tracked struct {
	http.ResponseWriter
	written bool
}

func (t *tracked) WriteHeader(status int) {
	t.written = t.written || status >= 200
	t.ResponseWriter.WriteHeader(status)
}

func (t *tracked) Write(p []byte) (int, error) {
	t.written = true
	return t.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the real writer.
func (t *tracked) Unwrap() http.ResponseWriter { return t.ResponseWriter }
