//go:build race

package app

// raceFactor is how much slower the race detector may make a test.
const raceFactor = 10
