package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

func main() {
	total := flag.Bool("total", false, "print one line about the saved results named as arguments")
	status := flag.Int("status", 0, "with -total: exit status of the whole run; not 0 is at least one failure")
	name := flag.String("name", "tests", "what the run is called")
	save := flag.String("save", "", "file to keep the events in")
	flag.Parse()
	var err error
	if *total {
		err = printTotal(flag.Args(), *status)
	} else {
		err = watch(*name, *save)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(1)
	}
}

// watch reads events from standard input, saves and renders them.
func watch(name, save string) error {
	in := io.Reader(os.Stdin)
	if save != "" {
		if err := os.MkdirAll(filepath.Dir(save), 0o755); err != nil {
			return err
		}
		file, err := os.Create(save)
		if err != nil {
			return err
		}
		defer file.Close()
		in = io.TeeReader(os.Stdin, file)
	}
	r := newRun()
	if err := r.read(in, os.Stdout); err != nil {
		return fmt.Errorf("read the events of %s: %w", name, err)
	}
	passed, failed, skipped := r.count()
	fmt.Printf("%s: %d passed, %d failed, %d skipped\n", name, passed, failed, skipped)
	switch {
	case failed > 0:
		return fmt.Errorf("%s: %d failed", name, failed)
	case skipped > 0:
		return fmt.Errorf("%s: %d skipped, and nothing may skip here", name, skipped)
	case passed == 0:
		return fmt.Errorf("%s: no test ran", name)
	}
	return nil
}

// printTotal adds up saved results. A run that ended badly without a failing
// test (a linter, a crash) counts as one failure.
func printTotal(files []string, status int) error {
	passed, failed := 0, 0
	for _, path := range files {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		r := newRun()
		err = r.read(bufio.NewReader(file), io.Discard)
		file.Close()
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		p, f, _ := r.count()
		passed, failed = passed+p, failed+f
	}
	if status != 0 {
		failed = max(failed, 1)
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	return nil
}
