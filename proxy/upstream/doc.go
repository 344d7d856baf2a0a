// Package upstream carries one allowed request to an application and its
// answer back.
//
// It answers: how does this request reach that application, and what may come
// back? It owns the connections to an upstream (HTTP/1.1, HTTP/2 over TLS,
// HTTP/2 in clear), their time limits and sizes, web sockets, event streams,
// trailers, and the closed list of ways in which all this can fail.
//
// Order of events: the request is bounded and given the one path, query, host
// and headers its caller decided on; it is sent once; the status and headers
// that come back are checked, handed to Forward.Response, and only then
// written; the body is copied as it comes. What fails before that first write
// goes to Forward.Failed with a Class; what fails later cuts the connection,
// so that nobody takes half a body for a whole one.
//
// It must not know who is asking, which route was taken, or why the request
// was allowed. An error of this package that may reach a client names the
// upstream as the configuration does, never its address.
package upstream
