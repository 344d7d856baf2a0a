// Package httpx answers one question: how does a handler that returns an error
// become an HTTP answer?
//
// It owns the error type with two audiences (what the client may know, what
// the log must), the wrapper that answers, logs and recovers, bounded reading
// of forms, and the request id that ties an answer to its log line.
//
// Order of events: Handle runs the handler; an error becomes an *Error (any
// other error is a 500 that tells the client nothing); the renderer writes it;
// one log line is written for what is the server's fault.
//
// It must not know routes, pages, tokens or users.
package httpx
