// Package heap sets how much garbage a server may hold: seldom collected while
// the heap is small, bounded when it is large, and below the limit that a
// container has. What the environment says (GOGC, GOMEMLIMIT) stands.
//
// The settings are those of the process, so only a command that serves makes
// them.
package heap
