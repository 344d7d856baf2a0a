package mfa

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"gatehouse/internal/audit"
	"gatehouse/internal/keyring"
)

var (
	// ErrWrong means that an answer is not right, was used before, or is too
	// late. People are told no more than that.
	ErrWrong = errors.New("wrong code")
	// ErrStale means that a set-up or ceremony is of somebody else, has ended or
	// was used: the person begins it again.
	ErrStale = errors.New("set-up or challenge has ended")
	// ErrTooManyTries means that this challenge takes no more answers.
	ErrTooManyTries = errors.New("too many answers")
	// ErrNotFound means that there is no such factor, passkey or device.
	ErrNotFound = errors.New("no such factor")
	// ErrExists means that the passkey is registered already, or that the person
	// has a factor of a kind that there is one of.
	ErrExists = errors.New("factor is there already")
	// ErrLimit means that the person has as many passkeys as there may be.
	ErrLimit = errors.New("too many passkeys")
	// ErrNotOffered means a kind that is not configured, or that this person
	// cannot use.
	ErrNotOffered = errors.New("factor is not offered")
	// ErrLastFactor means that the person needs a second factor and this is the
	// last one.
	ErrLastFactor = errors.New("the last factor cannot be removed")
	// ErrName means a name that is empty, too long or not plain text.
	ErrName = errors.New("name of a factor is 1 to 64 characters of text")
)

// WaitError means that the account takes no code, or is sent none, for a while.
type WaitError struct{ RetryAfter time.Duration }

// Error says so in a sentence.
func (e *WaitError) Error() string { return fmt.Sprintf("try again in %s", e.RetryAfter) }

const (
	// tryWindow is how long an account waits after AccountTries wrong codes.
	tryWindow = time.Hour
	// MaxName is how many characters the name of a factor has at most.
	MaxName = 64
)

// Parts are what Factors is made of. All are required but Mail, SMS and Now.
type Parts struct {
	People   People
	Secrets  Secrets
	Seals    Seals
	Recovery RecoveryCodes
	Sent     SentCodes
	Passkeys Passkeys
	Devices  Devices
	Counts   Counts
	Spent    Spent
	Ender    Ender
	Journal  audit.Journal
	Sealer   *keyring.Sealer
	// Issuer is the provider's URL: its host is the relying-party id of
	// passkeys, its origin the only one they are taken from. At an IP address
	// there are no passkeys (WebAuthn §5.1.3), so they are not offered.
	Issuer *url.URL
	// Mail and SMS send codes; without one its kind is not offered.
	Mail, SMS Messenger
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Factors is the second factors of all people. It is safe for concurrent use.
type Factors struct {
	cfg Config
	has Parts
	// rp verifies passkeys; nil when the issuer can have none.
	rp *webauthn.WebAuthn
}

// New returns Factors; it starts nothing.
func New(cfg Config, p Parts) *Factors {
	if p.Now == nil {
		p.Now = time.Now
	}
	return &Factors{cfg: cfg, has: p, rp: relyingParty(p.Issuer)}
}

// Person is whose factors they are, as the account says, never as a request
// does.
type Person struct {
	// ID is the user's id.
	ID string
	// Name is what the person signs in with; it stands in authenticator apps and
	// beside passkeys.
	Name string
	// Email is the verified e-mail address, Phone the verified number; "" if
	// there is none.
	Email, Phone string
	Groups       []string
	// Locale is the language the person reads, "" if unknown.
	Locale string
}

// Factor is one enrolled factor.
type Factor struct {
	Kind Kind
	// ID tells passkeys apart; "" for every other kind.
	ID string
	// Name is what the person called it; perhaps "".
	Name string
	// Created is when it was set up; Used when it was last shown, zero if never.
	Created, Used time.Time
}

// Set is what a person has enrolled, of the kinds that are configured.
type Set struct {
	UserID string
	// Factors are ordered: passkeys first, the kinds that are easiest to phish
	// last; within a kind the oldest first. Recovery codes are one Factor.
	Factors []Factor
	// Preferred is the kind to offer first; "" if none was chosen.
	Preferred Kind
	// RecoveryLeft is how many recovery codes are left.
	RecoveryLeft int
}

// Has reports whether a factor of that kind is enrolled.
func (s Set) Has(k Kind) bool {
	return slices.ContainsFunc(s.Factors, func(f Factor) bool { return f.Kind == k })
}

// Enrolled reports whether there is a second factor: recovery codes alone are
// none.
func (s Set) Enrolled() bool {
	return slices.ContainsFunc(s.Factors, func(f Factor) bool { return f.Kind.strong() })
}

// Of returns what the person has enrolled; nothing for a stranger.
func (f *Factors) Of(ctx context.Context, userID string) (Set, error) {
	set, err := f.all(ctx, userID)
	if err != nil {
		return Set{}, fmt.Errorf("read factors of %s: %w", userID, err)
	}
	set.Factors = slices.DeleteFunc(set.Factors, func(x Factor) bool { return !f.enabled(x.Kind) })
	if !set.Has(set.Preferred) {
		set.Preferred = ""
	}
	return set, nil
}

// all is Of for kinds that are not configured as well.
func (f *Factors) all(ctx context.Context, userID string) (Set, error) {
	state, err := f.has.People.State(ctx, userID)
	if err != nil {
		return Set{}, err
	}
	set := Set{UserID: userID, Preferred: state.Preferred}
	keys, err := f.has.Passkeys.List(ctx, userID)
	if err != nil {
		return Set{}, err
	}
	for _, k := range keys {
		set.Factors = append(set.Factors, Factor{Kind: Passkey, ID: k.ID, Name: k.Name, Created: k.Created, Used: k.Used})
	}
	secrets, err := f.has.Secrets.List(ctx, userID)
	if err != nil {
		return Set{}, err
	}
	for _, s := range secrets {
		set.Factors = append(set.Factors, Factor{Kind: s.Kind, Name: s.Name, Created: s.Created, Used: s.Used})
	}
	slices.SortStableFunc(set.Factors, func(a, b Factor) int {
		return slices.Index(kinds, a.Kind) - slices.Index(kinds, b.Kind)
	})
	set.RecoveryLeft, err = f.has.Recovery.Left(ctx, userID)
	return set, err
}

// enabled reports whether the kind is configured and can work here.
func (f *Factors) enabled(k Kind) bool {
	if f.cfg.Mode == Off || !slices.Contains(f.cfg.Factors, k) {
		return false
	}
	switch k {
	case Passkey:
		return f.rp != nil
	case Email:
		return f.has.Mail != nil
	case SMS:
		return f.has.SMS != nil
	}
	return true
}

// Need is what a sign-in needs besides the first factor.
type Need int

// The needs.
const (
	// Nothing more: there is no second factor and none is demanded.
	Nothing Need = iota
	// Answer: one that is enrolled must be shown.
	Answer
	// Enrol: one is demanded and none is there; it must be set up and shown.
	Enrol
)

// Need returns what the person with that set and those groups needs.
func (f *Factors) Need(set Set, groups []string) Need {
	switch {
	case f.cfg.Mode == Off:
		return Nothing
	case set.Enrolled():
		return Answer
	case f.demanded(groups):
		return Enrol
	}
	return Nothing
}

// demanded reports whether members of groups must have a factor.
func (f *Factors) demanded(groups []string) bool {
	switch f.cfg.Mode {
	case Off:
		return false
	case Required:
		return true
	}
	return slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(f.cfg.Groups, g) })
}

// Offer returns the kinds with which this person can answer now, the preferred
// one first and recovery codes last.
func (f *Factors) Offer(set Set, who Person) []Kind {
	var offer []Kind
	for _, k := range kinds {
		if set.Has(k) && f.usable(k, who) && (k != Recovery || set.RecoveryLeft > 0) {
			offer = append(offer, k)
		}
	}
	if i := slices.Index(offer, set.Preferred); i > 0 {
		offer = slices.Insert(slices.Delete(offer, i, i+1), 0, set.Preferred)
	}
	return offer
}

// Enrollable returns the kinds that this person could set up: every passkey is
// one more, the others are there once. TOTP may be replaced.
func (f *Factors) Enrollable(set Set, who Person) []Kind {
	var list []Kind
	for _, k := range kinds {
		if f.usable(k, who) && k.strong() && (!k.sent() || !set.Has(k)) {
			list = append(list, k)
		}
	}
	return list
}

// usable reports whether who can use the kind at all: it needs an address.
func (f *Factors) usable(k Kind, who Person) bool {
	return f.enabled(k) && (!k.sent() || address(k, who) != "")
}

func address(k Kind, who Person) string {
	if k == SMS {
		return who.Phone
	}
	return who.Email
}
