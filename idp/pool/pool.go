package pool

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gatehouse/idp/password"
	"gatehouse/internal/audit"
)

// Users keeps users. keys are canonical names; one name belongs to one user.
type Users interface {
	// Insert adds u under keys; ErrExists if one of them, or the id, is taken.
	Insert(ctx context.Context, u User, keys []string) error
	// Find returns the user with that canonical name, or ErrNotFound.
	Find(ctx context.Context, key string) (User, error)
	// Get returns the user with that id, or ErrNotFound.
	Get(ctx context.Context, id string) (User, error)
	// Update replaces u and its keys; ErrExists, ErrNotFound.
	Update(ctx context.Context, u User, keys []string) error
	// Delete removes a user with names and memberships; ErrNotFound.
	Delete(ctx context.Context, id string) error
	// List returns up to limit users whose username follows after, in canonical
	// order.
	List(ctx context.Context, after string, limit int) ([]User, error)
}

// Groups keeps groups by name.
type Groups interface {
	// Insert adds g; ErrExists.
	Insert(ctx context.Context, g Group) error
	// Update replaces g; ErrNotFound.
	Update(ctx context.Context, g Group) error
	// Find returns the group of that name, or ErrNotFound.
	Find(ctx context.Context, name string) (Group, error)
	// Delete removes a group with its memberships; ErrNotFound.
	Delete(ctx context.Context, name string) error
	// List returns all groups, in no order.
	List(ctx context.Context) ([]Group, error)
}

// Members keeps who is in which group.
type Members interface {
	// Join adds a membership and reports whether it is new.
	Join(ctx context.Context, userID, group string) (bool, error)
	// Leave removes a membership and reports whether it was there.
	Leave(ctx context.Context, userID, group string) (bool, error)
	// GroupsOf returns the groups of a user, in no order.
	GroupsOf(ctx context.Context, userID string) ([]Group, error)
	// UsersIn returns the users of a group, ordered by canonical username.
	UsersIn(ctx context.Context, group string) ([]User, error)
}

// Tombstones remember the names of deleted users, so that a restart does not
// bring them back from the configuration.
type Tombstones interface {
	Bury(ctx context.Context, key string) error
	Buried(ctx context.Context, key string) (bool, error)
}

// Ender ends what a person has running: provider sessions, authorization codes
// and refresh families.
type Ender interface {
	EndUser(ctx context.Context, userID string) error
}

// Parts are what a Pool is made of. All are required but Schema, SignInWith,
// Policy, Now and Log.
type Parts struct {
	Users      Users
	Groups     Groups
	Members    Members
	Tombstones Tombstones
	Hashes     Hashes
	Ender      Ender
	Journal    audit.Journal
	Hasher     *password.Hasher
	// Schema says which attributes users may have; the zero value knows the
	// standard ones.
	Schema Schema
	// SignInWith are the kinds of names that people may sign in with; nil means
	// every kind.
	SignInWith []string
	// Policy says what a new password must be; nil demands 8 characters.
	Policy *password.Policy
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Log gets what goes wrong and refuses nobody; nil discards it.
	Log *slog.Logger
}

// Pool is the user pool. It is safe for concurrent use.
type Pool struct{ has Parts }

// New returns a Pool; it starts nothing.
func New(p Parts) *Pool {
	if p.Now == nil {
		p.Now = time.Now
	}
	if p.Policy == nil {
		p.Policy = password.NewPolicy(password.Config{MinLength: 8}, p.Hasher, nil)
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	return &Pool{has: p}
}

// NewUser is what Add makes a user of.
type NewUser struct {
	// ID is the sub claim of a person whose sub is known already; "" for a new
	// one.
	ID                           string
	Username, Email, Phone, Name string
	EmailVerified, PhoneVerified bool
	// Attributes are standard and custom attributes; those that are "" do not
	// count.
	Attributes map[string]string
	// Password may be "": then the person has none and cannot sign in with one.
	Password string
	// PasswordHash is the hash of a password that is known only so; it counts
	// when Password is "".
	PasswordHash string
	// Temporary marks Password as chosen by somebody else.
	Temporary bool
	// Status is Confirmed when it is ""; Temporary goes before it.
	Status Status
	// Disabled keeps the person from signing in.
	Disabled bool
	// Groups are names of groups that exist.
	Groups []string
	// Created, Updated and PasswordSet are the times that somebody brings along
	// from elsewhere; zero means now. PasswordSet counts with a password only.
	Created, Updated, PasswordSet time.Time
}

// Schema returns which attributes users may have.
func (p *Pool) Schema() Schema { return p.has.Schema }

// Find returns the user with that username, verified e-mail address or verified
// phone number, in any spelling, or ErrNotFound.
func (p *Pool) Find(ctx context.Context, name string) (User, error) {
	key := Canonical(name)
	if key == "" || len(name) > 1024 {
		return User{}, ErrNotFound
	}
	return p.has.Users.Find(ctx, key)
}

// login returns the user who may sign in under that name, or ErrNotFound.
func (p *Pool) login(ctx context.Context, name string) (User, error) {
	u, err := p.Find(ctx, name)
	if err != nil {
		return User{}, err
	}
	if p.has.SignInWith != nil && !u.named(Canonical(name), p.has.SignInWith) {
		return User{}, ErrNotFound
	}
	return u, nil
}

// Get returns the user with that id (the sub claim), or ErrNotFound.
func (p *Pool) Get(ctx context.Context, id string) (User, error) { return p.has.Users.Get(ctx, id) }

// List returns up to limit users after the username `after` ("" for the first),
// ordered by canonical username.
func (p *Pool) List(ctx context.Context, after string, limit int) ([]User, error) {
	return p.has.Users.List(ctx, Canonical(after), limit)
}

// Account returns the key under which tries for name are counted: the id of the
// user it names, or the canonical name when it names nobody. Username, e-mail
// and all their spellings have one key.
func (p *Pool) Account(ctx context.Context, name string) (string, error) {
	u, err := p.Find(ctx, name)
	if errors.Is(err, ErrNotFound) {
		return Canonical(name), nil
	}
	if err != nil {
		return "", fmt.Errorf("find account: %w", err)
	}
	return u.ID, nil
}

// CheckPassword returns the enabled user whose name and password these are.
// Every other case is ErrWrongPassword and costs the same work, besides
// password.ErrBusy, ErrTooLong and ErrForm, which come before any look-up. It
// counts no tries: risk.Guard does, before.
func (p *Pool) CheckPassword(ctx context.Context, name, pass string) (User, error) {
	if err := password.Check(pass); err != nil {
		return User{}, err
	}
	u, err := p.login(ctx, name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return User{}, fmt.Errorf("find user: %w", err)
	}
	// For a stranger the hash is "", which Verify works on all the same.
	err = p.has.Hasher.Verify(ctx, u.PasswordHash, pass)
	switch {
	case errors.Is(err, password.ErrWrong):
		return User{}, ErrWrongPassword
	case err != nil:
		return User{}, fmt.Errorf("verify password: %w", err)
	case !u.Enabled:
		return User{}, ErrWrongPassword
	}
	p.renew(ctx, u, pass)
	return u, nil
}

// newID returns a random UUID (RFC 9562, version 4).
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
