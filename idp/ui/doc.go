// Package ui answers one question: what does a person see of the provider, and
// was it really that person's browser that sent the form?
//
// It owns the hosted pages (sign-in, sign-out, errors), which work without
// JavaScript, and what keeps them safe: the Content Security Policy with the
// one foreign origin a form may end at, the cookie that tells browsers apart
// before anybody has signed in, and the form tokens bound to that cookie and
// to one flow, so that ten tabs do not disturb each other.
//
// Order of events of a form: the browser says that the form comes from a page
// of the issuer's origin (Origin, Sec-Fetch-*); the body is read, bounded; its
// token is checked against the cookie and the flow; only then signin is asked.
//
// It must not know tokens, clients' rights or SQL: when a sign-in is complete
// it hands over to the continuation it was given.
package ui
