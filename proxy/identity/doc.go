// Package identity decides what an application is told about who is asking,
// and makes sure that nobody but the gateway tells it.
//
// It answers: which headers of a request speak with the gateway's authority,
// what stands in them, and what may an application's answer say in the name of
// our origin? It owns the names of identity and control headers of all known
// gateways, the presets (default, alb, none, or a map), the signed assertion,
// the addresses and schemes of X-Forwarded-*, and the filters for cookies and
// for responses.
//
// Order of events, for every request on every route: Stripper.Strip removes
// all that could pass for ours; StripCookies removes our cookies;
// Client.SetForwarded and Told.SetOn set what is true. Nothing is patched:
// what the client sent under one of these names never survives, whether or not
// there is a value of ours to put there.
//
// It must not know how the identity was proved, nor decide anything about it.
package identity
