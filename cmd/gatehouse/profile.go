//go:build profile

package main

import (
	"fmt"
	"os"
	"runtime/pprof"
)

// startProfile writes a CPU profile of the whole run into the file that
// GATEHOUSE_CPU_PROFILE names, until stop. It is for `make profile`; what ships
// is built without.
func startProfile() (stop func()) {
	name := os.Getenv("GATEHOUSE_CPU_PROFILE")
	if name == "" {
		return func() {}
	}
	file, err := os.Create(name)
	if err == nil {
		err = pprof.StartCPUProfile(file)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gatehouse: no profile:", err)
		return func() {}
	}
	return func() {
		pprof.StopCPUProfile()
		_ = file.Close() // a profile cut short is refused by its reader
	}
}
