// Package canon answers: what is this request, in exactly one spelling?
//
// It turns a request as net/http hands it to a handler into the one canonical
// Request that is routed, decided on and forwarded, or refuses it. It owns the
// rules for host, method, target and upgrade; it knows no route, no identity
// and no configuration, reads no header but Host, Content-Length,
// Transfer-Encoding, Expect, Connection and Upgrade, and writes nothing.
//
// # Order of events
//
// Size of target and head, framing, method, Expect, host, query, path, upgrade.
// The first thing wrong ends it with an *Error; nothing of such a request is
// worth looking at, so the Request beside it is the zero one.
//
// # The path
//
// The raw target up to the first "?" is percent-decoded once. Empty segments
// are merged away ("//a" is "/a"), which harms nobody because the upstream gets
// the merged path too. What is forwarded is EscapedPath: a new encoding of the
// decoded path, so that it does not matter how the client spelled it. Letters,
// digits and -._~!$&'()*,=:@ stand for themselves; everything else is %XX with
// upper-case digits ("+" too: some applications read it as a space).
//
// Nearly every path has one reading: Path, and decoding EscapedPath gives just
// that. The rest is odd. An Oddity is either never taken (controls, dot
// segments, a raw "#" or backslash, bad UTF-8, …: Parse refuses) or noted in
// Request.Odd, to be refused unless the route lists it.
//
// # Two readings
//
// Some oddities are odd because servers disagree. "/a%2Fb" is one segment to
// one server and two to the next; "/a;b" is "/a" to Tomcat and a name to
// others. For these, Path is what the most eager server makes of EscapedPath
// (separators decoded, parameters cut off, segments trimmed) and Other is what
// the most literal one makes of it. Neither the gateway nor the operator can
// know which the application is, so a route may take such a request only if
// both readings lead to that very route: look both up, refuse if they differ.
//
//	oddity             Path              Other             EscapedPath
//	encoded_slash      /a/b              /a%2Fb            /a%2Fb
//	encoded_backslash  /a/b              /a\b              /a%5Cb
//	semicolon          /a                /a;b              /a;b
//	encoded_semicolon  /a                /a;b              /a%3Bb
//	encoded_question   /a                /a?b              /a%3Fb
//	encoded_hash       /a                /a#b              /a%23b
//	segment_space      /a                "/a "             /a%20
//	double_encoding    /a%2Fb            /a/b              /a%252Fb
//
// (Path is the literal one for double_encoding: a path is decoded once.) A
// path with two of these kinds has more than two readings and is refused, as
// is a ";" before the last segment: some servers drop the parameters of one
// segment there, some the rest of the path.
//
// # What a handler cannot see
//
// net/http has already dropped the Content-Length of a chunked request, joined
// folded header lines and accepted bare line feeds in the head. A strict
// reader below the listener has to refuse those; here they are invisible.
package canon
