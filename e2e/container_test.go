package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// The image is FROM scratch. This is its file system without a container
// engine: an empty root that nobody can write to, the static program, one
// directory for data, and user 65532.
func TestStaticProgramInAnEmptyReadOnlyRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		missing(t, "changing the root directory needs root: run the tests as root")
	}
	root := emptyRoot(t)
	run := func(args ...string) *exec.Cmd {
		c := exec.Command("/gatehouse", args...)
		// An engine gives a user without an entry in /etc/passwd this home.
		c.Env = []string{"HOME=/", "GATEHOUSE_DEMO_PASSWORD=" + demoPassword}
		c.Dir = "/var/lib/gatehouse"
		c.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		return c
	}
	if out, err := run("version").CombinedOutput(); err != nil {
		t.Fatalf("version: %v\n%s", err, out)
	}
	port := freePort(t)
	demo := run("demo", "--listen", fmt.Sprintf("127.0.0.1:%d", port), "--data", "/var/lib/gatehouse/demo")
	out := &transcript{}
	demo.Stdout, demo.Stderr = out, out
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- demo.Wait() }()
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	answered := false
	for end := time.Now().Add(patience); time.Now().Before(end) && !answered; time.Sleep(50 * time.Millisecond) {
		if res, err := plain.Get(url + "/_gatehouse/health"); err == nil {
			res.Body.Close()
			answered = res.StatusCode == http.StatusOK
		}
	}
	if !answered {
		t.Errorf("no answer:\n%s", out.tail())
	}
	if token, err := run("demo", "token", "orders.read").Output(); err != nil || len(token) < 100 {
		t.Errorf("demo token = %q, %v", token, err)
	}
	demo.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("demo ends with %v:\n%s", err, out.tail())
		}
	case <-time.After(patience):
		demo.Process.Kill()
		t.Errorf("demo does not stop:\n%s", out.tail())
	}
}

// emptyRoot puts the program, which TestMain builds static, into the image's
// directories.
func emptyRoot(t *testing.T) string {
	t.Helper()
	// Not t.TempDir: its parents are closed to user 65532.
	root, err := os.MkdirTemp("", "gatehouse-root-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	program, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "gatehouse"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"tmp", "var/lib/gatehouse"} {
		path := filepath.Join(root, dir)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, 65532, 65532); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"", "var", "var/lib"} {
		if err := os.Chmod(filepath.Join(root, dir), 0o555); err != nil {
			t.Fatal(err)
		}
	}
	return root
}
