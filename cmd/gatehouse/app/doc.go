// Package app turns a configuration into running parts. It is the only place
// that knows both halves of gatehouse: the gate (proxy, policy, session) and
// the provider (idp).
//
// It has two phases. Compile is pure: it reads nothing but the configuration
// and reports everything wrong with it; `gatehouse check` runs it and nothing
// else. Open has the effects, in this order: keys, store, provider, feed of
// revocations, sign-in, gate, listeners. Run serves until its context ends,
// then drains and closes in reverse.
//
// It holds wiring and no rule of any kind.
package app
