//go:build !linux

package pgserver

// place returns "": the usual temporary directory.
func place() string { return "" }
