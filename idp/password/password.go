package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/sync/semaphore"
	"golang.org/x/text/unicode/norm"
)

var (
	// ErrWrong means that the password does not belong to the hash.
	ErrWrong = errors.New("wrong password")
	// ErrBusy means that too many checks are waiting; answer 503 with
	// Retry-After: 1. It says nothing about the password.
	ErrBusy = errors.New("too many password checks at once")
	// ErrTooLong means more than MaxRunes characters or MaxBytes bytes.
	ErrTooLong = errors.New("password is too long: at most 256 characters")
	// ErrForm means an empty password, one that is not UTF-8, or one that holds
	// a NUL byte.
	ErrForm = errors.New("password is empty or not plain text")
	// ErrHash means that a stored hash is malformed, of an unknown kind, or
	// demands more work or less strength than the bounds allow.
	ErrHash = errors.New("stored password hash cannot be used")
)

// What a password may be. Longer input is refused before any work is done.
const (
	MaxRunes = 256
	MaxBytes = 1024
)

// What a new hash costs: m = 19,456 KiB, t = 2, p = 1 (OWASP's second profile),
// a salt of 16 and a digest of 32 bytes.
const (
	memoryKiB  = 19456
	passes     = 2
	lanes      = 1
	saltBytes  = 16
	digestSize = 32
)

// Options bound the work; the zero value means the defaults.
type Options struct {
	// Parallel is how many hashes run at once. Default GOMAXPROCS.
	Parallel int
	// MemoryKiB is what all running hashes may use together. Default 262,144
	// (256 MiB); never less than one hash needs.
	MemoryKiB int64
	// Queue is how many callers may wait. Default 64.
	Queue int64
	// Wait is how long a caller waits before ErrBusy. Default 2s.
	Wait time.Duration
}

// Hasher makes and checks password hashes. It is safe for concurrent use.
type Hasher struct {
	memory  *semaphore.Weighted
	total   int64
	share   int64 // the least a hash takes of memory, so that Parallel holds
	queue   int64
	wait    time.Duration
	waiting atomic.Int64
	calls   atomic.Int64
	dummy   phc
}

// New returns a Hasher; it starts nothing.
func New(o Options) *Hasher {
	if o.Parallel <= 0 {
		o.Parallel = runtime.GOMAXPROCS(0)
	}
	if o.MemoryKiB <= 0 {
		o.MemoryKiB = 256 << 10
	}
	// One hash of the dearest kind that the bounds allow must fit, or it would
	// wait for ever.
	o.MemoryKiB = max(o.MemoryKiB, maxMemoryKiB)
	if o.Queue <= 0 {
		o.Queue = 64
	}
	if o.Wait <= 0 {
		o.Wait = 2 * time.Second
	}
	h := &Hasher{
		memory: semaphore.NewWeighted(o.MemoryKiB),
		total:  o.MemoryKiB,
		share:  max(o.MemoryKiB/int64(o.Parallel), 1),
		queue:  o.Queue,
		wait:   o.Wait,
		dummy:  phc{memory: memoryKiB, passes: passes, lanes: lanes, salt: make([]byte, saltBytes), digest: make([]byte, digestSize)},
	}
	// A digest nobody can hit: random, so that no input is known to match.
	rand.Read(h.dummy.salt)
	rand.Read(h.dummy.digest)
	return h
}

// Check reports whether password may be hashed at all: ErrTooLong, ErrForm or
// nil. It does no work worth measuring.
func Check(password string) error {
	switch {
	case len(password) > MaxBytes:
		return ErrTooLong
	case password == "" || !utf8.ValidString(password):
		return ErrForm
	case utf8.RuneCountInString(password) > MaxRunes:
		return ErrTooLong
	}
	for i := range len(password) {
		if password[i] == 0 {
			return ErrForm
		}
	}
	return nil
}

// Hash returns the argon2id hash of password as a PHC string,
// `$argon2id$v=19$m=19456,t=2,p=1$SALT$DIGEST`. Besides the errors of Check it
// returns ErrBusy, and the error of ctx.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if err := Check(password); err != nil {
		return "", err
	}
	p := phc{memory: memoryKiB, passes: passes, lanes: lanes, salt: make([]byte, saltBytes), digest: make([]byte, digestSize)}
	rand.Read(p.salt)
	digest, err := h.derive(ctx, p, password)
	if err != nil {
		return "", err
	}
	p.digest = digest
	return p.String(), nil
}

// Verify returns nil when password belongs to hash, a PHC string, and ErrWrong
// when not. An empty hash means "no such account": it does the same work and
// returns ErrWrong. A hash outside the bounds costs the same too and returns
// ErrHash. Besides these come the errors of Check, ErrBusy and the error of ctx.
func (h *Hasher) Verify(ctx context.Context, hash, password string) error {
	if err := Check(password); err != nil {
		return err
	}
	want, result := h.dummy, ErrWrong
	if hash != "" {
		p, err := parse(hash)
		if err != nil {
			result = err
		} else {
			want, result = p, nil
		}
	}
	got, err := h.derive(ctx, want, password)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(got, want.digest) != 1 && result == nil {
		return ErrWrong
	}
	return result
}

// Calls returns how many hashes have been computed. Tests count work with it
// instead of time.
func (h *Hasher) Calls() int64 { return h.calls.Load() }

// derive waits for its share of memory, then computes the digest of p's kind.
func (h *Hasher) derive(ctx context.Context, p phc, password string) ([]byte, error) {
	weight := min(max(int64(p.memory), h.share), h.total)
	if !h.memory.TryAcquire(weight) {
		if err := h.enqueue(ctx, weight); err != nil {
			return nil, err
		}
	}
	defer h.memory.Release(weight)
	h.calls.Add(1)
	// The same word typed on two systems may come composed or not (RFC 8265 §4.2).
	text := norm.NFC.Bytes([]byte(password))
	return argon2.IDKey(text, p.salt, p.passes, p.memory, p.lanes, uint32(len(p.digest))), nil
}

// enqueue waits for memory, at most wait long and in a queue of bounded length.
func (h *Hasher) enqueue(ctx context.Context, weight int64) error {
	defer h.waiting.Add(-1)
	if h.waiting.Add(1) > h.queue {
		return ErrBusy
	}
	bounded, cancel := context.WithTimeout(ctx, h.wait)
	defer cancel()
	if err := h.memory.Acquire(bounded, weight); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("wait for a password check: %w", ctx.Err())
		}
		return ErrBusy
	}
	return nil
}
