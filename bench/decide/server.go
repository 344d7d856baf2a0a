package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// startServer runs OPA's server with the generated policy of s, and returns a
// target that asks it what Decide is asked: the same rule about the same input.
func startServer(ctx context.Context, program string, s *set) (*target, error) {
	dir, err := os.MkdirTemp("", "decide-")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "routes.rego")
	if err := os.WriteFile(file, []byte(s.fresh.Module()), 0o600); err != nil {
		return nil, err
	}
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "run", "--server", "--addr", addr, "--disable-telemetry", "--log-level", "error", file)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start OPA's server: %w", err)
	}
	end := func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed: it has no good end
		_ = os.RemoveAll(dir)
	}
	t, err := s.askingServer(ctx, "http://"+addr)
	if err != nil {
		end()
		return nil, err
	}
	t.end = end
	return t, nil
}

// askingServer waits for the server and prepares what is sent to it.
func (s *set) askingServer(ctx context.Context, origin string) (*target, error) {
	var bodies [][]byte
	for _, q := range s.questions[:hotRoutes] {
		input, err := s.fresh.Input(q)
		if err != nil {
			return nil, err
		}
		body, err := json.Marshal(map[string]json.RawMessage{"input": input})
		if err != nil {
			return nil, err
		}
		bodies = append(bodies, body)
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
	if err := ready(ctx, client, origin+"/health"); err != nil {
		return nil, err
	}
	return &target{ask: func(ctx context.Context, i int) error {
		i %= hotRoutes
		// A route decides by the first that has the same rule; here none has.
		url := fmt.Sprintf("%s/v1/data/gatehouse/routes/allow/route-%d", origin, i)
		return askServer(ctx, client, url, bodies[i])
	}}, nil
}

func askServer(ctx context.Context, client *http.Client, url string, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		return err
	}
	var answer struct{ Result bool }
	if err := json.Unmarshal(text, &answer); err != nil || !answer.Result {
		return fmt.Errorf("OPA's server answered %.200s", text)
	}
	return nil
}

// ready waits until url answers 200.
func ready(ctx context.Context, client *http.Client, url string) error {
	last := errors.New("not asked")
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		resp, err := client.Get(url)
		if last = err; err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
		last = errors.New(resp.Status)
	}
	return fmt.Errorf("OPA's server does not answer: %w", last)
}

// freeAddr finds an address of the loopback that nobody listens on.
func freeAddr(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}
