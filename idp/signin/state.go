package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"gatehouse/idp/mfa"
	"gatehouse/idp/pool"
)

// Step is what a flow waits for.
type Step string

// The steps, in the order in which a sign-in comes to them. Which of them it
// comes to is decided by Machine.next and nowhere else.
const (
	// StepPassword waits for a name and a password (Password), or for a passkey
	// alone (Passkey).
	StepPassword Step = "password"
	// StepFactor waits for a second factor: Code or Passkey, Choose another one,
	// or Resend.
	StepFactor Step = "factor"
	// StepNewPassword waits for a password of the person's own (NewPassword).
	StepNewPassword Step = "new-password"
	// StepSetUp waits for a second factor to be set up: Choose, then Code or
	// Passkey.
	StepSetUp Step = "set-up"
	// StepCodes shows recovery codes until they are kept (Saved).
	StepCodes Step = "recovery-codes"
)

// state is what a flow has come to. It is sealed beside what waits for it, and
// only ever replaced by the one that follows from it (Flows.Advance).
type state struct {
	// Serial counts the states of a flow; forms are bound to it.
	Serial int  `json:"serial"`
	Step   Step `json:"step"`
	// Since is how many answers the flow had taken when it came to Step.
	Since int `json:"since,omitempty"`
	// UserID is whose sign-in it is, "" until a password or a passkey has said
	// so; PasswordSet is the age of the password then: with another one, the
	// flow is worth nothing.
	UserID      string    `json:"user,omitempty"`
	PasswordSet time.Time `json:"password_set,omitzero"`
	// AMR is what was proved so far.
	AMR []string `json:"amr,omitempty"`
	// Kind is the factor that is asked for or set up, "" while it is to be
	// chosen from Kinds.
	Kind  mfa.Kind   `json:"kind,omitempty"`
	Kinds []mfa.Kind `json:"kinds,omitempty"`
	// Options is what a browser is asked for a passkey; Ceremony is the passkey
	// challenge, or the secret of an authenticator app that is being set up.
	Options  []byte `json:"options,omitempty"`
	Ceremony []byte `json:"ceremony,omitempty"`
	// Sent says where the code went; nil before.
	Sent *Sent `json:"sent,omitempty"`
	// Codes are recovery codes to be shown.
	Codes []string `json:"codes,omitempty"`
	// Replace demands a new password, Leaked because the old one is in the hands
	// of others; Enrolled says that a factor was set up,
	// Factor that a second factor was shown, Trust that the browser is to be
	// remembered.
	Replace  bool `json:"replace,omitempty"`
	Leaked   bool `json:"leaked,omitempty"`
	Enrolled bool `json:"enrolled,omitempty"`
	Factor   bool `json:"factor,omitempty"`
	Trust    bool `json:"trust,omitempty"`
}

// Sent says where a code went, or why none did.
type Sent struct {
	// To is where, mostly hidden; "" when none was sent, because too many were.
	To string `json:"to,omitempty"`
	// Again is when another may be asked for.
	Again time.Time `json:"again"`
}

// saved is what Flow.Data seals.
type saved struct {
	Ask   Ask   `json:"ask"`
	State state `json:"state"`
}

// Pending is a flow that a browser has begun, and what a page of it shows.
type Pending struct {
	Ask
	ID      string
	Created time.Time
	// Serial counts the steps: the answer to an older page has an older one.
	Serial int
	Step   Step
	// Username is whose sign-in it is, "" in StepPassword.
	Username string
	// Kind is the factor asked for or set up, "" while it is to be chosen; Kinds
	// are all that may be chosen.
	Kind  mfa.Kind
	Kinds []mfa.Kind
	// Options is JSON for navigator.credentials, when a passkey may answer.
	Options []byte
	// TOTP is what an authenticator app is set up with.
	TOTP *mfa.TOTPSetup
	// Sent says where the code went; nil if none was asked for.
	Sent *Sent
	// Codes are recovery codes to be kept.
	Codes []string
	// Leaked tells that the password must be replaced because it was stolen, and
	// not because somebody else has set it.
	Leaked bool
	// MayTrust tells that the person may choose to have this browser remembered.
	MayTrust bool

	flow  Flow
	state state
	user  pool.User
	who   mfa.Person
}

// Demands reports whether the session that is stepped up must still be there.
func (p Pending) Demands() string {
	if p.Known == nil || p.state.Enrolled {
		return ""
	}
	return p.Known.Session
}

// view fills in what the page of p shows, for whom.
func (m *Machine) view(ctx context.Context, p *Pending) error {
	st := &p.state
	p.Serial, p.Step, p.Kind, p.Kinds, p.Options, p.Sent, p.Codes = st.Serial, st.Step, st.Kind, st.Kinds, st.Options, st.Sent, st.Codes
	if st.UserID == "" {
		return nil
	}
	if err := m.whose(ctx, p); err != nil {
		return err
	}
	p.Username, p.Leaked = p.user.Username, st.Leaked
	p.MayTrust = st.Step == StepFactor && m.Factors.Remembers() == mfa.RememberOptional
	if st.Step != StepSetUp || st.Kind != mfa.TOTP {
		return nil
	}
	setup, err := m.Factors.ShowTOTP(p.who, st.Ceremony)
	if errors.Is(err, mfa.ErrStale) {
		return ErrFlowNotFound
	}
	p.TOTP = &setup
	return err
}

// whose reads the person of p. Somebody who was disabled or deleted since, or
// has another password now, has no flow any more: what it has proved is worth
// nothing.
func (m *Machine) whose(ctx context.Context, p *Pending) error {
	user, err := m.Pool.Get(ctx, p.state.UserID)
	if errors.Is(err, pool.ErrNotFound) || err == nil && (!user.Enabled || !user.PasswordSet.Equal(p.state.PasswordSet)) {
		return ErrFlowNotFound
	}
	if err != nil {
		return fmt.Errorf("find user of sign-in: %w", err)
	}
	return m.person(ctx, p, user)
}

// person fills in p with user, and whose factors are looked for.
func (m *Machine) person(ctx context.Context, p *Pending, user pool.User) error {
	groups, err := m.Pool.GroupsOf(ctx, user.ID)
	if err != nil {
		return fmt.Errorf("find user of sign-in: %w", err)
	}
	p.user, p.who = user, Person(user, groups)
	return nil
}

// Person is how the second factors know a user: by addresses that were verified
// and no others.
func Person(u pool.User, groups []pool.Group) mfa.Person {
	who := mfa.Person{ID: u.ID, Name: u.Username, Groups: pool.Names(groups), Locale: u.Attribute("locale")}
	if u.EmailVerified {
		who.Email = u.Email
	}
	if u.PhoneVerified {
		who.Phone = u.Phone
	}
	return who
}

// enter makes s the step that p waits in, with nothing left of the one before.
func (p *Pending) enter(s Step) {
	st := &p.state
	st.Step, st.Since = s, p.flow.Tries
	st.Kinds, st.Codes = nil, nil
	p.forKind("")
}

// forKind makes k the factor of the step.
func (p *Pending) forKind(k mfa.Kind) {
	st := &p.state
	st.Kind, st.Options, st.Ceremony, st.Sent = k, nil, nil, nil
}

// advance writes the state of p over the one it came from. ErrMoved when the
// flow has gone on from there already.
func (m *Machine) advance(ctx context.Context, p *Pending) error {
	p.state.Serial++
	data, err := m.seal(p.ID, saved{Ask: p.Ask, State: p.state})
	if err != nil {
		return err
	}
	won, err := m.Flows.Advance(ctx, p.flow, data)
	if err != nil {
		return err
	}
	if !won {
		return ErrMoved
	}
	return nil
}

func (m *Machine) seal(id string, s saved) ([]byte, error) {
	plain, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode flow: %w", err)
	}
	return m.Sealer.Seal(plain, sealPurpose, "flow", "data", id)
}

func (m *Machine) open(f Flow) (saved, error) {
	var s saved
	plain, err := m.Sealer.Open(f.Data, sealPurpose, "flow", "data", f.ID)
	if err != nil {
		return s, fmt.Errorf("open flow: %w", err)
	}
	if err := json.Unmarshal(plain, &s); err != nil {
		return s, fmt.Errorf("decode flow: %w", err)
	}
	return s, nil
}
