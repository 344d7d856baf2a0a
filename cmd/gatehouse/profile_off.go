//go:build !profile

package main

// startProfile does nothing in what ships; see profile.go.
func startProfile() (stop func()) { return func() {} }
