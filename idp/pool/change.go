package pool

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/internal/audit"
)

// Add makes a user, enabled, and puts it into its groups. It returns ErrInvalid,
// ErrExists, ErrNotFound for a group, and the errors of hashing.
func (p *Pool) Add(ctx context.Context, n NewUser) (User, error) {
	now := p.has.Now()
	u := User{
		ID: newID(), Username: n.Username, Email: n.Email, EmailVerified: n.EmailVerified && n.Email != "",
		Name: n.Name, Enabled: true, Status: Confirmed, Created: now, Updated: now,
	}
	if n.Temporary {
		u.Status = ForceChangePassword
	}
	if err := u.check(); err != nil {
		return User{}, err
	}
	if n.Password != "" {
		// Hash before the transaction: it takes long and the store has one writer.
		h, err := p.hash(ctx, n.Password)
		if err != nil {
			return User{}, err
		}
		u.PasswordHash = h
	}
	err := p.has.Journal.InTx(ctx, func(ctx context.Context) error {
		if err := p.has.Users.Insert(ctx, u, u.keys()); err != nil {
			return err
		}
		for _, g := range n.Groups {
			if _, err := p.has.Groups.Find(ctx, g); err != nil {
				return fmt.Errorf("find group %q: %w", g, err)
			}
			if _, err := p.has.Members.Join(ctx, u.ID, g); err != nil {
				return err
			}
		}
		return p.has.Journal.Append(ctx, audit.Event{Type: "user.created", Target: u.ID, Detail: map[string]string{"username": u.Username}})
	})
	if err != nil {
		return User{}, fmt.Errorf("add user %q: %w", n.Username, err)
	}
	return u, nil
}

// Ensure makes the user unless its username exists or was deleted before; what
// exists is never overwritten. It reports whether it made the user.
func (p *Pool) Ensure(ctx context.Context, n NewUser) (bool, error) {
	if _, err := p.Find(ctx, n.Username); err == nil {
		return false, nil
	} else if !errors.Is(err, ErrNotFound) {
		return false, fmt.Errorf("find user %q: %w", n.Username, err)
	}
	buried, err := p.has.Tombstones.Buried(ctx, Canonical(n.Username))
	if err != nil || buried {
		return false, err
	}
	if _, err := p.Add(ctx, n); err != nil {
		return false, err
	}
	return true, nil
}

// Profile are the fields of a user that SetProfile replaces.
type Profile struct {
	Email         string
	EmailVerified bool
	Name          string
}

// SetProfile replaces e-mail address and name. A changed address revokes what
// was issued before, as rules may depend on it.
func (p *Pool) SetProfile(ctx context.Context, id string, f Profile) error {
	return p.change(ctx, id, "user.updated", func(u *User) (bool, error) {
		before := *u
		u.Email, u.EmailVerified, u.Name = f.Email, f.EmailVerified && f.Email != "", f.Name
		if err := u.check(); err != nil {
			return false, err
		}
		return before.Email != u.Email || before.EmailVerified != u.EmailVerified, nil
	})
}

// SetPassword replaces the password and ends every session and token of the
// user. status is Confirmed, or ForceChangePassword for a password that somebody
// else chose. Besides ErrNotFound and ErrInvalid come the errors of hashing.
func (p *Pool) SetPassword(ctx context.Context, id, pass string, status Status) error {
	h, err := p.hash(ctx, pass)
	if err != nil {
		return err
	}
	return p.change(ctx, id, "user.password_set", func(u *User) (bool, error) {
		u.PasswordHash, u.Status = h, status
		return true, nil
	})
}

// Disable keeps the user from signing in and ends every session and token.
func (p *Pool) Disable(ctx context.Context, id string) error {
	return p.change(ctx, id, "user.disabled", func(u *User) (bool, error) {
		u.Enabled = false
		return true, nil
	})
}

// Enable lets the user sign in again; what was ended stays ended.
func (p *Pool) Enable(ctx context.Context, id string) error {
	return p.change(ctx, id, "user.enabled", func(u *User) (bool, error) {
		u.Enabled = true
		return false, nil
	})
}

// Delete removes the user, leaves a tombstone for the username, and ends every
// session and token.
func (p *Pool) Delete(ctx context.Context, id string) error {
	err := p.has.Journal.InTx(ctx, func(ctx context.Context) error {
		u, err := p.has.Users.Get(ctx, id)
		if err != nil {
			return err
		}
		if err := p.end(ctx, u, "user.deleted", nil); err != nil {
			return err
		}
		if err := p.has.Tombstones.Bury(ctx, Canonical(u.Username)); err != nil {
			return err
		}
		return p.has.Users.Delete(ctx, id)
	})
	if err != nil {
		return fmt.Errorf("delete user %s: %w", id, err)
	}
	return nil
}

// change loads a user, lets edit work on it, and stores it with its event; edit
// reports whether what was issued before must end.
func (p *Pool) change(ctx context.Context, id, event string, edit func(*User) (bool, error)) error {
	err := p.has.Journal.InTx(ctx, func(ctx context.Context) error {
		u, err := p.has.Users.Get(ctx, id)
		if err != nil {
			return err
		}
		revoke, err := edit(&u)
		if err != nil {
			return err
		}
		u.Updated = p.has.Now()
		if err := p.has.Users.Update(ctx, u, u.keys()); err != nil {
			return err
		}
		if revoke {
			return p.end(ctx, u, event, nil)
		}
		return p.has.Journal.Append(ctx, audit.Event{Type: event, Target: u.ID, Detail: map[string]string{"username": u.Username}})
	})
	if err != nil {
		return fmt.Errorf("change user %s: %w", id, err)
	}
	return nil
}

// end ends all that runs for u and appends the event that revokes the rest.
func (p *Pool) end(ctx context.Context, u User, event string, detail map[string]string) error {
	if err := p.has.Ender.EndUser(ctx, u.ID); err != nil {
		return err
	}
	d := map[string]string{"username": u.Username}
	for k, v := range detail {
		d[k] = v
	}
	return p.has.Journal.Append(ctx, audit.Event{
		Type: event, Target: u.ID, Detail: d,
		Revoke: []audit.Revoke{{Kind: audit.KindSubject, Value: u.ID, NotBefore: p.has.Now()}},
	})
}
