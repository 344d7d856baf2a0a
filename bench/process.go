package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// program is what to run, and how.
type program struct {
	name string // of its logs, unique in one run of bench
	path string
	args []string
	env  []string // NAME=value, besides our own
}

// process is a program that bench started and will end.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string // path of what it prints on standard error
	out  string // path of what it prints on standard output
	done chan struct{}
}

// start runs what; what it prints goes into two files below dir.
func start(dir string, what program) (*process, error) {
	p := &process{
		name: what.name, done: make(chan struct{}),
		log: filepath.Join(dir, what.name+".log"), out: filepath.Join(dir, what.name+".out"),
	}
	p.cmd = exec.Command(what.path, what.args...)
	p.cmd.Env = append(os.Environ(), what.env...)
	// Appending, so that what was read can be cut off while it goes on.
	for name, into := range map[string]*io.Writer{p.log: &p.cmd.Stderr, p.out: &p.cmd.Stdout} {
		file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", what.name, err)
		}
		defer file.Close() // the child has its own copy
		*into = file
	}
	// Ctrl-C is for bench, which then ends the others in order. A child ends
	// with the thread that started it, and Go ends threads that are locked only.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", what.name, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended does not matter once we end it
		close(p.done)
	}()
	return p, nil
}

// forget cuts off what the process has written to standard output: an access
// log of millions of lines is there to be paid for, not to be kept.
func (p *process) forget() { _ = os.Truncate(p.out, 0) }

// end stops the process and waits for it.
func (p *process) end() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// ready waits until url answers anything below 500.
func (p *process) ready(ctx context.Context, url string) error {
	var last error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.done:
			return fmt.Errorf("%s has ended:\n%s", p.name, p.printed())
		default:
		}
		a, err := send(ctx, http.MethodGet, url, nil, nil)
		if err == nil {
			if a.status < 500 {
				return nil
			}
			err = fmt.Errorf("status %d", a.status)
		}
		last = err
	}
	return fmt.Errorf("%s does not answer at %s: %w\n%s", p.name, url, last, p.printed())
}

// printed returns the last lines the process wrote.
func (p *process) printed() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-15):], []byte("\n")))
}

// clockTick is USER_HZ, in which /proc counts: 100 on every Linux that Go
// runs on.
const clockTick = time.Second / 100

// cpu returns the time all threads of the process have spent on a processor,
// in user and kernel mode (proc_pid_stat(5), fields 14 and 15).
func (p *process) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read CPU time of %s: %w", p.name, err)
	}
	// The second field is the name in parentheses, and may hold blanks.
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("read CPU time of %s: %q", p.name, text)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return 0, fmt.Errorf("read CPU time of %s: %w", p.name, err)
	}
	return time.Duration(user+system) * clockTick, nil
}

// memory returns how much of the process is in RAM (VmRSS, proc_pid_status(5)),
// in MiB.
func (p *process) memory() (float64, error) { return p.status("VmRSS:") }

// own returns how much of it is not of a file, such as the program itself (RssAnon).
func (p *process) own() (float64, error) { return p.status("RssAnon:") }

// peak returns how much of the process was in RAM at most (VmHWM), in MiB.
func (p *process) peak() (float64, error) { return p.status("VmHWM:") }

func (p *process) status(key string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read memory of %s: %w", p.name, err)
	}
	return statusMiB(string(text), key)
}

func statusMiB(status, key string) (float64, error) {
	_, rest, found := strings.Cut(status, key)
	line, _, _ := strings.Cut(rest, "\n")
	fields := strings.Fields(line)
	if !found || len(fields) != 2 || fields[1] != "kB" {
		return 0, fmt.Errorf("read memory: no %s in %q", key, status)
	}
	kib, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	return kib / 1024, nil
}

// freePort finds a port of the loopback that nobody listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
