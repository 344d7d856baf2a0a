package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/crypto/argon2"
)

// Our hash of a password: argon2id with 19 MiB and two passes, see
// docs/operating.md.
const (
	hashKiB    = 19_456
	hashPasses = 2
)

// Of the passwords section.
const (
	// atOnce sign in at once: enough that a processor never waits for anybody.
	atOnce = 8
	// pairs is how many sign-ins of known and of unknown people are compared.
	pairs = 200
	// storm is how many sign in at the same moment, and stormMiB what the
	// process may use then: twice of idp.password.memory, as documented.
	storm    = 200
	stormMiB = 512
)

// passwords compares signing in over HTTP, all of it, with the hash that is in it.
func passwords(ctx context.Context, w *world) ([]line, error) {
	c, err := w.withUsers(ctx, storm)
	if err != nil {
		return nil, err
	}
	defer c.end()
	lines, err := w.signInRate(ctx, c)
	if err != nil {
		return nil, err
	}
	strangers, err := c.strangers(ctx, min(pairs, 50*w.plan.rounds))
	if err != nil {
		strangers = []line{failedLine("known against unknown", err).withGoal(1.05)}
	}
	return append(append(lines, strangers...), w.storms(ctx)...), nil
}

// signInRate lets people sign in and hashes alone, in turn.
func (w *world) signInRate(ctx context.Context, c *users) ([]line, error) {
	var each, cpu, signedIn, hashed []float64
	hash := func(context.Context) error {
		hashOf(personPassword)
		return nil
	}
	// The first ones are slower.
	if _, err := c.signIns(ctx, time.Second); err != nil {
		return nil, err
	}
	before, err := hashRate(ctx, w.plan.duration, hash)
	if err != nil {
		return nil, err
	}
	for range w.plan.rounds {
		own, err := c.signIns(ctx, 2*w.plan.duration)
		if err != nil {
			return nil, err
		}
		after, err := hashRate(ctx, w.plan.duration, hash)
		if err != nil {
			return nil, err
		}
		alone, cost := (before.rate+after.rate)/2, (before.cpu+after.cpu)/2
		each, signedIn, hashed = append(each, alone/own.rate), append(signedIn, own.rate), append(hashed, alone)
		cpu = append(cpu, float64(own.cpu)/float64(cost))
		before = after
	}
	return []line{
		{name: "time for a sign-in, against the hash alone", unit: "×", values: each, goal: 1 / 0.9},
		{name: "CPU for a sign-in, against the hash alone", unit: "×", values: cpu},
		{name: "sign-ins a second", unit: "/s", values: signedIn},
		{name: "hashes a second, alone", unit: "/s", values: hashed},
	}, nil
}

// signIns lets people sign in, one after the other, for d.
func (c *users) signIns(ctx context.Context, d time.Duration) (s rated, err error) {
	begin, err := c.proc.cpu()
	if err != nil {
		return s, err
	}
	n := c.next.Load()
	s.rate, err = rate(ctx, d, atOnce, func(ctx context.Context) error {
		_, err := c.signIn(ctx, personOf(int(c.next.Add(1))%storm))
		return err
	})
	if err != nil {
		return s, err
	}
	end, err := c.proc.cpu()
	s.cpu = (end - begin) / time.Duration(max(1, c.next.Load()-n))
	return s, err
}

// rate does something for d, so many at once, and returns how often in a second.
// It ends with the first error.
func rate(ctx context.Context, d time.Duration, atOnce int, do func(context.Context) error) (float64, error) {
	var done atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	begin := time.Now()
	for range atOnce {
		all.Go(func() {
			for time.Since(begin) < d && ctx.Err() == nil && failed.Load() == nil {
				if err := do(ctx); err != nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				done.Add(1)
			}
		})
	}
	all.Wait()
	took := time.Since(begin)
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(done.Load()) / took.Seconds(), ctx.Err()
}

// rated is how often in a second something is done, and the CPU time of one.
type rated struct {
	rate float64
	cpu  time.Duration
}

func hashRate(ctx context.Context, d time.Duration, hash func(context.Context) error) (h rated, err error) {
	var n atomic.Int64
	begin := ownCPU()
	h.rate, err = rate(ctx, d, runtime.GOMAXPROCS(0), func(ctx context.Context) error {
		n.Add(1)
		return hash(ctx)
	})
	h.cpu = (ownCPU() - begin) / time.Duration(max(1, n.Load()))
	return h, err
}

// ownCPU is the CPU time of this process.
func ownCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it fails for bad arguments only
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// hashOf returns our hash of a password as a PHC string, with a fixed salt.
func hashOf(password string) string {
	salt := []byte("bench-salt-of-16")
	b := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=1$%s$%s", hashKiB, hashPasses, b(salt),
		b(argon2.IDKey([]byte(password), salt, hashPasses, hashKiB, 1, 32)))
}

// strangers compares wrong passwords of people who are known with those of people
// who are not: n of each, in turn, alone.
func (c *users) strangers(ctx context.Context, n int) ([]line, error) {
	var known, unknown []float64
	refused := func(name string) (float64, error) {
		v, err := c.begin(ctx)
		if err != nil {
			return 0, err
		}
		begin := time.Now()
		resp, err := v.post(ctx, name, "not-the-password")
		if err == nil && resp.StatusCode != http.StatusUnprocessableEntity {
			err = fmt.Errorf("%s signs in with a wrong password: %s", name, resp.Status)
		}
		return float64(time.Since(begin)) / float64(time.Millisecond), err
	}
	for i := range n {
		both := []struct {
			name string
			into *[]float64
		}{{personOf(i % storm), &known}, {fmt.Sprintf("nobody%d", i), &unknown}}
		if i%2 == 1 {
			both[0], both[1] = both[1], both[0]
		}
		for _, one := range both {
			ms, err := refused(one.name)
			if err != nil {
				return nil, err
			}
			*one.into = append(*one.into, ms)
		}
	}
	ratios := make([]float64, n)
	for i := range ratios {
		ratios[i] = known[i] / unknown[i]
	}
	apart := median(ratios)
	return []line{
		{name: fmt.Sprintf("known against unknown, %d pairs, whichever is slower", n), unit: "×", values: []float64{max(apart, 1/apart)}, goal: 1.05},
		{name: "wrong password, known", unit: "ms", values: known},
		{name: "wrong password, unknown", unit: "ms", values: unknown},
	}, nil
}

// storms lets many sign in at the same moment, each time in a new process.
func (w *world) storms(ctx context.Context) []line {
	var peak, refused []float64
	peakName := fmt.Sprintf("%d at the same moment, memory at its peak", storm)
	for range max(1, w.plan.starts/3) {
		mib, busy, err := w.stormOnce(ctx)
		if err != nil {
			return []line{failedLine(peakName, err).withGoal(stormMiB)}
		}
		peak, refused = append(peak, mib), append(refused, float64(busy))
	}
	return []line{
		{name: peakName, unit: "MiB", values: peak, goal: stormMiB},
		{name: "of them told to come back later", unit: "", values: refused},
	}
}

// stormOnce returns the peak of memory, in MiB, and how many were answered 503
// with Retry-After; all others must be signed in.
func (w *world) stormOnce(ctx context.Context) (mib float64, busy int64, err error) {
	c, err := w.withUsers(ctx, storm)
	if err != nil {
		return 0, 0, err
	}
	defer c.end()
	visits := make([]*visit, storm)
	for i := range visits {
		if visits[i], err = c.begin(ctx); err != nil {
			return 0, 0, err
		}
	}
	var later, in atomic.Int64
	errs := make([]error, storm)
	var all sync.WaitGroup
	for i, v := range visits {
		all.Go(func() {
			resp, err := v.post(ctx, personOf(i), personPassword)
			switch {
			case err != nil:
				errs[i] = err
			case resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "":
				later.Add(1)
			case resp.StatusCode >= 300 && resp.StatusCode < 400:
				in.Add(1)
			default:
				errs[i] = fmt.Errorf("%s signs in with %s at %s", personOf(i), resp.Status, resp.Request.URL)
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, 0, err
	}
	if in.Load() == 0 {
		return 0, 0, errors.New("nobody signed in")
	}
	mib, err = c.proc.peak()
	return mib, later.Load(), err
}

func personOf(i int) string { return fmt.Sprintf("user%d", i) }

// challengeOf is the S256 challenge of a PKCE verifier (RFC 7636 §4.2).
func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return b64(sum[:])
}

// drain reads the rest of an answer, so that the connection can be used again.
func drain(resp *http.Response) error {
	_, err := io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}
