package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// keptDir is where the token key and the tokens outlive a run of bench: signing
// tens of thousands takes half a minute. They open gateways that bench starts,
// and nothing else; still the folder must be ours alone.
func keptDir() (string, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("gatehouse-bench-tokens-%d", os.Getuid()))
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("keep tokens: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("keep tokens: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) != os.Getuid() || !info.IsDir() || info.Mode().Perm() != 0o700 {
		return "", fmt.Errorf("keep tokens: %s is not a folder of ours alone; remove it", dir)
	}
	return dir, nil
}

// keptKey returns the RSA key that access tokens are signed with, made when
// there is none or what is there cannot be read.
func keptKey() (*rsa.PrivateKey, error) {
	dir, err := keptDir()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "key.pem")
	if text, err := os.ReadFile(file); err == nil {
		if block, _ := pem.Decode(text); block != nil {
			if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
				return key, nil
			}
		}
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make token key: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, fmt.Errorf("keep token key: %w", err)
	}
	// Tokens of another key are worth nothing.
	if err := os.Remove(filepath.Join(dir, "tokens")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("keep token key: %w", err)
	}
	return key, nil
}

// tokens returns the path of a file with n distinct access tokens, one a line.
// Those of an earlier run are taken if they will live for hours yet.
func (w *world) tokens(ctx context.Context, n int) (string, error) {
	dir, err := keptDir()
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "tokens")
	if info, err := os.Stat(file); err == nil && time.Since(info.ModTime()) < tokenLife/2 {
		if lines, err := distinctLines(file); err == nil && lines >= n {
			return file, nil
		}
	}
	w.tell("signing %d tokens; they are kept for %v", n, tokenLife/2)
	list, err := signMany(ctx, n, w.issuer)
	if err != nil {
		return "", err
	}
	return file, writeLines(file, list)
}

func signMany(ctx context.Context, n int, i *issuer) ([]string, error) {
	return many(ctx, n, runtime.NumCPU(), func(_ context.Context, k int) (string, error) {
		return i.accessToken(fmt.Sprintf("program-%06d", k))
	})
}

// many calls one for each number below n, so many at a time, until one fails.
func many[T any](ctx context.Context, n, atOnce int, one func(context.Context, int) (T, error)) ([]T, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	list := make([]T, n)
	var next atomic.Int64
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for k := int(next.Add(1)) - 1; k < n && ctx.Err() == nil; k = int(next.Add(1)) - 1 {
				var err error
				if list[k], err = one(ctx, k); err != nil {
					cancel(err)
				}
			}
		})
	}
	all.Wait()
	return list, context.Cause(ctx)
}

// writeLines replaces file by list, or leaves it as it is.
func writeLines(file string, list []string) error {
	out, err := os.CreateTemp(filepath.Dir(file), "lines-")
	if err != nil {
		return fmt.Errorf("write lines: %w", err)
	}
	defer os.Remove(out.Name()) // fails when all went well
	buf := bufio.NewWriter(out)
	for _, line := range list {
		_, _ = buf.WriteString(line + "\n") // Flush tells
	}
	if err := errors.Join(buf.Flush(), out.Close()); err != nil {
		return fmt.Errorf("write lines: %w", err)
	}
	return os.Rename(out.Name(), file)
}

// distinctLines counts the lines of a file, no two of which may be equal.
func distinctLines(file string) (int, error) {
	in, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	seen := map[string]bool{}
	n := 0
	scan := bufio.NewScanner(in)
	scan.Buffer(nil, 64<<10)
	for ; scan.Scan(); n++ {
		seen[scan.Text()] = true
	}
	if err := scan.Err(); err != nil {
		return 0, err
	}
	if len(seen) != n {
		return 0, fmt.Errorf("%s: %d of %d lines are distinct", file, len(seen), n)
	}
	return n, nil
}
