package pool

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"gatehouse/idp/password"
)

// FieldError is an error that lies in one field of a user.
type FieldError struct {
	// Field is the field's name as in claims: username, email, phone_number,
	// custom:team; sub, status, password_hash and created for the others.
	Field string
	Err   error
}

func (e *FieldError) Error() string { return e.Err.Error() }

// Unwrap returns the error itself.
func (e *FieldError) Unwrap() error { return e.Err }

func inField(name string, err error) error { return &FieldError{name, err} }

// Draft is a user that was checked and is not stored yet.
type Draft struct {
	User User
	// Keys are the canonical names of User, the username's first.
	Keys []string
	// Groups are names of groups; nobody has looked whether they exist.
	Groups []string
}

// Draft returns the user that n describes, checked by the rules of the pool but
// for what is taken and which groups exist. n.Password must be "": nothing is
// hashed here. FieldError, which is ErrInvalid or password.ErrHash.
func (p *Pool) Draft(n NewUser) (Draft, error) {
	if n.Password != "" {
		return Draft{}, errors.New("a draft takes a hash, no password")
	}
	u, err := p.draft(n)
	if err != nil {
		return Draft{}, err
	}
	if u.PasswordHash != "" && u.PasswordSet.IsZero() {
		u.PasswordSet = p.has.Now()
	}
	return Draft{User: u, Keys: u.keys(), Groups: n.Groups}, nil
}

// LikeIDs returns the ids that nobody else may have beside u's username: rules
// name people by username or id, and whoever signs up chooses the username.
func (u User) LikeIDs() []string {
	if key := Canonical(u.Username); key != u.Username {
		return []string{u.Username, key}
	}
	return []string{u.Username}
}

// LikeName returns the canonical name that nobody else may have beside u's id, for
// the same reason.
func (u User) LikeName() string { return Canonical(u.ID) }

// Hashed returns n with a hash in place of its password, so that whoever adds it
// in a transaction does not hash there: that takes long, and the store has one
// writer. ErrInvalid and the errors of hashing.
func (p *Pool) Hashed(ctx context.Context, n NewUser) (NewUser, error) {
	if n.Password == "" {
		return n, nil
	}
	u := User{Username: n.Username, Email: n.Email, Phone: n.Phone, Name: n.Name}
	h, err := p.hash(ctx, u, n.Password)
	if err != nil {
		return n, err
	}
	n.Password, n.PasswordHash = "", h
	return n, nil
}

// Buried reports whether a user of that name was deleted.
func (p *Pool) Buried(ctx context.Context, name string) (bool, error) {
	return p.has.Tombstones.Buried(ctx, Canonical(name))
}

// SetPasswordHash replaces the password by one that is known by its hash only,
// and ends every session and token of the user. ErrNotFound, password.ErrHash.
func (p *Pool) SetPasswordHash(ctx context.Context, id, hash string) error {
	if err := password.CheckHash(hash); err != nil {
		return inField("password_hash", err)
	}
	return p.change(ctx, id, "user.password_set", func(u *User) (bool, error) {
		u.PasswordHash, u.PasswordSet, u.Status = hash, p.has.Now(), Confirmed
		return true, nil
	})
}

// idForm is what a sub of elsewhere may be. It stands in tokens, logs and paths.
var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:|@-]{0,127}$`)

// check returns a FieldError for what only somebody who brings a user from
// elsewhere can get wrong.
func (n NewUser) check(now time.Time) error {
	if n.ID != "" && !idForm.MatchString(n.ID) {
		return inField("sub", fmt.Errorf("%w sub: it has 1 to 128 letters, digits and . _ : | @ -", ErrInvalid))
	}
	switch n.Status {
	case "", Confirmed, ForceChangePassword, ResetRequired:
	default:
		return inField("status", fmt.Errorf("%w status: it is %s, %s or %s", ErrInvalid, Confirmed, ForceChangePassword, ResetRequired))
	}
	for _, t := range []struct {
		name string
		at   time.Time
	}{{"created", n.Created}, {"updated", n.Updated}, {"password_set", n.PasswordSet}} {
		if t.at.After(now) || !t.at.IsZero() && t.at.Before(time.Unix(0, 0)) {
			return inField(t.name, fmt.Errorf("%w %s: it is a time since 1970 and not to come", ErrInvalid, t.name))
		}
	}
	if n.PasswordHash != "" {
		if err := password.CheckHash(n.PasswordHash); err != nil {
			return inField("password_hash", err)
		}
	}
	return nil
}

// times gives u the times that n brings along.
func (n NewUser) times(u *User) {
	if !n.Created.IsZero() {
		u.Created = n.Created
	}
	if !n.Updated.IsZero() {
		u.Updated = n.Updated
	}
	if n.PasswordHash != "" {
		u.PasswordSet = n.PasswordSet
	}
}
