package account_test

import (
	"testing"
	"time"

	"gatehouse/idp/account"
)

// A count begins under a new sealing key while it goes on under the one before. If
// the two ended at different times, whoever asks twice a minute would keep one of
// them from ending, and the person from a link for as long as both keys are held.
func TestAPauseEndsUnderEverySealingKeyAtOnce(t *testing.T) {
	w := newWorld(t)
	w.alice()
	ask := func() {
		t.Helper()
		w.must(w.acc.Forgot(t.Context(), asks("alice")))
	}
	ask()
	w.only(account.ResetPassword)
	const newer = "fedcba9876543210fedcba9876543210"
	w.key, w.held = newer, func() [][]byte { return [][]byte{[]byte(newer), []byte(key)} }
	w.open()
	for i, sent := range []int{0, 1, 0, 1} {
		w.clock.Forward(30 * time.Second)
		ask()
		if got := len(w.mail()); got != sent {
			t.Errorf("asked after %d s: %d messages, want %d", 30*(i+1), got, sent)
		}
	}
}
