package page

import (
	"bytes"
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Refusal is what a caller may know about a request that was not passed on.
type Refusal struct {
	// Status is the HTTP status, 400 to 599; anything else is sent as 500.
	Status int
	// Code is the machine-readable reason, a word of a documented list.
	Code string
	// Title is the heading of the page; empty means the status in words.
	Title string
	// Text is one or two sentences: what happened and what to do next. May be
	// empty. Plain text; it is escaped.
	Text string
	// RequestID is shown so that an operator can find the request in the log.
	RequestID string
	// LoginURL offers a sign-in; empty offers none.
	LoginURL string
	// SignOutURL and User offer to switch to another account, for a person who
	// is signed in and may not; both or none.
	SignOutURL, User string
	// RetryAfter is sent in whole seconds, rounded up; zero sends nothing.
	RetryAfter time.Duration
	// Challenge is the value of WWW-Authenticate; empty sends none.
	Challenge string
}

// refusal is the page of a Refusal. It is parsed once and never changed.
var refusal = template.Must(Shell().Parse(`{{template "top" .Head}}<h1>{{.Title}}</h1>
{{with .Text}}<p>{{.}}</p>
{{end}}{{with .LoginURL}}<p><a class="button" href="{{.}}">Sign in</a></p>
{{end}}{{if .SignOutURL}}<p>You are signed in as <strong>{{.User}}</strong>.</p>
<p><a class="button" href="{{.SignOutURL}}">Use another account</a></p>
{{end}}<p class="note">Status {{.Status}}{{with .RequestID}} · request <code>{{.}}</code>{{end}}</p>
{{template "bottom"}}`))

// Head returns what the shell of the page needs.
func (f Refusal) Head() Head { return Head{Title: f.Title} }

// Write answers r with f and ends the response. The form follows the caller:
// gRPC gets HTTP 200 with grpc-status and no body, a navigation or an Accept
// that prefers HTML gets a page, all others a problem document (RFC 9457).
// Headers of an upstream's response that may already lie in w are removed.
func Write(w http.ResponseWriter, r *http.Request, f Refusal) {
	if f.Status < 400 || f.Status > 599 {
		f.Status = http.StatusInternalServerError
	}
	if f.Title == "" {
		f.Title = http.StatusText(f.Status)
	}
	if media := grpcType(r); media != "" {
		writeGRPC(w, media, f)
		return
	}
	prepare(w.Header(), f)
	if Navigation(r) || PrefersHTML(r) {
		writeHTML(w, f)
		return
	}
	writeProblem(w, f)
}

// prepare clears what describes another body and sets what both forms share.
func prepare(h http.Header, f Refusal) {
	for _, name := range []string{
		"Content-Length", "Content-Encoding", "Content-Range", "Content-Disposition", "Etag",
		"Last-Modified", "Accept-Ranges", "Trailer", "Expires", "Pragma", "Retry-After", "Www-Authenticate",
	} {
		h.Del(name)
	}
	// A refusal needs no script, and on an application's origin 'self' would
	// mean the application's.
	setHeaders(h, "form-action 'self'")
	h.Set("Vary", "Accept, Authorization, Cookie, Sec-Fetch-Dest, Sec-Fetch-Mode")
	if f.Challenge != "" {
		h.Set("WWW-Authenticate", f.Challenge)
	}
	if f.RetryAfter > 0 {
		h.Set("Retry-After", seconds(f.RetryAfter))
	}
}

func seconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

func writeHTML(w http.ResponseWriter, f Refusal) {
	var body bytes.Buffer
	if err := refusal.Execute(&body, f); err != nil {
		// Only a broken template fails here; the status still has to be told.
		body.Reset()
		body.WriteString("<!doctype html><title>" + strconv.Itoa(f.Status) + "</title>")
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	send(w, f.Status, body.Bytes())
}

// problem is a problem document. The type is about:blank, so title is the
// status in words (RFC 9457 §4.2.1); Code is what programs should read.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail,omitempty"`
	Code      string `json:"code,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	LoginURL  string `json:"login_url,omitempty"`
}

func writeProblem(w http.ResponseWriter, f Refusal) {
	body, err := json.Marshal(problem{
		Type: "about:blank", Title: http.StatusText(f.Status), Status: f.Status, Detail: f.Text,
		Code: f.Code, RequestID: f.RequestID, LoginURL: f.LoginURL,
	})
	if err != nil {
		body = []byte("{}")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	send(w, f.Status, append(body, '\n'))
}

func send(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body) // the client may be gone; there is nobody left to tell
}

// writeGRPC answers with Trailers-Only: one HEADERS frame that ends the stream
// (gRPC over HTTP/2, "Responses"). Clients treat any HTTP status but 200 as a
// broken proxy, so the refusal travels in grpc-status.
func writeGRPC(w http.ResponseWriter, media string, f Refusal) {
	h := w.Header()
	prepare(h, f)
	h.Set("Content-Type", media)
	h.Set("Grpc-Status", strconv.Itoa(grpcStatus(f.Status)))
	h.Set("Grpc-Message", grpcMessage(f))
	w.WriteHeader(http.StatusOK)
}

// grpcStatus maps an HTTP status of ours to the gRPC code a client acts upon.
func grpcStatus(status int) int {
	switch status {
	case http.StatusBadRequest, http.StatusMisdirectedRequest, http.StatusExpectationFailed:
		return 3 // INVALID_ARGUMENT
	case http.StatusUnauthorized:
		return 16 // UNAUTHENTICATED
	case http.StatusForbidden:
		return 7 // PERMISSION_DENIED
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return 12 // UNIMPLEMENTED
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return 4 // DEADLINE_EXCEEDED
	case http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		return 8 // RESOURCE_EXHAUSTED
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return 14 // UNAVAILABLE
	case http.StatusInternalServerError:
		return 13 // INTERNAL
	}
	return 2 // UNKNOWN
}

// grpcMessage is the reason in printable ASCII, percent-encoded as gRPC asks.
func grpcMessage(f Refusal) string {
	text := http.StatusText(f.Status)
	if f.Code != "" {
		text = f.Code
	}
	if f.RequestID != "" {
		text += " (request " + f.RequestID + ")"
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if c := text[i]; c < ' ' || c > '~' || c == '%' {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
