// Package h1 is a client for HTTP/1.1 in clear that does an exchange on the
// goroutine of its caller.
//
// It answers: how does one request go over one connection and its answer come
// back, at the least cost and without ever giving the answer of one request to
// another? It owns the connections to one address, their idle life and their
// time limits; the bytes of requests and answers; and the rule by which a
// connection is used again.
//
// Order of events: the request is checked byte by byte and written into a
// buffer, a small body with it; a connection is taken from the pool or dialed;
// if nothing waits to be read on it, the buffer is sent and the goroutine
// sleeps until the answer comes. Larger bodies are sent by a second goroutine,
// since a server may answer before it has read them. The head of the answer is
// read strictly: whatever two readers could take for two things is an error
// and ends the connection. After the last byte of the body the connection goes
// back to the pool if the request was sent completely, the answer was
// unambiguous, nothing was left over, and neither side authenticated the
// connection itself. Any doubt closes it.
//
// What it does not do (upgrades, TLS, HTTP/2, CONNECT, Expect, request
// trailers) it says by Transport.Handles; net/http is for that. It must not
// know who is asking, nor why the request was allowed.
//
// It needs non-blocking sockets of Unix. Elsewhere Handles is always false.
package h1
