// Package audit holds what the provider remembers of every change: who did
// what to whom, and which credentials died of it.
//
// An [Event] is appended in the very transaction that causes it, by the server,
// the API and the command line alike; so there is no change without its event
// and no event without its change. Whoever must hear of changes (revocation,
// audit, later an outbox) reads events by sequence.
//
// Order of things: an edge names the actor once with [WithActor]; the domain
// calls [Journal.InTx], writes, and calls [Journal.Append] inside; the store
// commits and wakes the readers.
//
// The package knows no SQL, no HTTP and no domain type, and an Actor in a
// context grants nothing: it is a name for the record.
package audit
