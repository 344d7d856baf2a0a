package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for something that should take well under a
// second; the machine may be busy.
const patience = 20 * time.Second

// transcript collects what a process prints, while it prints.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *transcript) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// tail is what to show of it when a test fails: the last lines.
func (o *transcript) tail() string {
	lines := strings.Split(strings.TrimSpace(o.String()), "\n")
	lines = lines[max(0, len(lines)-25):]
	for i, line := range lines {
		lines[i] = line[:min(len(line), 500)]
	}
	return strings.Join(lines, "\n")
}

// process is a program that a test started, and that the test ends by its id.
type process struct {
	name string
	cmd  *exec.Cmd
	out  *transcript
	done chan struct{} // closed when it has ended
	err  error         // of Wait; read after done
}

// launch starts a program with env on top of the environment.
func launch(name string, env []string, program string, args ...string) (*process, error) {
	p := &process{name: name, out: &transcript{}, done: make(chan struct{})}
	p.cmd = exec.Command(program, args...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// end asks the program to stop and waits until it has. It returns an error
// when the program had to be killed or told of a problem.
func (p *process) end() error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return p.err
	case <-time.After(patience):
		p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s did not stop within %v", p.name, patience)
	}
}

// alive tells whether the program still runs.
func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// startProcess launches a program that ends with the test at the latest; what
// it printed is shown when the test fails.
func startProcess(t *testing.T, name string, env []string, program string, args ...string) *process {
	t.Helper()
	p, err := launch(name, env, program, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.alive() {
			if err := p.end(); err != nil {
				t.Errorf("%s ends with %v", name, err)
			}
		}
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, p.out.tail())
		}
	})
	return p
}

// freePort finds a TCP port that nobody listens on, on any loopback address.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// demoPassword is the password of every user of every demo of these tests.
const demoPassword = "correct-horse-battery-staple"

// demo is a running `gatehouse demo`.
type demo struct {
	*process
	url   string // what it printed to open, without a slash at the end
	port  int
	cache string // XDG_CACHE_HOME of the demo and of `demo token`
}

var openLine = regexp.MustCompile(`(?m)^\s*Open\s+(https?://\S+)`)

// launchDemo starts a demo and waits until it answers. cache is where it
// leaves its address for `demo token`; port 0 lets it choose.
func launchDemo(cache string, port int, args ...string) (*demo, error) {
	if port != 0 {
		args = append([]string{"--listen", fmt.Sprintf("127.0.0.1:%d", port)}, args...)
	}
	args = append([]string{"demo"}, args...)
	p, err := launch("gatehouse demo", []string{
		"GATEHOUSE_DEMO_PASSWORD=" + demoPassword, "XDG_CACHE_HOME=" + cache,
	}, binary, args...)
	if err != nil {
		return nil, err
	}
	d := &demo{process: p, port: port, cache: cache}
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if found := openLine.FindStringSubmatch(p.out.String()); found != nil {
			d.url = strings.TrimSuffix(found[1], "/")
			break
		}
		if !p.alive() || time.Now().After(end) {
			p.end()
			return nil, fmt.Errorf("gatehouse demo printed no address:\n%s", p.out)
		}
	}
	if err := waitFor(p, d.url+"/_gatehouse/health"); err != nil {
		return nil, err
	}
	return d, nil
}

// waitFor asks url until it answers 200.
func waitFor(p *process, url string) error {
	var last any
	for end := time.Now().Add(patience); time.Now().Before(end) && p.alive(); time.Sleep(20 * time.Millisecond) {
		resp, err := plain.Get(url)
		if err != nil {
			last = err
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		last = resp.Status
	}
	p.end()
	return fmt.Errorf("%s does not answer at %s: %v\n%s", p.name, url, last, p.out.tail())
}

// startDemo starts a demo of the test's own.
func startDemo(t *testing.T, args ...string) *demo {
	t.Helper()
	return startDemoAt(t, freePort(t), args...)
}

func startDemoAt(t *testing.T, port int, args ...string) *demo {
	t.Helper()
	d, err := launchDemo(t.TempDir(), port, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if d.alive() {
			if err := d.end(); err != nil {
				t.Errorf("gatehouse demo ends with %v", err)
			}
		}
		if t.Failed() {
			t.Logf("gatehouse demo printed:\n%s", d.out.tail())
		}
	})
	return d
}

// shared is the demo that all tests use which only look.
var shared struct {
	once sync.Once
	demo *demo
	err  error
}

// sharedDemo returns a demo that other tests use at the same time: sign in as
// often as you like, but change nobody and stop nothing.
func sharedDemo(t *testing.T) *demo {
	t.Helper()
	shared.once.Do(func() {
		port := freePort(t)
		shared.demo, shared.err = launchDemo(filepath.Join(scratch, "cache"), port)
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.demo
}

func endShared() {
	if shared.demo != nil && shared.demo.alive() {
		shared.demo.end()
	}
}

// command runs gatehouse to its end and returns what it printed and its exit
// status.
func command(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("run gatehouse %s: %v", strings.Join(args, " "), err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// token asks the running demo for an access token of orders-job.
func (d *demo) token(t *testing.T, scopes ...string) string {
	t.Helper()
	stdout, stderr, code := command(t, []string{"XDG_CACHE_HOME=" + d.cache, "GATEHOUSE_DEMO_ADDR=" + d.url},
		append([]string{"demo", "token"}, scopes...)...)
	if code != 0 {
		t.Fatalf("gatehouse demo token %s exits %d: %s", strings.Join(scopes, " "), code, stderr)
	}
	jwt := strings.TrimSuffix(stdout, "\n")
	if strings.Count(jwt, ".") != 2 || strings.ContainsAny(jwt, " \n\t") {
		t.Fatalf("gatehouse demo token prints %q, want a JWT alone on one line", stdout)
	}
	return jwt
}

// gateway is a running `gatehouse serve`.
type gateway struct {
	*process
	url    string // the public URL, without a slash at the end
	config string // path of its configuration
}

// startServe writes text as the configuration in dir and serves it.
func startServe(t *testing.T, dir, url, text string) *gateway {
	t.Helper()
	path := filepath.Join(dir, "gatehouse.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, "gatehouse serve", nil, binary, "serve", "--config", path)
	if err := waitFor(p, url+"/_gatehouse/health"); err != nil {
		t.Fatal(err)
	}
	return &gateway{process: p, url: url, config: path}
}
