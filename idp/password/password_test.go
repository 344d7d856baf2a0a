package password_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"gatehouse/idp/password"
)

// cheap returns the PHC string of pw with little work.
func cheap(pw string, m, t uint32, p uint8, salt, digest int) string {
	s := make([]byte, salt)
	d := argon2.IDKey([]byte(pw), s, t, m, p, uint32(digest))
	b := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", m, t, p, b(s), b(d))
}

func TestHashVerifies(t *testing.T) {
	h := password.New(password.Options{})
	ctx := t.Context()
	phc, err := h.Hash(ctx, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(phc, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("Hash = %q", phc)
	}
	if err := h.Verify(ctx, phc, "correct horse"); err != nil {
		t.Fatalf("Verify of the password: %v", err)
	}
	if err := h.Verify(ctx, phc, "Correct horse"); !errors.Is(err, password.ErrWrong) {
		t.Fatalf("Verify of another: %v, want ErrWrong", err)
	}
	again, err := h.Hash(ctx, "correct horse")
	if err != nil || again == phc {
		t.Fatalf("two hashes of one password are equal, or %v", err)
	}
}

// é typed as one character or as two is one password.
func TestComposedAndDecomposedAreOnePassword(t *testing.T) {
	h := password.New(password.Options{})
	phc, err := h.Hash(t.Context(), "caf\u00e9 olé")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Verify(t.Context(), phc, "cafe\u0301 ole\u0301"); err != nil {
		t.Fatal(err)
	}
}

func TestEveryAnswerCostsOneHash(t *testing.T) {
	h := password.New(password.Options{})
	ctx := t.Context()
	phc := cheap("pw", 64, 1, 1, 16, 32)
	for name, c := range map[string]struct {
		hash, pw string
		want     error
	}{
		"right": {phc, "pw", nil}, "wrong": {phc, "no", password.ErrWrong}, "nobody": {"", "pw", password.ErrWrong},
		"unusable": {"$2b$10$abcdefghijklmnopqrstuv", "pw", password.ErrHash},
	} {
		before := h.Calls()
		if err := h.Verify(ctx, c.hash, c.pw); !errors.Is(err, c.want) {
			t.Errorf("%s: error = %v, want %v", name, err, c.want)
		}
		if n := h.Calls() - before; n != 1 {
			t.Errorf("%s: %d hashes computed, want 1", name, n)
		}
	}
}

func TestBadInputCostsNothing(t *testing.T) {
	h := password.New(password.Options{})
	for name, c := range map[string]struct {
		pw   string
		want error
	}{
		"empty": {"", password.ErrForm}, "NUL": {"a\x00b", password.ErrForm}, "not UTF-8": {"\xff\xfe", password.ErrForm},
		"257 characters": {strings.Repeat("a", 257), password.ErrTooLong}, "1,025 bytes": {strings.Repeat("é", 513), password.ErrTooLong},
		"a megabyte": {strings.Repeat("a", 1<<20), password.ErrTooLong},
	} {
		if _, err := h.Hash(t.Context(), c.pw); !errors.Is(err, c.want) {
			t.Errorf("Hash of %s: %v, want %v", name, err, c.want)
		}
		if err := h.Verify(t.Context(), "", c.pw); !errors.Is(err, c.want) {
			t.Errorf("Verify of %s: %v, want %v", name, err, c.want)
		}
	}
	if h.Calls() != 0 {
		t.Errorf("%d hashes computed, want none", h.Calls())
	}
	if err := password.Check(strings.Repeat("é", 256)); err != nil {
		t.Errorf("256 characters: %v", err)
	}
}

func TestStoredHashIsBoundedBothWays(t *testing.T) {
	h := password.New(password.Options{})
	ok := cheap("pw", 64, 1, 1, 8, 16)
	if err := h.Verify(t.Context(), ok, "pw"); err != nil {
		t.Fatalf("the least that is allowed: %v", err)
	}
	salt, digest := base64.RawStdEncoding.EncodeToString(make([]byte, 16)), base64.RawStdEncoding.EncodeToString(make([]byte, 32))
	for _, bad := range []string{
		"x", "$argon2d$v=19$m=64,t=1,p=1$" + salt + "$" + digest, "$argon2id$v=16$m=64,t=1,p=1$" + salt + "$" + digest,
		"$argon2id$v=19$m=4194304,t=1,p=1$" + salt + "$" + digest, "$argon2id$v=19$m=131073,t=1,p=1$" + salt + "$" + digest,
		"$argon2id$v=19$m=64,t=0,p=1$" + salt + "$" + digest, "$argon2id$v=19$m=64,t=11,p=1$" + salt + "$" + digest,
		"$argon2id$v=19$m=64,t=1,p=0$" + salt + "$" + digest, "$argon2id$v=19$m=64,t=1,p=5$" + salt + "$" + digest,
		"$argon2id$v=19$m=7,t=1,p=1$" + salt + "$" + digest, "$argon2id$v=19$m=-1,t=1,p=1$" + salt + "$" + digest,
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$AA", "$argon2id$v=19$m=64,t=1,p=1$AAAA$" + digest,
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "$" + digest + "$", "$argon2id$v=19$t=1,m=64,p=1$" + salt + "$" + digest,
		"$argon2id$v=19$m=64,t=1,p=1$" + salt + "=$" + digest,
	} {
		if err := h.Verify(t.Context(), bad, "pw"); !errors.Is(err, password.ErrHash) {
			t.Errorf("Verify(%q) = %v, want ErrHash", bad, err)
		}
	}
}

func TestCrowdIsTurnedAwayInsteadOfPilingUp(t *testing.T) {
	h := password.New(password.Options{Parallel: 1, Queue: 2, Wait: time.Minute})
	var wg sync.WaitGroup
	var mu sync.Mutex
	count := map[error]int{}
	start := make(chan struct{})
	for range 20 {
		wg.Go(func() {
			<-start
			err := h.Verify(t.Context(), "", "pw")
			mu.Lock()
			defer mu.Unlock()
			count[err]++
		})
	}
	close(start)
	wg.Wait()
	if count[password.ErrBusy] == 0 || count[password.ErrBusy]+count[password.ErrWrong] != 20 || count[password.ErrWrong] < 1 {
		t.Fatalf("answers = %v, want some busy and the others checked", count)
	}
}

func TestWaitingEndsWithBusyOrWithTheCaller(t *testing.T) {
	h := password.New(password.Options{Parallel: 1, MemoryKiB: 1, Wait: time.Nanosecond})
	slow := cheap("pw", 128<<10, 3, 1, 16, 32)
	running := make(chan error)
	go func() { running <- h.Verify(context.Background(), slow, "pw") }()
	for h.Calls() == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := h.Verify(t.Context(), "", "pw"); !errors.Is(err, password.ErrBusy) {
		t.Errorf("behind a slow hash: %v, want ErrBusy", err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.Verify(gone, "", "pw"); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who left: %v, want context.Canceled", err)
	}
	if err := <-running; err != nil {
		t.Errorf("the slow one: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	h := password.New(password.Options{})
	f.Add(cheap("pw", 64, 1, 1, 16, 32), "pw")
	f.Fuzz(func(t *testing.T, hash, pw string) {
		if len(hash) > 100 {
			return // Whatever parses must not panic; big work is not what is looked for.
		}
		_ = h.Verify(t.Context(), hash, pw)
	})
}

// Two hundred at once take no more memory than was allowed, and whoever finds
// the queue full is told so instead of waiting.
func TestTwoHundredAtOnceStayWithinTheBound(t *testing.T) {
	h := password.New(password.Options{MemoryKiB: 128 << 10, Parallel: 4})
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() {
		var most uint64
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	var wg sync.WaitGroup
	var busy, wrong atomic.Int64
	for range 200 {
		wg.Go(func() {
			switch err := h.Verify(t.Context(), "", "pw"); {
			case errors.Is(err, password.ErrBusy):
				busy.Add(1)
			case errors.Is(err, password.ErrWrong):
				wrong.Add(1)
			default:
				t.Errorf("Verify = %v", err)
			}
		})
	}
	wg.Wait()
	close(stop)
	if busy.Load() < 100 || busy.Load()+wrong.Load() != 200 || wrong.Load() < 4 {
		t.Errorf("%d were busy and %d wrong of 200", busy.Load(), wrong.Load())
	}
	// The collector is behind by as much again; all at once would take 3.8 GiB.
	if most := <-peak; most > 512<<20 {
		t.Errorf("the heap grew to %d MiB, want at most 512", most>>20)
	}
}
