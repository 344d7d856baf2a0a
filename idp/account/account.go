package account

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gatehouse/idp/password"
	"gatehouse/idp/pool"
	"gatehouse/idp/risk"
	"gatehouse/internal/audit"
	"gatehouse/internal/opaque"
)

const (
	// codeTries is how many answers a code takes.
	codeTries = 5
	// addressTries is how many codes of sign-ups may be tried for one address in
	// addressWindow: whoever signs up again and again with somebody else's would
	// have five each time. The owner's links are not counted.
	addressTries  = 10
	addressWindow = 24 * time.Hour
	// codeDigits is how long a code is whose tries are bounded for an account or
	// an address. contactDigits is more: everybody who is signed in may try for
	// the same address.
	codeDigits    = 6
	contactDigits = 8
	// resetDigits is as long: whoever has a list of names may try for each of them.
	// Five answers to each of resetCodes in resetWindow are 25 of a hundred million.
	resetDigits = 8
	resetCodes  = 5
	resetWindow = 24 * time.Hour
	// contactTries is how many codes to new addresses a person may try in an
	// hour, however many were sent.
	contactTries = 10
	// sprayTries is how many wrong codes of sign-ups by e-mail are taken in an hour
	// from everybody together. Five tries are few for one code of six digits, but
	// not for whoever signs up a million times, each time from another network for
	// another address of the domain that a rule trusts. Links go on.
	sprayTries = 200
	// nameTries is how many usernames whoever has shown an address may try in an
	// hour: more than people need who look for a free one, and too few to go
	// through a list of names for those that are taken.
	nameTries = 20
	// locale is the attribute that says which language a person reads.
	locale = "locale"
	// pause is how long somebody waits before the same is sent once more.
	pause = time.Minute
	hour  = time.Hour
)

// Factors tells of people's second factors.
type Factors interface {
	// Over returns the channels over which codes of a second factor go to that user;
	// none for a stranger, for the same work.
	Over(ctx context.Context, userID string) ([]Channel, error)
}

// Parts are what Accounts is made of. Only Now may be nil.
type Parts struct {
	Pool        *pool.Pool
	Hasher      *password.Hasher
	SignUps     SignUps
	Unconfirmed Unconfirmed
	Codes       Codes
	Limits      Limits
	Journal     audit.Journal
	Messenger   Messenger
	// Guard bounds guesses at the password of somebody who is signed in; it is that
	// of signing in.
	Guard   *risk.Guard
	Factors Factors
	// Key is the key of all HMACs that are made here: 32 bytes, used for nothing
	// else.
	Key []byte
	// Held returns the keys that may have made what was sent and counted, besides
	// Key, newest first: of before the sealing key was rotated, and of processes
	// that were started after that.
	Held func() [][]byte
	Now  func() time.Time
}

// Accounts lets people in and out of accounts. It is safe for concurrent use.
type Accounts struct {
	has Parts
	cfg Config
}

// New returns Accounts; it starts nothing.
func New(cfg Config, p Parts) *Accounts {
	if p.Now == nil {
		p.Now = time.Now
	}
	return &Accounts{has: p, cfg: cfg}
}

// SignUpOpen tells whether people may sign up.
func (a *Accounts) SignUpOpen() bool { return a.cfg.SignUp == Open }

// DeleteOpen tells whether people may delete their own account.
func (a *Accounts) DeleteOpen() bool { return a.cfg.Delete }

// Can tells whether people can verify what they are reached by over a channel.
func (a *Accounts) Can(c Channel) bool { return a.has.Messenger.Has(c) }

// ConfirmWithin is how long a sign-up waits for its confirmation.
func (a *Accounts) ConfirmWithin() time.Duration { return a.cfg.ConfirmWithin }

// ResetWithin is how long what people are sent works who have forgotten their
// password.
func (a *Accounts) ResetWithin() time.Duration { return a.cfg.ResetWithin }

// Attributes returns what people may write of themselves on the provider's pages.
func (a *Accounts) Attributes() []string { return slices.Clone(a.cfg.Attributes) }

// SignedIn makes worthless what was sent to somebody who had forgotten their
// password. Call it in the transaction of a sign-in.
func (a *Accounts) SignedIn(ctx context.Context, userID string) error {
	return a.drop(ctx, userID, ForReset, ForResetCode)
}

func (a *Accounts) drop(ctx context.Context, owner string, purposes ...Purpose) error {
	for _, p := range purposes {
		if err := a.has.Codes.Drop(ctx, p, owner); err != nil {
			return fmt.Errorf("drop codes: %w", err)
		}
	}
	return nil
}

// network counts a request from an address, and returns a *LimitedError when
// there were too many.
func (a *Accounts) network(ctx context.Context, what string, from netip.Addr) error {
	n, ends, err := a.raise(ctx, hour, "network", what, risk.Network(from).String())
	if err != nil {
		return err
	}
	if n > a.cfg.NetworkPerHour {
		return &LimitedError{RetryAfter: ends.Sub(a.has.Now())}
	}
	return nil
}

// raise counts one more of what parts name, and returns how many there are. It
// counts under every key that is held, or a new sealing key would begin all counts
// anew. A window that begins under one while another goes on ends with that: there
// would always be one that goes on, for who asks often enough.
func (a *Accounts) raise(ctx context.Context, window time.Duration, parts ...string) (most int, ends time.Time, err error) {
	now := a.has.Now()
	for _, key := range a.limitKeys(parts) {
		n, end, err := a.has.Limits.Raise(ctx, key, now, window)
		if err != nil {
			return 0, time.Time{}, fmt.Errorf("count request: %w", err)
		}
		if n > most {
			most, ends = n, end
		}
		if n > 1 {
			window = min(window, end.Sub(now))
		}
	}
	return most, ends, nil
}

// lower takes back one of what parts name.
func (a *Accounts) lower(ctx context.Context, parts ...string) error {
	for _, key := range a.limitKeys(parts) {
		if err := a.has.Limits.Lower(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// limitKeys are the keys of a count, that of the oldest sealing key first: what
// people typed does not become the text of a row.
func (a *Accounts) limitKeys(parts []string) []string {
	held := a.has.Held()
	if !slices.ContainsFunc(held, func(key []byte) bool { return hmac.Equal(key, a.has.Key) }) {
		held = slices.Concat(held, [][]byte{a.has.Key})
	}
	parts = slices.Concat([]string{"limit"}, parts)
	var keys []string
	for _, key := range slices.Backward(held) {
		keys = append(keys, opaque.Encode(digestBy(key, parts)))
	}
	return keys
}

// mayWrite counts a message of one sort to one account or address, and reports
// whether it may be sent. Nobody is told of one that is not.
func (a *Accounts) mayWrite(ctx context.Context, sort, to string) (bool, error) {
	n, _, err := a.raise(ctx, hour, "message", sort, to)
	return n <= a.cfg.PerHour, err
}

// early counts the same, and reports whether the one before is less than a minute
// old, so that what it brought still works.
func (a *Accounts) early(ctx context.Context, sort, to string) (bool, error) {
	n, _, err := a.raise(ctx, pause, "pause", sort, to)
	return n > 1, err
}

// find returns the user of that name, or the zero User when it names nobody.
func (a *Accounts) find(ctx context.Context, name string) (pool.User, error) {
	u, err := a.has.Pool.Find(ctx, name)
	if errors.Is(err, pool.ErrNotFound) {
		return pool.User{}, nil
	}
	if err != nil {
		return pool.User{}, fmt.Errorf("find user: %w", err)
	}
	return u, nil
}

// owner returns the owner of the codes of a user, or of one who is nobody: so
// that a stranger's code is as much work.
func (a *Accounts) owner(u pool.User, name string) string {
	if u.ID != "" {
		return u.ID
	}
	return "-" + opaque.Encode(a.digest("nobody", pool.Canonical(name)))
}

// notice tells a person at their verified address that something has happened; who
// has none hears of a new password at their number.
func (a *Accounts) notice(ctx context.Context, u pool.User, kind Kind) error {
	m := Message{Kind: kind, UserID: u.ID, Username: u.Username, Locale: u.Attribute(locale)}
	switch {
	case u.Email != "" && u.EmailVerified && a.has.Messenger.Has(Email):
		m.Channel, m.To = Email, u.Email
	case kind == PasswordChanged && u.Phone != "" && u.PhoneVerified && a.has.Messenger.Has(Phone):
		m.Channel, m.To = Phone, u.Phone
	default:
		return nil
	}
	return a.has.Messenger.Send(ctx, m)
}

// get returns the user with that id, or the zero User when there is none.
func (a *Accounts) get(ctx context.Context, id string) (pool.User, error) {
	u, err := a.has.Pool.Get(ctx, id)
	if errors.Is(err, pool.ErrNotFound) {
		return pool.User{}, nil
	}
	if err != nil {
		return pool.User{}, fmt.Errorf("find user: %w", err)
	}
	return u, nil
}

// hash returns the hash of a password that u wants to have, or a *FieldError.
func (a *Accounts) hash(ctx context.Context, u pool.User, pass string) (string, error) {
	h, err := a.has.Pool.NewHash(ctx, u, pass)
	var refused *password.RefusedError
	if errors.As(err, &refused) {
		return "", &FieldError{"password", refused.Error()}
	}
	if errors.Is(err, pool.ErrInvalid) {
		_, reason, _ := strings.Cut(err.Error(), ": ")
		return "", &FieldError{"password", reason}
	}
	return h, err
}
