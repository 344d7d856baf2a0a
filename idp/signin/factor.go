package signin

import (
	"context"
	"errors"
	"slices"

	"gatehouse/idp/mfa"
	"gatehouse/idp/pool"
)

// ask has the person show a second factor, one of kinds, the first of them first.
func (m *Machine) ask(ctx context.Context, w *walk, kinds []mfa.Kind) error {
	if len(kinds) == 0 {
		m.refused(ctx, w, reasonNoFactor)
		return ErrNoFactor
	}
	w.enter(StepFactor)
	w.state.Kinds = kinds
	return m.askFor(ctx, w, kinds[0])
}

// askFor asks for a factor of that kind.
func (m *Machine) askFor(ctx context.Context, w *walk, k mfa.Kind) error {
	w.forKind(k)
	if k != mfa.Passkey {
		return nil
	}
	c, err := m.Factors.AskPasskey(ctx, w.who)
	if errors.Is(err, mfa.ErrNotOffered) {
		return ErrNotAsked // removed a moment ago
	}
	w.state.Options, w.state.Ceremony = c.Options, c.State
	return err
}

// choose turns to another kind: only one of those that were offered.
func (m *Machine) choose(ctx context.Context, w *walk, k mfa.Kind) error {
	if !slices.Contains(w.state.Kinds, k) {
		return ErrNotAsked
	}
	turn := m.askFor
	if w.Step == StepSetUp {
		turn = m.beginKind
	}
	if err := turn(ctx, w, k); err != nil {
		return err
	}
	return m.sendFirst(ctx, w)
}

// sendFirst sends the code of a step that was just entered, if its kind is sent.
// A flow that begins at a factor sends nothing by itself: any site could lead a
// browser there.
func (m *Machine) sendFirst(ctx context.Context, w *walk) error {
	if w.done || w.state.Kind != mfa.Email && w.state.Kind != mfa.SMS {
		return nil
	}
	return m.send(ctx, w)
}

// send sends a code. That too many were sent is part of the page, not an error.
func (m *Machine) send(ctx context.Context, w *walk) error {
	purpose := mfa.SignIn
	if w.state.Step == StepSetUp {
		purpose = mfa.SetUp
	}
	sent, err := m.Factors.Send(ctx, mfa.Delivery{Who: w.who, Kind: w.state.Kind, Purpose: purpose, Challenge: w.ID})
	var wait *mfa.WaitError
	switch {
	case errors.As(err, &wait):
		next := Sent{Again: m.Now().Add(wait.RetryAfter)}
		if before := w.state.Sent; before != nil {
			next.To = before.To
		}
		w.state.Sent = &next
		return nil
	case errors.Is(err, mfa.ErrNotOffered):
		return ErrNotAsked
	case err != nil:
		return err
	}
	w.state.Sent = &Sent{To: sent.To, Again: sent.Again}
	return nil
}

// code checks a code, of a factor that is shown or set up.
func (m *Machine) code(ctx context.Context, w *walk, a Code) error {
	if w.state.Kind == "" || w.state.Kind == mfa.Passkey {
		return ErrNotAsked
	}
	if err := m.count(ctx, w); err != nil {
		return err
	}
	if w.Step == StepSetUp {
		return m.confirm(ctx, w, a)
	}
	proof, err := m.Factors.Check(ctx, mfa.Reply{Who: w.who, Kind: w.state.Kind, Challenge: w.ID, Code: a.Code})
	if err != nil {
		return m.wrong(ctx, w, err)
	}
	w.state.Trust = a.Trust
	return m.shown(ctx, w, proof)
}

// shown goes on after a second factor.
func (m *Machine) shown(ctx context.Context, w *walk, proof mfa.Proof) error {
	w.state.AMR, w.state.Factor = mfa.AMR(w.state.AMR, proof), true
	return m.next(ctx, w)
}

// wrong makes one error of all that is wrong about an answer. A *mfa.WaitError
// stays what it is.
func (m *Machine) wrong(ctx context.Context, w *walk, err error) error {
	var wait *mfa.WaitError
	switch {
	case errors.As(err, &wait):
		m.refused(ctx, w, reasonWaiting)
		return err
	case errors.Is(err, mfa.ErrTooManyTries):
		m.refused(ctx, w, reasonTries)
		return ErrTooManyTries
	case errors.Is(err, mfa.ErrWrong), errors.Is(err, mfa.ErrStale), errors.Is(err, mfa.ErrNotOffered):
		m.refused(ctx, w, reasonFactor)
		return ErrWrongCode
	}
	return err
}

// passkey checks a browser's answer to a passkey challenge.
func (m *Machine) passkey(ctx context.Context, w *walk, a Passkey) error {
	if len(w.state.Ceremony) == 0 || w.Step != StepPassword && w.state.Kind != mfa.Passkey {
		return ErrNotAsked
	}
	if err := m.count(ctx, w); err != nil {
		return err
	}
	switch w.Step {
	case StepPassword:
		return m.passkeyAlone(ctx, w, a)
	case StepSetUp:
		return m.register(ctx, w, a)
	}
	proof, err := m.Factors.AnswerPasskey(ctx, w.who, w.state.Ceremony, a.Response)
	if err != nil {
		return m.again(ctx, w, m.wrong(ctx, w, err))
	}
	w.state.Trust = a.Trust
	return m.shown(ctx, w, proof)
}

// again begins a new challenge after a wrong answer to the last one, and returns
// err, or ErrMoved.
func (m *Machine) again(ctx context.Context, w *walk, err error) error {
	if !errors.Is(err, ErrWrongCode) && !errors.Is(err, ErrRefused) {
		return err
	}
	var begun error
	switch w.Step {
	case StepPassword:
		begun = m.askAnybody(w)
	case StepFactor:
		begun = m.askFor(ctx, w, mfa.Passkey)
	default:
		begun = m.beginKind(ctx, w, mfa.Passkey)
	}
	if begun == nil {
		begun = m.advance(ctx, &w.Pending)
	}
	if begun != nil {
		return begun
	}
	return err
}

// passkeyAlone signs in whoever the passkey says it is. The account's count of
// wrong passwords does not matter to it: a signature cannot be guessed, so that
// it works also while a stranger makes the account wait.
func (m *Machine) passkeyAlone(ctx context.Context, w *walk, a Passkey) error {
	proof, err := m.Factors.AnswerAnybody(ctx, w.state.Ceremony, a.Response)
	if err != nil {
		if err = m.wrong(ctx, w, err); errors.Is(err, ErrWrongCode) {
			err = ErrRefused
		}
		return m.again(ctx, w, err)
	}
	user, err := m.Pool.Get(ctx, proof.UserID)
	if errors.Is(err, pool.ErrNotFound) || err == nil && !user.Enabled {
		m.refused(ctx, w, reasonDisabled)
		return m.again(ctx, w, ErrRefused)
	}
	if err != nil {
		return err
	}
	if err := m.person(ctx, &w.Pending, user); err != nil {
		return err
	}
	st := &w.state
	st.UserID, st.PasswordSet, st.AMR = user.ID, user.PasswordSet, mfa.AMR(nil, proof)
	return m.next(ctx, w)
}
