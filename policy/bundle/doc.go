// Package bundle answers: what do the OPA bundles hold that policy.custom names,
// and is it what their author signed?
//
// It owns where a bundle comes from (a file, or a server that is asked again and
// again), that its signature is verified by OPA's own reader, how large it may
// be, and that the last good one is kept, in memory and on disk.
//
// # Order of events
//
// New reads keys and certificates and asks nobody. Load asks once and returns
// the bundle, or the last good one where it cannot be had: the one in memory, or
// at the start the copy on disk, which is verified like any other. Run asks every
// Custom.Every, give or take a tenth, and tells when there is a newer one.
//
// Whatever is refused changes nothing: a bundle that is cut off, too large, not
// signed as configured, not Rego, or that defines something below
// data.gatehouse. A signature does not say when it was made: whoever can answer
// in the server's place can bring back an older bundle of the same author.
//
// Package bundle does not know what rules mean or who uses them.
package bundle
