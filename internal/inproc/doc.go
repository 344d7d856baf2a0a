// Package inproc lets one half of the process call the other as if over HTTP:
// requests to one origin are answered by a handler in memory, all others take
// the network or are refused.
//
// It answers: what does the issuer say, when the issuer is ourselves? No
// start-up order, no hairpin through a load balancer, no open port needed. It
// owns the bounds of calls to any issuer, near or far: ten seconds, one MiB,
// no redirects.
//
// Order of events: the URL's scheme, host and port are compared with the one
// origin; the request is copied into the form a server sees, with a RemoteAddr
// that is no address; the handler runs in its own goroutine under a deadline;
// the response returns with its first byte and streams.
//
// It must grant nothing. The handler sees no mark of trust: no context value,
// no address, no TLS state. Whoever mounts a handler here mounts what the
// network may reach as well.
package inproc
