package mfa

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"gatehouse/internal/audit"
)

const (
	// MaxPasskeys is how many passkeys a person may have.
	MaxPasskeys = 20
	// MaxResponse is how many bytes the answer of a browser may have.
	MaxResponse = 64 << 10
)

// Ceremony is one registration or authentication by passkey that was begun.
type Ceremony struct {
	// Options is JSON for navigator.credentials.create or get: an object with
	// the member publicKey, bytes in base64url.
	Options []byte
	// State is JSON that the caller keeps where the browser cannot change it:
	// the flow. It works once, for CodeLifetime.
	State []byte
}

// The kinds of ceremony: the state of one is worthless to the others.
const (
	ceremonyRegister = "register"
	ceremonyFactor   = "factor"
	ceremonySignIn   = "signin"
)

// ceremony is Ceremony.State.
type ceremony struct {
	Kind string `json:"kind"`
	// UserID is whose it is; "" for a sign-in, which nobody has a name in.
	UserID  string               `json:"user,omitempty"`
	Session webauthn.SessionData `json:"session"`
	Expires time.Time            `json:"expires"`
}

// BeginPasskey begins the registration of a passkey for who. ErrNotOffered,
// ErrLimit.
func (f *Factors) BeginPasskey(ctx context.Context, who Person) (Ceremony, error) {
	if !f.enabled(Passkey) {
		return Ceremony{}, ErrNotOffered
	}
	state, err := f.lock(ctx, who.ID)
	if err != nil {
		return Ceremony{}, fmt.Errorf("begin passkey: %w", err)
	}
	h, err := f.holder(ctx, state, who.Name)
	if err != nil {
		return Ceremony{}, fmt.Errorf("begin passkey: %w", err)
	}
	if len(h.keys) >= MaxPasskeys {
		return Ceremony{}, ErrLimit
	}
	creation, session, err := f.rp.BeginRegistration(h,
		webauthn.WithCredentialParameters(algorithms()),
		webauthn.WithExclusions(webauthn.Credentials(h.keys).CredentialDescriptors()),
		webauthn.WithAuthenticatorSelection(f.selection()))
	if err != nil {
		return Ceremony{}, fmt.Errorf("begin passkey: %w", err)
	}
	return f.begun(ceremonyRegister, who.ID, creation, session)
}

// FinishPasskey stores the passkey that a browser has made for the ceremony of
// who. It ends every session and token of before. ErrStale, ErrWrong, ErrExists,
// ErrLimit, ErrName, ErrNotOffered.
func (f *Factors) FinishPasskey(ctx context.Context, who Person, n NewPasskey) (Proof, error) {
	if !f.enabled(Passkey) {
		return Proof{}, ErrNotOffered
	}
	if n.Name != "" && checkName(n.Name) != nil {
		return Proof{}, ErrName
	}
	c, err := f.resume(n.State, ceremonyRegister)
	if err != nil {
		return Proof{}, err
	}
	if c.UserID != who.ID {
		return Proof{}, ErrStale
	}
	made, err := f.verifyNew(ctx, c, n.Response)
	if err != nil {
		return Proof{}, err
	}
	row, err := stored(who.ID, made)
	if err != nil {
		return Proof{}, fmt.Errorf("add passkey: %w", err)
	}
	row.Name, row.Created, row.Used = n.Name, f.has.Now(), f.has.Now()
	err = f.has.Journal.InTx(ctx, func(ctx context.Context) error {
		if err := f.spend(ctx, []byte(c.Session.Challenge), c.Expires); err != nil {
			return err
		}
		if _, err := f.lock(ctx, who.ID); err != nil {
			return err
		}
		list, err := f.has.Passkeys.List(ctx, who.ID)
		if err != nil {
			return err
		}
		if len(list) >= MaxPasskeys {
			return ErrLimit
		}
		if err := f.has.Passkeys.Insert(ctx, row); err != nil {
			return err
		}
		return f.added(ctx, who.ID, Passkey)
	})
	if err != nil {
		return Proof{}, fmt.Errorf("add passkey of %s: %w", who.ID, err)
	}
	return Proof{UserID: who.ID, Kind: Passkey, Verified: made.Flags.UserVerified}, nil
}

// NewPasskey is a browser's answer to BeginPasskey.
type NewPasskey struct {
	// State is that of the Ceremony.
	State []byte
	// Response is the JSON of a PublicKeyCredential (WebAuthn §5.1,
	// RegistrationResponseJSON), of any size.
	Response []byte
	// Name is what the person calls it; "" for none, else up to MaxName
	// characters.
	Name string
}

// AskPasskey begins to ask who for one of the person's passkeys as a second
// factor. ErrNotOffered when there is none.
func (f *Factors) AskPasskey(ctx context.Context, who Person) (Ceremony, error) {
	if !f.enabled(Passkey) {
		return Ceremony{}, ErrNotOffered
	}
	state, err := f.has.People.State(ctx, who.ID)
	if err != nil {
		return Ceremony{}, fmt.Errorf("ask for passkey: %w", err)
	}
	h, err := f.holder(ctx, state, who.Name)
	if err != nil {
		return Ceremony{}, fmt.Errorf("ask for passkey: %w", err)
	}
	if len(h.keys) == 0 {
		return Ceremony{}, ErrNotOffered
	}
	assertion, session, err := f.rp.BeginLogin(h, webauthn.WithUserVerification(protocol.VerificationPreferred))
	if err != nil {
		return Ceremony{}, fmt.Errorf("ask for passkey: %w", err)
	}
	return f.begun(ceremonyFactor, who.ID, assertion, session)
}

// PasskeySignIn reports whether people may sign in with a passkey alone.
func (f *Factors) PasskeySignIn() bool { return f.cfg.PasskeySignIn && f.enabled(Passkey) }

// AskAnybody begins a sign-in by passkey alone, which must verify the person. It
// takes no name and lists no credentials, so that it is the same for everybody
// and tells nothing of anybody: the passkey says whose it is. ErrNotOffered.
func (f *Factors) AskAnybody() (Ceremony, error) {
	if !f.PasskeySignIn() {
		return Ceremony{}, ErrNotOffered
	}
	assertion, session, err := f.rp.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return Ceremony{}, fmt.Errorf("ask for passkey: %w", err)
	}
	return f.begun(ceremonySignIn, "", assertion, session)
}

// AnswerPasskey checks a browser's answer to AskPasskey for the person who was
// asked: the JSON of a PublicKeyCredential (AuthenticationResponseJSON), of any
// size. Wrong answers are not counted against the account: a signature cannot be
// guessed, and credential ids are no secret, so that anybody could lock the
// passkeys of anybody. ErrStale, ErrWrong, ErrNotOffered.
func (f *Factors) AnswerPasskey(ctx context.Context, who Person, state, response []byte) (Proof, error) {
	if !f.enabled(Passkey) {
		return Proof{}, ErrNotOffered
	}
	c, err := f.resume(state, ceremonyFactor)
	if err != nil {
		return Proof{}, err
	}
	if c.UserID != who.ID {
		return Proof{}, ErrStale
	}
	return f.answered(ctx, c, response)
}

// AnswerAnybody checks a browser's answer to AskAnybody. The proof says who it
// is; whether that person may sign in is for the caller to ask. ErrStale,
// ErrWrong, ErrNotOffered.
func (f *Factors) AnswerAnybody(ctx context.Context, state, response []byte) (Proof, error) {
	if !f.PasskeySignIn() {
		return Proof{}, ErrNotOffered
	}
	c, err := f.resume(state, ceremonySignIn)
	if err != nil {
		return Proof{}, err
	}
	return f.answered(ctx, c, response)
}

// answered verifies the response, then uses up the challenge and moves the
// counter in one transaction.
func (f *Factors) answered(ctx context.Context, c ceremony, response []byte) (Proof, error) {
	a, err := f.verifyAnswer(ctx, c, response)
	if err != nil {
		return Proof{}, err
	}
	if a.key.Authenticator.CloneWarning {
		return Proof{}, f.clone(ctx, a.row)
	}
	row, err := stored(a.row.UserID, a.key)
	if err != nil {
		return Proof{}, fmt.Errorf("use passkey: %w", err)
	}
	row.Used = f.has.Now()
	err = f.has.Journal.InTx(ctx, func(ctx context.Context) error {
		if err := f.spend(ctx, []byte(c.Session.Challenge), c.Expires); err != nil {
			return err
		}
		won, err := f.has.Passkeys.Advance(ctx, row)
		if err == nil && !won {
			err = ErrWrong
		}
		return err
	})
	if err != nil {
		return Proof{}, fmt.Errorf("use passkey: %w", err)
	}
	return Proof{UserID: row.UserID, Kind: Passkey, Verified: a.verified}, nil
}

// clone records that a signature counter went back: two authenticators hold one
// key, or somebody plays an old answer again. It returns ErrWrong.
func (f *Factors) clone(ctx context.Context, row Credential) error {
	err := f.has.Journal.Append(ctx, audit.Event{
		Type: "passkey.clone_suspected", Target: row.UserID, Detail: map[string]string{"id": row.ID, "name": row.Name},
	})
	return errors.Join(fmt.Errorf("%w: signature counter went back", ErrWrong), err)
}

// begun puts a Ceremony together.
func (f *Factors) begun(kind, userID string, options any, session *webauthn.SessionData) (Ceremony, error) {
	shown, err := json.Marshal(options)
	if err != nil {
		return Ceremony{}, fmt.Errorf("begin ceremony: %w", err)
	}
	state, err := json.Marshal(ceremony{Kind: kind, UserID: userID, Session: *session, Expires: f.has.Now().Add(f.cfg.CodeLifetime)})
	if err != nil {
		return Ceremony{}, fmt.Errorf("begin ceremony: %w", err)
	}
	return Ceremony{Options: shown, State: state}, nil
}

// resume reads a state of that kind; ErrStale.
func (f *Factors) resume(state []byte, kind string) (ceremony, error) {
	var c ceremony
	if err := json.Unmarshal(state, &c); err != nil || c.Kind != kind || !f.has.Now().Before(c.Expires) {
		return ceremony{}, ErrStale
	}
	return c, nil
}
