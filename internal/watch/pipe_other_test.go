//go:build !unix

package watch

import "testing"

// makePipe leaves nothing at path: there are no named pipes in directories.
func makePipe(*testing.T, string) {}
