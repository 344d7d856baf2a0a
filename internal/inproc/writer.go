package inproc

import (
	"io"
	"net/http"
	"strconv"
	"sync"
)

// writer is the handler's end of a response.
type writer struct {
	header http.Header
	head   bool
	out    *io.PipeWriter
	ready  chan struct{} // closed once status and header, or err, are set
	once   sync.Once

	status int
	sent   http.Header // the header as it was when the status was written
	err    error       // set only when nothing had been written
}

// Header implements http.ResponseWriter.
func (w *writer) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter; informational responses are
// dropped, as the caller has no use for them.
func (w *writer) WriteHeader(status int) {
	if status < 200 {
		return
	}
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.ready)
	})
}

// Write implements http.ResponseWriter.
func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.head || w.status == http.StatusNoContent || w.status == http.StatusNotModified {
		return len(p), nil
	}
	return w.out.Write(p)
}

// Flush implements http.Flusher: the header leaves, and bodies never wait.
func (w *writer) Flush() { w.WriteHeader(http.StatusOK) }

// finish ends the response. An error before the first byte becomes the error
// of the call, one after it the error of the body.
func (w *writer) finish(err error) {
	w.once.Do(func() {
		w.status, w.sent, w.err = http.StatusOK, w.header.Clone(), err
		close(w.ready)
	})
	_ = w.out.CloseWithError(err) // never fails (io.PipeWriter)
}

// response is what the caller gets; ready is closed.
func (w *writer) response(r *http.Request, body io.ReadCloser) *http.Response {
	length, err := strconv.ParseInt(w.sent.Get("Content-Length"), 10, 64)
	if err != nil || length < 0 {
		length = -1
	}
	return &http.Response{
		Status:     strconv.Itoa(w.status) + " " + http.StatusText(w.status),
		StatusCode: w.status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, Body: body, ContentLength: length, Request: r,
	}
}
