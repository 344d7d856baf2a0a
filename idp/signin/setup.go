package signin

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/idp/mfa"
	"gatehouse/idp/pool"
)

// Notice is what has happened to an account that its person is told of.
type Notice struct {
	What What
	// Factor is the kind that was added or removed.
	Factor mfa.Kind
	// Device is what a browser calls itself that was remembered.
	Device string
}

// What is the kind of a Notice.
type What int

// The kinds.
const (
	FactorAdded What = iota
	FactorRemoved
	DeviceRemembered
	PasswordChanged
)

// Notices tells people what has happened to their account.
type Notices interface {
	// Tell sends a notice to the person, later.
	Tell(ctx context.Context, u pool.User, n Notice) error
}

// begin has the person set up one of kinds.
func (m *Machine) begin(ctx context.Context, w *walk, kinds []mfa.Kind) error {
	if len(kinds) == 0 {
		m.refused(ctx, w, reasonNoFactor)
		return ErrUnmet
	}
	w.enter(StepSetUp)
	w.state.Kinds = kinds
	if len(kinds) > 1 {
		return nil
	}
	return m.beginKind(ctx, w, kinds[0])
}

// beginKind begins to set up a factor of that kind.
func (m *Machine) beginKind(ctx context.Context, w *walk, k mfa.Kind) error {
	w.forKind(k)
	switch k {
	case mfa.TOTP:
		setup, err := m.Factors.BeginTOTP(w.who)
		w.state.Ceremony = setup.Artefact
		return notAsked(err)
	case mfa.Passkey:
		c, err := m.Factors.BeginPasskey(ctx, w.who)
		w.state.Options, w.state.Ceremony = c.Options, c.State
		return notAsked(err)
	}
	return nil
}

// notAsked makes ErrNotAsked of what is not offered, or not once more.
func notAsked(err error) error {
	if errors.Is(err, mfa.ErrNotOffered) || errors.Is(err, mfa.ErrLimit) {
		return fmt.Errorf("%w: %w", ErrNotAsked, err)
	}
	return err
}

// confirm sets up a factor that is shown by a code.
func (m *Machine) confirm(ctx context.Context, w *walk, a Code) error {
	var proof mfa.Proof
	var err error
	if w.state.Kind == mfa.TOTP {
		proof, err = m.Factors.ConfirmTOTP(ctx, w.who, w.state.Ceremony, a.Code, a.Name)
	} else {
		proof, err = m.Factors.ConfirmSent(ctx, mfa.Reply{Who: w.who, Kind: w.state.Kind, Challenge: w.ID, Code: a.Code})
	}
	if err != nil {
		return m.wrong(ctx, w, err)
	}
	return m.enrolled(ctx, w, proof)
}

// register sets up a passkey.
func (m *Machine) register(ctx context.Context, w *walk, a Passkey) error {
	proof, err := m.Factors.FinishPasskey(ctx, w.who, mfa.NewPasskey{State: w.state.Ceremony, Response: a.Response, Name: a.Name})
	if errors.Is(err, mfa.ErrExists) || errors.Is(err, mfa.ErrLimit) {
		err = mfa.ErrWrong
	}
	if err != nil {
		return m.again(ctx, w, m.wrong(ctx, w, err))
	}
	return m.enrolled(ctx, w, proof)
}

// enrolled goes on after a factor was set up.
func (m *Machine) enrolled(ctx context.Context, w *walk, proof mfa.Proof) error {
	w.state.Enrolled = true
	m.Tell(ctx, w.user, Notice{What: FactorAdded, Factor: proof.Kind})
	return m.shown(ctx, w, proof)
}

// recovery shows recovery codes to somebody who has none, if there are any.
func (m *Machine) recovery(ctx context.Context, w *walk) error {
	codes, err := m.Factors.NewRecoveryCodes(ctx, w.user.ID)
	if errors.Is(err, mfa.ErrNotOffered) {
		w.done = true
		return nil
	}
	if err != nil {
		return err
	}
	w.enter(StepCodes)
	w.state.Codes = codes
	return nil
}

// Tell sends a notice, if notices are sent. A change that was made stays made when it cannot be sent.
func (m *Machine) Tell(ctx context.Context, u pool.User, n Notice) {
	if m.Notices == nil {
		return
	}
	if err := m.Notices.Tell(ctx, u, n); err != nil {
		m.Log.ErrorContext(ctx, "notice not sent", "user", u.ID, "notice", n.What, "error", err)
	}
}
