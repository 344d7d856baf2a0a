package signin

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"gatehouse/idp/mfa"
	"gatehouse/idp/pool"
	"gatehouse/internal/audit"
)

// stepTries is how many answers with a second factor one flow takes, over all
// kinds; sending another code does not begin anew.
const stepTries = 5

// Browser is what sends an answer.
type Browser struct {
	// Secret is what tells the browser that has begun the flow from others.
	Secret string
	// Address is what the answer came from; the zero Addr if unknown.
	Address netip.Addr
	// Device is the token of a remembered device, "" for none; Agent is what the
	// browser calls itself.
	Device, Agent string
}

// Answer is what a person answers to a step: Password, Passkey, Code, Choose,
// Resend, NewPassword or Saved.
type Answer interface{ step(Step) bool }

// Password answers StepPassword.
type Password struct {
	// Username is a username or another name of the person, in any spelling.
	Username, Password string
}

// Passkey answers StepPassword, StepFactor and StepSetUp.
type Passkey struct {
	// Response is the JSON of a PublicKeyCredential, of any size.
	Response []byte
	// Name is what a new passkey is called; "" for none.
	Name string
	// Trust asks for this browser to be remembered.
	Trust bool
}

// Code answers StepFactor and StepSetUp.
type Code struct {
	// Code is what was typed, of any length.
	Code string
	// Name is what a new authenticator app is called; "" for none.
	Name string
	// Trust asks for this browser to be remembered.
	Trust bool
}

// Choose chooses another factor in StepFactor, and the one to set up in
// StepSetUp.
type Choose struct{ Kind mfa.Kind }

// Resend asks for another code in StepFactor and StepSetUp.
type Resend struct{}

// NewPassword answers StepNewPassword.
type NewPassword struct{ Password string }

// Saved answers StepCodes.
type Saved struct{}

func (Password) step(s Step) bool    { return s == StepPassword }
func (Passkey) step(s Step) bool     { return s == StepPassword || s == StepFactor || s == StepSetUp }
func (Code) step(s Step) bool        { return s == StepFactor || s == StepSetUp }
func (Choose) step(s Step) bool      { return s == StepFactor || s == StepSetUp }
func (Resend) step(s Step) bool      { return s == StepFactor || s == StepSetUp }
func (NewPassword) step(s Step) bool { return s == StepNewPassword }
func (Saved) step(s Step) bool       { return s == StepCodes }

// Done is a complete sign-in. It has no effect until it is closed.
type Done struct {
	Pending Pending
	// Browser is the secret of the browser that gave the answers.
	Browser string
	User    pool.User
	// AuthTime is when the person proved who they are; AMR is how (RFC 8176).
	// For a session that was stepped up it is when that one began: a second
	// factor alone makes no sign-in younger.
	AuthTime time.Time
	AMR      []string
}

// Next is what follows from an answer.
type Next struct {
	// Done is a complete sign-in; nil when the flow's next page follows.
	Done *Done
	// Device is the new token of a remembered device, which the browser must
	// get; "" for none.
	Device string
}

// Answer takes an answer to a flow that Find has returned for this browser. On
// an error the flow waits for the same step, perhaps with another challenge.
// It returns ErrRefused, ErrWrongCode, ErrTooManyTries, ErrMoved, ErrNotAsked,
// ErrResetRequired, ErrPassword, ErrNoFactor, ErrUnmet, ErrFlowNotFound, ErrBusy,
// a *LimitedError, a *mfa.WaitError, or an error of the store.
func (m *Machine) Answer(ctx context.Context, p Pending, b Browser, a Answer) (Next, error) {
	if !a.step(p.Step) {
		return Next{}, ErrNotAsked
	}
	actor := audit.Actor{Name: p.Username}
	if b.Address.IsValid() {
		actor.IP = b.Address.String()
	}
	w := &walk{Pending: p, browser: b}
	if err := m.take(audit.WithActor(ctx, actor), w, a); err != nil {
		return Next{}, err
	}
	if !w.done {
		return Next{Device: w.device}, m.advance(ctx, &w.Pending)
	}
	return m.finish(ctx, w)
}

// walk is one answer on its way through the machine.
type walk struct {
	Pending
	browser Browser
	// device is a new token for the browser.
	device string
	// skip tells that the browser is a device that need not show a factor.
	skip bool
	// done tells that nothing is missing.
	done bool
}

func (m *Machine) take(ctx context.Context, w *walk, a Answer) error {
	switch a := a.(type) {
	case Password:
		return m.password(ctx, w, a)
	case NewPassword:
		return m.newPassword(ctx, w, a)
	case Code:
		return m.code(ctx, w, a)
	case Passkey:
		return m.passkey(ctx, w, a)
	case Choose:
		return m.choose(ctx, w, a.Kind)
	case Resend:
		return m.send(ctx, w)
	case Saved:
		w.state.Codes = nil
		return m.next(ctx, w)
	}
	return ErrNotAsked
}

// count counts an answer that can be right or wrong, before it is looked at.
func (m *Machine) count(ctx context.Context, w *walk) error {
	tries, err := m.Flows.CountTry(ctx, w.ID)
	if err != nil {
		return fmt.Errorf("count try: %w", err)
	}
	w.flow.Tries = tries
	limit := m.cfg.FlowTries
	if w.Step == StepFactor {
		limit = stepTries
	}
	if tries-w.state.Since > limit {
		m.refused(ctx, w, reasonTries)
		return ErrTooManyTries
	}
	return nil
}

// next is the one place that decides what a sign-in waits for: it looks at what
// was proved, and at nothing that the browser sent.
func (m *Machine) next(ctx context.Context, w *walk) error {
	set, err := m.Factors.Of(ctx, w.user.ID)
	if err != nil {
		return err
	}
	st, need, shown := &w.state, m.Factors.Need(set, w.who.Groups), mfa.Satisfies(w.state.AMR)
	switch {
	// Whoever adds a factor, or chooses a password in the place of one that
	// others know, shows the factor there is first.
	case !shown && set.Enrolled() && (!w.skip || w.Strong || st.Replace || w.Enrol != ""):
		return m.ask(ctx, w, m.Factors.Offer(set, w.who))
	case st.Leaked && !shown:
		// Whoever holds a stolen password must not choose the next one: this
		// person goes by what is mailed.
		m.refused(ctx, w, reasonStolen)
		return ErrResetRequired
	case st.Replace:
		w.enter(StepNewPassword)
		return nil
	case !shown && (need == mfa.Enrol || w.Strong):
		return m.begin(ctx, w, m.Factors.Enrollable(set, w.who))
	case w.Enrol != "" && !st.Enrolled:
		return m.begin(ctx, w, []mfa.Kind{w.Enrol})
	case st.Enrolled && !set.Has(mfa.Recovery):
		return m.recovery(ctx, w)
	}
	w.done = true
	return nil
}

// finish makes a Done of a walk that has nothing left to show.
func (m *Machine) finish(ctx context.Context, w *walk) (Next, error) {
	n := Next{Device: w.device, Done: &Done{
		Pending: w.Pending, Browser: w.browser.Secret, User: w.user, AuthTime: m.Now(), AMR: w.state.AMR,
	}}
	if w.Known != nil {
		n.Done.AuthTime = w.Known.AuthTime
	}
	remember := m.Factors.Remembers()
	if !w.state.Factor || remember == mfa.RememberOff || remember == mfa.RememberOptional && !w.state.Trust {
		return n, nil
	}
	token, _, err := m.Factors.Remember(ctx, w.user.ID, w.browser.Agent)
	if err != nil {
		return Next{}, err
	}
	n.Device = token
	m.Tell(ctx, w.user, Notice{What: DeviceRemembered, Device: w.browser.Agent})
	return n, nil
}
