//go:build unix

package cli

import (
	"bufio"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/testenv"
)

// TestHangUpReloads runs serve in this process and sends it SIGHUP, as service
// managers do.
func TestHangUpReloads(t *testing.T) {
	addr, err := testenv.FreeAddr(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "gatehouse.yaml")
	write := func(allow string) {
		t.Helper()
		text := "public_url: http://app.localhost\nlisten: " + addr + "\nupstreams: { app: \"http://127.0.0.1:9\" }\n" +
			"routes: [{ name: page, match: { path: /page }, allow: " + allow + " }]\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("anyone")
	lines := make(chan string, 1000)
	r, w := io.Pipe()
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			lines <- s.Text()
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- Main(ctx, []string{"serve", "--no-watch", "--config", path}, Streams{In: strings.NewReader(""), Out: io.Discard, Err: w})
		_ = w.Close()
	}()
	wait := func(text string) string {
		t.Helper()
		deadline := time.After(20 * time.Second)
		for {
			select {
			case line, open := <-lines:
				if strings.Contains(line, text) {
					return line
				}
				if !open {
					t.Fatalf("serve ended before it said %s", text)
				}
			case <-deadline:
				t.Fatalf("serve does not say %s", text)
			}
		}
	}
	hangUp := func() {
		t.Helper()
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	if line := wait(`"msg":"serving"`); !strings.Contains(line, `"revision":"`) {
		t.Errorf("serve does not say which revision it serves: %s", line)
	}
	write("anyone, odd: [semicolon]")
	hangUp()
	if line := wait(`"msg":"configuration reloaded"`); !strings.Contains(line, `"routes_changed":["page"]`) {
		t.Errorf("the reload is told without the route that changed: %s", line)
	}
	write("nonsense")
	hangUp()
	wait(`"msg":"configuration not reloaded`)
	cancel()
	if code := <-ended; code != exitFine {
		t.Errorf("serve exits %d, want 0", code)
	}
	wait(`"msg":"stopped"`)
}
