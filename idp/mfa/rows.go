package mfa

import (
	"context"
	"time"
)

// State is what is kept of a person besides factors.
type State struct {
	UserID string
	// Handle is the user handle of passkeys: 32 random bytes in base64url. It is
	// not the sub claim, which clients see.
	Handle string
	// Preferred is the kind to be offered first; "" is none.
	Preferred Kind
}

// People keeps one State a person.
type People interface {
	// Lock stores s unless there is a state of that person, and returns what is
	// stored. Inside a transaction no other caller's Lock of the same person
	// returns until it has ended.
	Lock(ctx context.Context, s State) (State, error)
	// State returns the state of a person; without one, one with UserID only.
	State(ctx context.Context, userID string) (State, error)
	// ByHandle returns the state with that handle, or ErrNotFound.
	ByHandle(ctx context.Context, handle string) (State, error)
	// Prefer sets the preferred kind, or "". There must be a state.
	Prefer(ctx context.Context, userID string, k Kind) error
}

// Secret is a factor that is not a passkey, one of each kind a person.
type Secret struct {
	UserID string
	Kind   Kind
	// Sealed is the TOTP secret or the key of the recovery codes; empty for
	// e-mail and SMS, whose address the account has.
	Sealed []byte
	Name   string
	// Step is the newest TOTP time step that was used; older ones are refused.
	Step          int64
	Created, Used time.Time
}

// Secrets keeps Secrets by person and kind.
type Secrets interface {
	// Put stores s, in the place of one of the same person and kind.
	Put(ctx context.Context, s Secret) error
	// List returns the secrets of a person, in no order.
	List(ctx context.Context, userID string) ([]Secret, error)
	// Delete removes a secret and reports whether it was there.
	Delete(ctx context.Context, userID string, k Kind) (bool, error)
	// Advance moves Step forward to step and sets Used, if s is still the secret
	// with that Sealed and its Step is below. It reports whether it did: of all
	// callers with the same step, to one.
	Advance(ctx context.Context, s Secret, step int64) (bool, error)
	// Touch sets Used to now.
	Touch(ctx context.Context, userID string, k Kind, now time.Time) error
}

// Seals are the secrets of many people: what is sealed again after a rotation,
// and what is brought along and taken away.
type Seals interface {
	// Add stores secrets of people who have none of that kind, all or none;
	// ErrExists when somebody has one.
	Add(ctx context.Context, all []Secret) error
	// Of returns the secrets of kind k of people, in no order.
	Of(ctx context.Context, k Kind, userIDs []string) ([]Secret, error)
	// Sealed returns up to limit secrets with a Sealed that follow after, by
	// person and kind.
	Sealed(ctx context.Context, after Secret, limit int) ([]Secret, error)
	// Reseal replaces the Sealed of was by sealed, if it is still what was says.
	Reseal(ctx context.Context, was Secret, sealed []byte) error
}

// RecoveryCodes keeps the hashes of recovery codes.
type RecoveryCodes interface {
	// Replace stores hashes in the place of all there were; none removes all.
	Replace(ctx context.Context, userID string, hashes []string) error
	// Take removes the hash and reports whether it was there: to one of all
	// callers.
	Take(ctx context.Context, userID, hash string) (bool, error)
	// Left returns how many there are.
	Left(ctx context.Context, userID string) (int, error)
}

// SentKey is what a sent code is for. There is one code a key.
type SentKey struct {
	UserID  string
	Kind    Kind
	Purpose Purpose
}

// SentCode is a code that was sent and not yet used.
type SentCode struct {
	SentKey
	// Challenge is the flow that may use it.
	Challenge string
	Hash      string
	// To is a hash of where it was sent.
	To string
	// Tries counts the answers to this Challenge.
	Tries            int
	Created, Expires time.Time
}

// SentCodes keeps the codes that were sent.
type SentCodes interface {
	// Put stores c in the place of the code of the same key. Tries go on from
	// that code if it has the same Challenge, else from 0.
	Put(ctx context.Context, c SentCode) error
	// Try raises the tries of the code of that key and challenge and returns it
	// as it is then, in one statement; ErrNotFound.
	Try(ctx context.Context, k SentKey, challenge string) (SentCode, error)
	// Take removes the code if its hash is still the same, and reports whether
	// it did: to one of all callers.
	Take(ctx context.Context, c SentCode) (bool, error)
	// Drop removes all codes of a person.
	Drop(ctx context.Context, userID string) error
}

// Credential is a stored passkey.
type Credential struct {
	// ID is the credential id in base64url without padding.
	ID     string
	UserID string
	Name   string
	// Data is the public half as the ceremony left it, in JSON; without the
	// counter, which is Counter.
	Data []byte
	// Counter is the authenticator's signature counter; 0 if it has none.
	Counter       uint32
	Created, Used time.Time
}

// Passkeys keeps Credentials. An id belongs to one person.
type Passkeys interface {
	// Insert stores c; ErrExists when anybody has one of that id.
	Insert(ctx context.Context, c Credential) error
	// List returns the passkeys of a person, the oldest first.
	List(ctx context.Context, userID string) ([]Credential, error)
	// Advance sets Data, Counter and Used of c, if the stored counter is below
	// c.Counter, or both are 0. It reports whether it did.
	Advance(ctx context.Context, c Credential) (bool, error)
	// Rename sets the name and reports whether the person has that passkey.
	Rename(ctx context.Context, userID, id, name string) (bool, error)
	// Delete removes a passkey and reports whether the person had it.
	Delete(ctx context.Context, userID, id string) (bool, error)
}

// Device is a browser on which a person need not show a second factor.
type Device struct {
	// ID names it in lists; it opens nothing.
	ID     string
	UserID string
	// Hash is the SHA-256 of its token in base64url.
	Hash string
	// Name is the user agent, at most 200 bytes.
	Name string
	// Failures counts the tries since it was last used.
	Failures               int
	Created, Used, Expires time.Time
}

// Rotation replaces the token of a device.
type Rotation struct {
	UserID string
	// Old and New are hashes of tokens.
	Old, New string
	Now      time.Time
}

// Devices keeps Devices.
type Devices interface {
	// Insert stores d, and removes the devices of the person that were not used
	// for longest until there are at most limit.
	Insert(ctx context.Context, d Device, limit int) error
	// Rotate replaces the hash of a device that has not expired, sets Used and
	// clears Failures, in one statement, and returns the device; ErrNotFound. Of
	// all callers with the same Old one succeeds.
	Rotate(ctx context.Context, r Rotation) (Device, error)
	// Try raises the failures of a device that has not expired and returns it as
	// it is then, in one statement; ErrNotFound.
	Try(ctx context.Context, userID, hash string, now time.Time) (Device, error)
	// List returns the devices of a person, the last used first.
	List(ctx context.Context, userID string) ([]Device, error)
	// Delete removes a device and reports whether the person had it.
	Delete(ctx context.Context, userID, id string) (bool, error)
}

// Count is something that may happen a number of times.
type Count struct {
	// Key is what is counted, of whom.
	Key string
	Now time.Time
	// Max is how many may be counted until none was for Window.
	Max    int
	Window time.Duration
	// Gap is how long after one the next may be counted; 0 for at once.
	Gap time.Duration
}

// Counts keeps counts. They outlive flows and restarts.
type Counts interface {
	// Raise counts one, unless Max are counted already or Gap has not passed, in
	// one step. It returns how long to wait: zero means that it was counted.
	// What is refused neither counts nor makes the wait longer.
	Raise(ctx context.Context, c Count) (time.Duration, error)
	// Clear forgets a count.
	Clear(ctx context.Context, key string) error
}

// Spent keeps what has been used and must not be used again.
type Spent interface {
	// Spend marks hash until then and reports whether it was not marked before:
	// to one of all callers.
	Spend(ctx context.Context, hash string, until time.Time) (bool, error)
}

// Ender ends what a person has running (provider sessions, authorization codes
// and refresh families) and forgets the person's devices.
type Ender interface {
	EndUser(ctx context.Context, userID string) error
}

// Purpose is what a sent code is asked for.
type Purpose string

// The purposes.
const (
	// SignIn is to show the factor.
	SignIn Purpose = "signin"
	// SetUp is to show that the address can be read, before it is a factor.
	SetUp Purpose = "setup"
)

// Message is a code on its way.
type Message struct {
	UserID string
	// Kind is Email or SMS, To the address or number.
	Kind Kind
	To   string
	// Code is six digits: a secret, not to be logged.
	Code    string
	Purpose Purpose
	Expires time.Time
	// Locale is the language the person reads, "" if unknown.
	Locale string
}

// Messenger takes messages and delivers them later.
type Messenger interface {
	// Send keeps m, sealed, in the transaction of ctx: when that is rolled back
	// nothing was sent.
	Send(ctx context.Context, m Message) error
}
