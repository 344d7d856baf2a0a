// Command testsum reads what `go test -json` writes and says what a person
// wants to know of it.
//
//	go test -json ./... | testsum -name unit -save unit.json
//	testsum -total unit.json e2e.json
//
// In the first form it prints one line a package, the output of tests that
// failed, and the reason of those that skipped. It ends with status 1 if a
// test failed or skipped, a package did not build, or nothing ran at all: a
// test that did not run proves nothing. In the second form it prints one line,
// "N passed, N failed", of all saved results.
//
// It counts the innermost tests: a test with subtests is their frame.
package main
