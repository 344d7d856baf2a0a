package signin

import (
	"context"

	"gatehouse/internal/audit"
)

// The reasons of a refused answer, as they stand in the event sign_in.refused:
// the list is closed.
const (
	reasonPassword = "wrong_password" // no such person, a wrong password, or disabled
	reasonWaiting  = "waiting"        // the account takes no answers for a while
	reasonFactor   = "wrong_factor"   // a wrong code or passkey
	reasonTries    = "too_many_tries" // the flow takes no more answers
	reasonDisabled = "disabled"       // a right passkey of somebody who may not sign in
	reasonNoFactor = "no_factor"      // a second factor is demanded, and none can be shown
	reasonReset    = "reset_required" // a right password that does not count any more
)

// refused records a refused answer. The person is named only once a password or
// a passkey has said who it is: before that there is nobody, only a name that
// somebody typed.
func (m *Machine) refused(ctx context.Context, w *walk, reason string) {
	m.Log.InfoContext(ctx, "sign-in refused", "reason", reason, "address", w.browser.Address)
	err := m.Journal.Append(ctx, audit.Event{
		Type: "sign_in.refused", Target: w.user.ID, Detail: map[string]string{"reason": reason, "step": string(w.Step)},
	})
	if err != nil {
		m.Log.ErrorContext(ctx, "refused sign-in not recorded", "error", err)
	}
}
