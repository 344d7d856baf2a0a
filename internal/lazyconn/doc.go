// Package lazyconn accepts TCP connections that put off what net/http's server
// mostly takes back before it matters.
//
// For each request over HTTP/1.1 that server sets and clears the deadline for
// reading half a dozen times, and begins to read one byte, to learn that the
// client has gone, which it breaks off when the answer is written. Most requests
// last less than a millisecond: nothing was ever going to come of it, and it costs
// about a twentieth of a proxied request. Connections of this package remember a
// deadline and set it when one that is earlier is not set yet; a read that ends at
// a deadline that does not hold any more goes on. And a read of a single byte first
// waits, for 50 to 100 ms, before it looks at the connection, so the server learns
// that much later that a client has gone.
//
// What is read and written is not changed, and neither is when a deadline ends a
// read or a write.
package lazyconn
