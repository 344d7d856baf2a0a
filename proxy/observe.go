package proxy

import (
	"cmp"
	"net/http"
	"time"
)

// Observed is one request that has been answered, or given up.
type Observed struct {
	// RequestID names the request in logs and on error pages.
	RequestID string
	// Request is the request as it came. It is not to be changed.
	Request *http.Request
	// Verdict is what was decided. Its Route is -1 when no route was reached.
	Verdict *Verdict
	// Route is the name of the route, "" for none, and Upstream that of the
	// upstream the request was passed on to, "" if it was not.
	Route, Upstream string
	// Status is the HTTP status of the answer, 0 if there was none; Sent counts
	// the bytes of its body.
	Status int
	Sent   int64
	// Stripped is true when headers were taken from the request that only the
	// gate may set.
	Stripped bool
	// Began is when the request came and Took how long it lasted. Waited is how
	// long the upstream took for the head of its answer; negative if it gave none.
	Began        time.Time
	Took, Waited time.Duration
}

// Observer is told of each request at its end, for the access log and for
// figures.
type Observer interface {
	// Observe takes o. It must not block, keep o, or change anything of it.
	Observe(o *Observed)
	// Opened tells that a web socket was opened on a route, by its index. Observe
	// tells of its end, with status 101.
	Opened(route int)
}

// report tells the observer how the exchange went. It is deferred: an exchange that
// is cut off has an end too.
func (x *exchange) report() {
	o := Observed{
		RequestID: x.id(), Request: x.came, Verdict: cmp.Or(x.ended, &x.v), Status: x.out.status, Sent: x.out.sent, Stripped: x.stripped,
		Began: x.began, Took: time.Since(x.began), Waited: -1,
	}
	if x.v.Route >= 0 {
		rt := &x.g.routes[x.v.Route]
		o.Route = rt.Name
		if !x.passed.IsZero() {
			o.Upstream = rt.Upstream
		}
	}
	if x.socket && o.Status == 0 {
		o.Status = http.StatusSwitchingProtocols // written past our writer
	}
	if !x.answered.IsZero() {
		o.Waited = x.answered.Sub(x.passed)
	}
	x.g.parts.Observer.Observe(&o)
}

// writer is a ResponseWriter that knows what was written.
type writer struct {
	http.ResponseWriter
	status int
	sent   int64
}

// WriteHeader notes the status of the answer; interim ones are none.
func (w *writer) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write counts.
func (w *writer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.sent += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
