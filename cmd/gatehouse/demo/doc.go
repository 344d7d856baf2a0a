// Package demo holds what a newcomer meets first, and what `gatehouse demo`
// has that `gatehouse serve` has not: the demo application, its people and
// their passwords, the configuration they are written into, the screen, and
// the private socket that `gatehouse demo token` asks.
//
// It answers "what does an application behind gatehouse see?": App shows every
// request as it arrived, so that a person, or a test, can look at the identity
// headers instead of believing in them. App knows nothing of who may ask; it
// trusts whoever reaches it, as many applications do, and is therefore served
// to the gateway only.
//
// The order of events is that of the command: OpenHome finds or makes the
// directory and the passwords, Config writes the configuration, the wiring
// opens it like any other, Announce tells `demo token` where to ask, Print
// writes the screen; at the end all of it is removed again, unless the data
// was asked to stay.
//
// It owns no identity and decides nothing: it must not import session, policy,
// proxy or idp. Passwords and the job's secret leave it only for the screen and
// for files that nobody but this user may read.
package demo
