package password_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/idp/password"
)

// slowHash costs several times what ours does: bcrypt of cost 10.
const slowHash = "$2b$10$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

func TestOwnHashesWaitForNothing(t *testing.T) {
	h := password.New(password.Options{})
	_ = h.Verify(t.Context(), "", known)
	_ = h.Verify(t.Context(), "", known)
	if f := h.Floor(); f != 0 {
		t.Fatalf("Floor = %s with hashes of our own only, want 0", f)
	}
}

// The answer for a name that nobody has must not come sooner than the one for a
// user whose hash was imported.
func TestEveryAnswerTakesAsLongAsTheSlowestKind(t *testing.T) {
	h := password.New(password.Options{})
	if err := h.Expect(t.Context(), slowHash); err != nil {
		t.Fatal(err)
	}
	floor := h.Floor()
	if floor <= 0 {
		t.Fatalf("Floor = %s after a slow kind was expected", floor)
	}
	begin := time.Now()
	if err := h.Verify(t.Context(), slowHash, known); !errors.Is(err, password.ErrWrong) {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < floor {
		t.Errorf("the slow kind took %s, less than the floor %s", took, floor)
	}
	for name, hash := range map[string]string{"nobody": "", "unusable": "x", "fast": madeElsewhere["PBKDF2 sha1"]} {
		begin := time.Now()
		_ = h.Verify(t.Context(), hash, known)
		if took := time.Since(begin); took < floor {
			t.Errorf("%s: answered after %s, before the floor %s", name, took, floor)
		}
	}
}

// What begins a hash begins all of the same kind and cost, and no others.
func TestHashesAreAlike(t *testing.T) {
	h := password.New(password.Options{})
	own, err := h.Hash(t.Context(), known)
	if err != nil || !strings.HasPrefix(own, password.Ours()) {
		t.Errorf("a hash of ours is %q, %v, want it to begin with %q", own, err, password.Ours())
	}
	for name, hash := range madeElsewhere {
		begin, err := password.Alike(hash)
		if err != nil || !strings.HasPrefix(hash, begin) || strings.HasPrefix(own, begin) || len(hash)-len(begin) < 40 {
			t.Errorf("%s: Alike(%q) = %q, %v", name, hash, begin, err)
			continue
		}
		cost, _ := password.Cost(hash)
		for other, hash := range madeElsewhere {
			if otherCost, _ := password.Cost(hash); strings.HasPrefix(hash, begin) && otherCost != cost {
				t.Errorf("%s begins like %s, at another cost", other, name)
			}
		}
	}
	if _, err := password.Alike("x"); !errors.Is(err, password.ErrHash) {
		t.Errorf("Alike of no hash = %v, want ErrHash", err)
	}
}

func TestFirstCheckOfAKindSetsTheFloor(t *testing.T) {
	h := password.New(password.Options{})
	_ = h.Verify(t.Context(), madeElsewhere["argon2i"], known)
	if h.Floor() <= 0 {
		t.Fatal("Floor = 0 after a check of another kind")
	}
}

// Who waits for the floor holds no slot: others are checked meanwhile.
func TestWaitForTheFloorHoldsNoSlot(t *testing.T) {
	h := password.New(password.Options{Parallel: 1, Queue: 1, Wait: time.Hour})
	if err := h.Expect(t.Context(), slowHash); err != nil {
		t.Fatal(err)
	}
	before := h.Calls()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	const crowd = 4
	for range crowd {
		want := h.Calls() + 1
		go func() { done <- h.Verify(ctx, madeElsewhere["PBKDF2 sha1"], known) }()
		for h.Calls() < want {
			time.Sleep(time.Millisecond)
		}
	}
	if n := h.Calls() - before; n != crowd {
		t.Errorf("%d checks done, want %d", n, crowd)
	}
	cancel()
	left := 0
	for range crowd {
		if errors.Is(<-done, context.Canceled) {
			left++
		}
	}
	if left == 0 {
		t.Error("no answer was held back")
	}
}

func TestExpectRefusesWhatVerifyDoes(t *testing.T) {
	if err := password.New(password.Options{}).Expect(t.Context(), "$2b$31$"+slowHash[7:]); !errors.Is(err, password.ErrHash) {
		t.Fatalf("Expect = %v, want ErrHash", err)
	}
}
