package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUpstreamDownIsA502WithoutItsAddress(t *testing.T) {
	closed := freePort(t)
	d := startDemo(t, "--upstream", fmt.Sprintf("http://127.0.0.1:%d", closed))
	for name, pairs := range map[string][]string{"page": navigation, "problem": fetching} {
		a := ask(t, http.MethodGet, d.url+"/public/x", pairs...)
		if a.status != http.StatusBadGateway {
			t.Errorf("%s: %d, want 502", name, a.status)
		}
		for _, secret := range []string{fmt.Sprint(closed), "127.0.0.1", "refused", "dial"} {
			if a.contains(secret) {
				t.Errorf("%s tells %q:\n%s", name, secret, a.body)
			}
		}
		if !requestID.MatchString(a.body) {
			t.Errorf("%s names no request id:\n%s", name, a.body)
		}
	}
}

// launchRaw starts a demo that may not listen where it was told to.
func demoFails(t *testing.T, args ...string) (output string, code int) {
	t.Helper()
	stdout, stderr, code := command(t, []string{
		"GATEHOUSE_DEMO_PASSWORD=" + demoPassword, "XDG_CACHE_HOME=" + t.TempDir(),
	}, append([]string{"demo"}, args...)...)
	return stdout + stderr, code
}

func TestTakenPortIsAnErrorWhenAskedFor(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out, code := demoFails(t, "--listen", l.Addr().String())
	if code == 0 || !strings.Contains(out, l.Addr().String()) && !strings.Contains(out, fmt.Sprint(l.Addr().(*net.TCPAddr).Port)) {
		t.Errorf("demo on a taken port exits %d: %s", code, out)
	}
	oneSentence(t, out)
}

func TestUnwritableDirectoryIsOneSentence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := demoFails(t, "--listen", fmt.Sprintf("127.0.0.1:%d", freePort(t)), "--data", filepath.Join(file, "data"))
	if code == 0 || !strings.Contains(out, file) {
		t.Errorf("demo with an impossible --data exits %d: %s", code, out)
	}
	oneSentence(t, out)
}

func oneSentence(t *testing.T, out string) {
	t.Helper()
	if n := strings.Count(strings.TrimSpace(out), "\n"); n > 3 || strings.Contains(out, "goroutine") {
		t.Errorf("want one sentence that says what to do, got\n%s", out)
	}
}

func TestDemoAndServeKeepApart(t *testing.T) {
	data := t.TempDir()
	d := startDemo(t, "--data", data)
	if err := d.end(); err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("http://127.0.0.1:%d", freePort(t))
	config := filepath.Join(t.TempDir(), "gatehouse.yaml")
	if err := os.WriteFile(config, []byte(standalone(url, data)), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := command(t, nil, "serve", "--config", config)
	if code == 0 || !strings.Contains(stdout+stderr, "demo") {
		t.Errorf("serve on a demo's data exits %d: %s%s", code, stdout, stderr)
	}
	oneSentence(t, stdout+stderr)

	h := startInProcess(t, usualTTL)
	if err := h.end(); err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	if out, code := demoFails(t, "--listen", port, "--data", filepath.Dir(h.config)); code == 0 || !strings.Contains(out, "demo") {
		t.Errorf("demo on another store exits %d: %s", code, out)
	} else {
		oneSentence(t, out)
	}
}

func TestStoreWithoutItsKeyDoesNotOpen(t *testing.T) {
	h := startInProcess(t, usualTTL)
	if err := h.end(); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(filepath.Dir(h.config), "secrets", "sealing.key")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	stdout, stderr, code := command(t, nil, "serve", "--config", h.config)
	if code == 0 || !strings.Contains(stdout+stderr, "sealing") {
		t.Errorf("serve without the sealing key exits %d: %s%s", code, stdout, stderr)
	}
	oneSentence(t, stdout+stderr)
	if _, err := os.Stat(key); err == nil {
		t.Error("serve made a new sealing key for an old store")
	}
}

func TestDemoTakesTheNextPortOnBothLoopbacks(t *testing.T) {
	// Whoever has the usual port, be it this test, the demo must go on.
	if l, err := net.Listen("tcp", "127.0.0.1:8080"); err == nil {
		defer l.Close()
	}
	d, err := launchDemo(t.TempDir(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.end()
	host := strings.TrimPrefix(d.url, "http://")
	_, port, err := net.SplitHostPort(host)
	if err != nil || port == "8080" || !strings.HasPrefix(host, "localhost:") {
		t.Errorf("the demo is at %s, want localhost with another port than 8080", d.url)
	}
	if !strings.Contains(d.out.String(), "taken") {
		t.Errorf("the demo does not say that the usual port is taken:\n%s", d.out)
	}
	for _, address := range []string{"127.0.0.1", "::1"} {
		c, err := net.DialTimeout("tcp", net.JoinHostPort(address, port), patience)
		if err != nil {
			if address == "::1" && !hasIPv6() {
				continue
			}
			t.Errorf("nobody listens on %s: %v", address, err)
			continue
		}
		c.Close()
	}
}

func hasIPv6() bool {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		return false
	}
	l.Close()
	return true
}

func TestSizesAreBounded(t *testing.T) {
	d := sharedDemo(t)
	host := strings.TrimPrefix(d.url, "http://")
	long := strings.Repeat("a", 9<<10)
	for name, text := range map[string]string{
		"target": "GET /public/" + long + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n",
		"head":   "GET /public/x HTTP/1.1\r\nHost: " + host + "\r\nX-Long: " + strings.Repeat("a", 100<<10) + "\r\n\r\n",
		"fields": "GET /public/x HTTP/1.1\r\nHost: " + host + "\r\n" + strings.Repeat("X-Many: 1\r\n", 300) + "\r\n",
	} {
		a := rawAsk(t, d.port, text)
		if a.status != 0 && a.status != 400 && a.status != 414 && a.status != 431 {
			t.Errorf("a %s that is too long: %d, want 414, 431 or a closed connection", name, a.status)
		}
	}
	v := newVisitor(t, d.url)
	f := v.fill(v.open("/"), "bob", strings.Repeat("x", 200<<10))
	if a := v.post(f); a.status != http.StatusRequestEntityTooLarge && a.status != http.StatusBadRequest {
		t.Errorf("a form of 200 KiB = %d, want 413", a.status)
	}
}
