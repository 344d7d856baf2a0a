// Package app turns a configuration into running parts. It is the only place
// that knows both halves of gatehouse: the gate (proxy, policy, session) and
// the provider (idp).
//
// It has two phases. Compile is pure: it reads the configuration and the files
// that it names, and reports everything wrong with them; `gatehouse check` runs
// it and nothing else. Open has the effects, in this order: bundles, store,
// provider, keys, feed of revocations, the first generation, listeners. Run
// serves until its context ends, then drains and closes in reverse.
//
// A generation is one configuration at work: routes, policy, headers, sessions.
// A reload builds a new one completely beside the old one and swaps one pointer;
// on any error the old one stays. Requests end on the generation they began
// with. What costs time or holds state (connections, keys of issuers, sign-ins,
// logs) are parts, which generations share while their configuration is the same,
// and which end a minute after the last generation that held them. What a process
// has once (store, keys, listeners) changes by a restart only.
//
// It holds wiring and no rule of any kind.
package app
