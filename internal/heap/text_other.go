//go:build !linux

package heap

// dropText does nothing here.
func dropText() {}
