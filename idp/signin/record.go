package signin

import (
	"context"
	"maps"
	"sync"

	"gatehouse/internal/audit"
)

// The reasons of a refused answer, as they stand in the event sign_in.refused:
// the list is closed.
const (
	reasonPassword = "wrong_password"  // no such person, a wrong password, or disabled
	reasonWaiting  = "waiting"         // the account takes no answers for a while
	reasonFactor   = "wrong_factor"    // a wrong code or passkey
	reasonTries    = "too_many_tries"  // the flow takes no more answers
	reasonDisabled = "disabled"        // a right passkey of somebody who may not sign in
	reasonNoFactor = "no_factor"       // a second factor is demanded, and none can be shown
	reasonReset    = "reset_required"  // a right password that does not count any more
	reasonStolen   = "stolen_password" // a right password that was stolen, of somebody without a second factor
)

// refused records a refused answer. The person is named only once a password or
// a passkey has said who it is: before that there is nobody, only a name that
// somebody typed.
func (m *Machine) refused(ctx context.Context, w *walk, reason string) {
	m.figures.add(reason)
	m.Log.InfoContext(ctx, "sign-in refused", "reason", reason, "address", w.browser.Address)
	err := m.Journal.Append(ctx, audit.Event{
		Type: "sign_in.refused", Target: w.user.ID, Detail: map[string]string{"reason": reason, "step": string(w.Step)},
	})
	if err != nil {
		m.Log.ErrorContext(ctx, "refused sign-in not recorded", "error", err)
	}
}

// signedIn is the outcome of a complete sign-in among the figures.
const signedIn = "signed_in"

// figures count outcomes: signedIn, and the reasons of refused answers.
type figures struct {
	mu sync.Mutex
	n  map[string]uint64
}

func (f *figures) add(outcome string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n == nil {
		f.n = map[string]uint64{}
	}
	f.n[outcome]++
}

// Figures returns how often each outcome came since the machine was made:
// "signed_in", and the reasons of the event sign_in.refused. The list of
// outcomes is closed.
func (m *Machine) Figures() map[string]uint64 {
	m.figures.mu.Lock()
	defer m.figures.mu.Unlock()
	all := map[string]uint64{signedIn: 0}
	maps.Copy(all, m.figures.n)
	return all
}
