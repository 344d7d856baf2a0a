package password

import (
	"context"
	"crypto/rand"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

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
	queue *queue
	total int64
	share int64 // the least a hash takes of memory, so that Parallel holds
	wait  time.Duration
	calls atomic.Int64
	dummy argonHash
	floor floor
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
		queue: newQueue(o.MemoryKiB, o.Queue),
		total: o.MemoryKiB,
		share: max(o.MemoryKiB/int64(o.Parallel), 1),
		wait:  o.Wait,
		dummy: ours(),
		floor: floor{costs: map[string]bool{}},
	}
	// A digest nobody can hit: random, so that no input is known to match.
	h.dummy.digest = make([]byte, digestSize)
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
	made := ours()
	err := h.run(ctx, made.memory(), func() {
		h.calls.Add(1)
		made.digest = made.derive(norm.NFC.String(password), digestSize)
	})
	if err != nil {
		return "", err
	}
	return made.String(), nil
}

// Verify returns nil when password belongs to hash, of any kind that CheckHash
// takes, and ErrWrong when not. An empty hash means "no such account": it does
// the work of a hash of ours and returns ErrWrong. A hash outside the bounds
// costs the same too and returns ErrHash. All of these answers come no earlier
// than Floor after their turn in the queue. Besides these come the errors of
// Check, ErrBusy and the error of ctx.
func (h *Hasher) Verify(ctx context.Context, hash, password string) error {
	if err := Check(password); err != nil {
		return err
	}
	var want stored = h.dummy
	result := ErrWrong
	if hash != "" {
		s, err := parse(hash)
		if err == nil {
			want = s
		}
		result = err
	}
	ok, begin, err := h.compare(ctx, want, password)
	if err != nil {
		return err
	}
	if err := h.hold(ctx, begin, len(spellings(password))); err != nil {
		return err
	}
	if !ok && result == nil {
		return ErrWrong
	}
	return result
}

// CheckHash reports whether Verify takes hash: nil, or ErrHash with a reason
// that holds no byte of salt or digest: numbers alone. Hashes are argon2id and
// argon2i of version 19, scrypt and PBKDF2 over SHA-1, SHA-256 or SHA-512, as PHC strings or as
// passlib writes them, bcrypt (2a, 2b, 2y) and passlib's bcrypt-sha256.
func CheckHash(hash string) error {
	_, err := parse(hash)
	return err
}

// Cost returns the kind of hash and what makes it dear, such as "bcrypt 10" or
// "argon2id m=19456,t=2,p=1"; or ErrHash. It says nothing about the password.
func Cost(hash string) (string, error) {
	s, err := parse(hash)
	if err != nil {
		return "", err
	}
	return s.cost(), nil
}

// Alike returns what begins every hash of the same kind and cost as hash, and no
// other: all that precedes the salt. ErrHash.
func Alike(hash string) (string, error) {
	if err := CheckHash(hash); err != nil {
		return "", err
	}
	last := strings.LastIndexByte(hash, '$')
	if strings.HasPrefix(hash, "$2") {
		return hash[:last+1], nil // bcrypt writes salt and digest as one
	}
	return hash[:strings.LastIndexByte(hash[:last], '$')+1], nil
}

// Ours returns what begins every hash that Hash makes.
func Ours() string {
	h := ours()
	return strings.TrimSuffix(argonHash{kind: h.kind, kib: h.kib, passes: h.passes, lanes: h.lanes}.String(), "$")
}

// NeedsRehash reports whether hash is not of the kind and cost that Hash makes;
// make a new one when the password is known next. Dearer hashes of elsewhere
// count as well: when all are alike, no time tells them apart.
func NeedsRehash(hash string) bool {
	s, err := parse(hash)
	if err != nil {
		return true
	}
	a, ok := s.(argonHash)
	return !ok || a.cost() != ours().cost() || len(a.salt) < saltBytes || len(a.digest) != digestSize
}

// Calls returns how many hashes have been computed. Tests count work with it
// instead of time.
func (h *Hasher) Calls() int64 { return h.calls.Load() }

// compare tells whether password, in one of its spellings, belongs to want, and
// when its turn came.
func (h *Hasher) compare(ctx context.Context, want stored, password string) (ok bool, begin time.Time, err error) {
	texts := spellings(password)
	err = h.run(ctx, want.memory(), func() {
		begin = time.Now()
		// All of them, whichever matches: the work follows from the input alone.
		for _, text := range texts {
			h.calls.Add(1)
			ok = want.matches(text) || ok
		}
		took := time.Since(begin) / time.Duration(len(texts))
		h.floor.saw(want.cost(), took, want.cost() == h.dummy.cost())
	})
	return ok, begin, err
}

// spellings returns what may have been hashed: the composed form, since the same
// word typed on two systems may come composed or not (RFC 8265 §4.2), and where
// it differs the bytes as typed, which other systems hash.
func spellings(password string) []string {
	composed := norm.NFC.String(password)
	if composed == password {
		return []string{composed}
	}
	return []string{composed, password}
}

// run waits for its share of memory, kib at least, then calls work.
func (h *Hasher) run(ctx context.Context, kib int64, work func()) error {
	need := min(max(kib, h.share), h.total)
	if err := h.queue.take(ctx, need, h.wait); err != nil {
		return err
	}
	defer h.queue.give(need)
	work()
	return nil
}
