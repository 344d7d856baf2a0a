package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// importing measures how long bringing people in takes, beside nobody, and what
// is in RAM at its peak: with ten times as many people it must not be more.
func importing(ctx context.Context, w *world) ([]line, error) {
	var lines []line
	var peaks []float64
	for _, n := range []int{10_000, 100_000} {
		took, mib, err := w.importOf(ctx, n)
		name := fmt.Sprintf("%d,000 people", n/1000)
		lines = append(lines,
			line{name: name + ", for each thousand", unit: "ms", values: []float64{took / float64(n/1000)}, goal: 200, err: err},
			line{name: name + ", memory at its peak", unit: "MiB", values: []float64{mib}, err: err})
		peaks = append(peaks, mib)
		if err != nil {
			return lines, nil
		}
	}
	return append(lines, line{name: "memory of ten times as many", unit: "×", values: []float64{peaks[1] / peaks[0]}, goal: 1.25}), nil
}

// importOf brings n people into a new pool, and returns how long it took, in ms,
// and the most memory it used, in MiB.
func (w *world) importOf(ctx context.Context, n int) (took, mib float64, err error) {
	c, err := w.configure(setup{idp: true})
	if err != nil {
		return 0, 0, err
	}
	// The server makes the database, and is gone before the import.
	server, _, err := w.startOnce(ctx, c)
	if err != nil {
		return 0, 0, err
	}
	server.end()
	file := filepath.Join(filepath.Dir(c.file), "people.jsonl")
	if err := writePeople(file, n, sampleHash); err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	p, err := w.start(program{
		name: "import", path: w.binary, env: w.plan.gatewayEnv,
		args: []string{"user", "import", file, "--config", c.file, "--progress", "never"},
	})
	if err != nil {
		return 0, 0, err
	}
	for {
		select {
		case <-p.done:
			if code := p.cmd.ProcessState.ExitCode(); code != 0 {
				return 0, 0, fmt.Errorf("import ends with %d:\n%s", code, p.printed())
			}
			return float64(time.Since(begin)) / float64(time.Millisecond), mib, nil
		case <-ctx.Done():
			p.end()
			return 0, 0, ctx.Err()
		case <-time.After(10 * time.Millisecond):
			// It may have ended in between: then what was read before counts.
			if peak, err := p.peak(); err == nil {
				mib = max(mib, peak)
			}
		}
	}
}

// sampleHash looks like the hash of a password, and is that of none.
const sampleHash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$c29tZWRpZ2VzdHNvbWVkaWdlc3Rzb21lZGlnZXN0MTI"

// writePeople writes n people, all with the same hash of a password.
func writePeople(path string, n int, hash string) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write people: %w", err)
	}
	out := bufio.NewWriter(f)
	for i := range n {
		fmt.Fprintf(out, `{"username":"user%d","email":"user%d@example.com","email_verified":true,"name":"User %d","attributes":{"given_name":"User","family_name":"Number %d"},`+
			`"password_hash":%q}`+"\n", i, i, i, i, hash)
	}
	return errors.Join(out.Flush(), f.Close())
}
