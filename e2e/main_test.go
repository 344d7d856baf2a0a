package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// binary is the gatehouse under test, built once.
var binary string

// scratch is the directory of this run; it is removed at the end.
var scratch string

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if scratch, err = os.MkdirTemp("", "gatehouse-e2e-"); err != nil {
		return 0, err
	}
	defer os.RemoveAll(scratch)
	binary = os.Getenv("GATEHOUSE_E2E_BINARY")
	if binary == "" {
		binary = filepath.Join(scratch, "gatehouse")
		build := exec.Command("go", "build", "-o", binary, "./cmd/gatehouse")
		build.Dir = ".."
		// Static, as in the image: one of the tests runs it in an empty root.
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("build gatehouse: %w\n%s", err, out)
		}
	}
	defer endShared()
	defer func() { err = errors.Join(err, endPostgres()) }()
	return m.Run(), nil
}
