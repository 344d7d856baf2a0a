// Package page writes the answers the gateway gives in its own name instead of
// an upstream's: the pages and problem documents of a refusal.
//
// It answers: in which form does this caller understand a refusal? A person in
// a browser gets an HTML page, a gRPC client a status without a body, every
// other program a problem document (RFC 9457). It owns the look that all pages
// of gatehouse share, and the security headers each of them carries.
//
// It must not know why something was refused: the caller says what may be
// told, and nothing but that is shown. No text that reached us with a request
// is printed, besides the name of the signed-in user, and that is escaped.
package page
