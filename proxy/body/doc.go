// Package body answers: what does this request's body say, as far as rules may
// know it?
//
// It reads the beginning of a body, at most what the route allows and one byte
// more, parses it as one JSON value, and gives the whole body back, byte for
// byte as it came, to be passed on. It owns the words absent, parsed, truncated
// and unparsable; it knows no rule and no identity.
//
// # Exactly one value
//
// A rule that says "not when role is admin" is worth as much as the certainty
// that the application reads the same role. So a body is parsed only if no
// reader can see two things in it: one JSON value (RFC 8259) and nothing behind
// it, in UTF-8 without a byte order mark, without a content coding, announced as
// JSON, no name twice in one object however it is escaped, no half of a surrogate
// pair, no number beyond what a double can hold, not nested deeper than 64.
// Anything else is unparsable, and more than the route reads is truncated, also
// when its beginning alone would be a value. Names that differ in case are
// different names: an application that folds case must be told so in the rule.
//
// # Limits
//
// A client has ten seconds to send what is read; after that the request is
// refused, never judged by what has come so far. The memory of all bodies held
// at once, with what they were parsed into, is bounded; beyond it requests are
// refused, too.
package body
