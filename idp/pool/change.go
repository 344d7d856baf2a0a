package pool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
)

// Add makes a user, enabled, and puts it into its groups. It returns ErrInvalid,
// ErrExists, ErrNotFound for a group, and the errors of hashing.
func (p *Pool) Add(ctx context.Context, n NewUser) (User, error) {
	u, err := p.draft(n)
	if err != nil {
		return User{}, err
	}
	if n.Password != "" {
		// Hash before the transaction: it takes long and the store has one writer.
		if u.PasswordHash, err = p.hash(ctx, stranger(u), n.Password); err != nil {
			return User{}, err
		}
	}
	if u.PasswordHash != "" && u.PasswordSet.IsZero() {
		u.PasswordSet = p.has.Now()
	}
	if err := p.insert(ctx, u, n.Groups); err != nil {
		return User{}, err
	}
	return u, nil
}

// draft returns the user that n describes, checked, without a password of its
// own.
func (p *Pool) draft(n NewUser) (User, error) {
	now := p.has.Now()
	u := User{
		ID: n.ID, Username: n.Username, Email: n.Email, EmailVerified: n.EmailVerified,
		Phone: n.Phone, PhoneVerified: n.PhoneVerified, Name: n.Name, Attributes: filled(n.Attributes),
		Enabled: !n.Disabled, Status: n.Status, PasswordHash: n.PasswordHash, Created: now, Updated: now,
	}
	if u.ID == "" {
		u.ID = newID()
	}
	if u.Status == "" {
		u.Status = Confirmed
	}
	if n.Temporary {
		u.Status = ForceChangePassword
	}
	n.times(&u)
	if err := n.check(now); err != nil {
		return User{}, err
	}
	if err := n.checkProofs(); err != nil {
		return User{}, err
	}
	return u, u.check(p.has.Schema)
}

// filled returns attributes without those that are "", nil for none.
func filled(attributes map[string]string) map[string]string {
	var out map[string]string
	for name, value := range attributes {
		if value == "" {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[name] = value
	}
	return out
}

// insert stores a new user with its memberships and its event.
func (p *Pool) insert(ctx context.Context, u User, groups []string) error {
	err := p.has.Journal.InTx(ctx, func(ctx context.Context) error {
		if err := p.checkNotAnID(ctx, u); err != nil {
			return err
		}
		if err := p.has.Users.Insert(ctx, u, u.keys()); err != nil {
			return err
		}
		for _, g := range groups {
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
		return fmt.Errorf("add user %q: %w", u.Username, err)
	}
	return nil
}

// checkNotAnID returns ErrExists when the username of a new user is the id of
// another, or the reverse; see User.LikeIDs.
func (p *Pool) checkNotAnID(ctx context.Context, u User) error {
	looks := []func() (User, error){func() (User, error) { return p.has.Users.Find(ctx, u.LikeName()) }}
	for _, id := range u.LikeIDs() {
		looks = append(looks, func() (User, error) { return p.has.Users.Get(ctx, id) })
	}
	for _, look := range looks {
		other, err := look()
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look for the id of another: %w", err)
		}
		if other.ID != u.ID {
			return ErrExists
		}
	}
	return nil
}

// Changes are what Change does to a user; what is nil stays as it is.
type Changes struct {
	Email, Phone, Name *string
	// EmailVerified and PhoneVerified are true only where there is an address or a
	// number. A new one that they say nothing of is not verified.
	EmailVerified, PhoneVerified *bool
	// Attributes are standard and custom attributes; "" removes one.
	Attributes map[string]string
}

// Change changes what is known of a user. Whatever rules may depend on (e-mail
// address, phone number, custom attributes) revokes what was issued before.
// ErrNotFound, ErrInvalid, ErrExists.
func (p *Pool) Change(ctx context.Context, id string, c Changes) error {
	return p.change(ctx, id, "user.updated", func(u *User) (bool, error) {
		before := u.clone()
		c.apply(u)
		if err := c.checkProofs(*u); err != nil {
			return false, err
		}
		if err := u.check(p.has.Schema); err != nil {
			return false, err
		}
		if err := p.has.Schema.checkFrozen(before.Attributes, u.Attributes); err != nil {
			return false, err
		}
		return rights(before) != rights(*u), nil
	})
}

func (c Changes) apply(u *User) {
	contact := func(value *string, verified *bool, to *string, proved *bool) {
		if value != nil && *value != *to {
			*to, *proved = *value, false
		}
		if verified != nil {
			*proved = *verified
		}
		*proved = *proved && *to != ""
	}
	contact(c.Email, c.EmailVerified, &u.Email, &u.EmailVerified)
	contact(c.Phone, c.PhoneVerified, &u.Phone, &u.PhoneVerified)
	if c.Name != nil {
		u.Name = *c.Name
	}
	all := maps.Clone(u.Attributes)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, c.Attributes)
	u.Attributes = filled(all)
}

// checkProofs returns a FieldError that is ErrInvalid for a proof of an address or
// a number that u, to whom c was applied, does not have.
func (c Changes) checkProofs(u User) error {
	return NewUser{
		Email: u.Email, EmailVerified: c.EmailVerified != nil && *c.EmailVerified,
		Phone: u.Phone, PhoneVerified: c.PhoneVerified != nil && *c.PhoneVerified,
	}.checkProofs()
}

// checkProofs returns a FieldError that is ErrInvalid for a proof of nothing: it
// would be dropped, and whoever gave it would count on it.
func (n NewUser) checkProofs() error {
	switch {
	case n.EmailVerified && n.Email == "":
		return inField("email_verified", fmt.Errorf("%w email_verified: there is no e-mail address to be verified", ErrInvalid))
	case n.PhoneVerified && n.Phone == "":
		return inField("phone_number_verified", fmt.Errorf("%w phone_number_verified: there is no phone number to be verified", ErrInvalid))
	}
	return nil
}

// rights is all of u that rules may depend on, as one text to compare.
func rights(u User) string {
	text := fmt.Sprintf("%q %t %q %t", u.Email, u.EmailVerified, u.Phone, u.PhoneVerified)
	for _, name := range slices.Sorted(maps.Keys(u.Attributes)) {
		if strings.HasPrefix(name, CustomPrefix) {
			text += fmt.Sprintf(" %q=%q", name, u.Attributes[name])
		}
	}
	return text
}

// SetPassword replaces the password and ends every session and token of the
// user. status is Confirmed, or ForceChangePassword for a password that somebody
// else chose. Besides ErrNotFound and ErrInvalid come the errors of hashing.
func (p *Pool) SetPassword(ctx context.Context, id, pass string, status Status) error {
	h, err := p.hashFor(ctx, id, pass)
	if err != nil {
		return err
	}
	return p.change(ctx, id, "user.password_set", func(u *User) (bool, error) {
		u.PasswordHash, u.PasswordSet, u.Status = h, p.has.Now(), status
		return true, nil
	})
}

// hashFor is hash for a user who is there.
func (p *Pool) hashFor(ctx context.Context, id, pass string) (string, error) {
	u, err := p.has.Users.Get(ctx, id)
	if err != nil {
		return "", fmt.Errorf("find user %s: %w", id, err)
	}
	return p.hash(ctx, u, pass)
}

// sameSecond is subtracted from the not-before of what ends when a person who is
// signing in chooses a password: a revocation ends the whole second it falls
// into, and that sign-in gets its tokens within it. Sessions, codes and refresh
// tokens of that second end all the same.
const sameSecond = time.Second

// ReplacePassword is SetPassword by somebody who is signing in: it confirms the
// account and ends everything that was signed in before, but not the sign-in it
// is part of.
func (p *Pool) ReplacePassword(ctx context.Context, id, pass string) error {
	h, err := p.hashFor(ctx, id, pass)
	if err != nil {
		return err
	}
	now := p.has.Now()
	return p.changeFrom(ctx, id, "user.password_set", now.Add(-sameSecond), func(u *User) (bool, error) {
		u.PasswordHash, u.PasswordSet, u.Status = h, now, Confirmed
		return true, nil
	})
}

// RequireReset makes the password worthless until the person has chosen a new
// one with what is sent to them, and ends every session and token.
func (p *Pool) RequireReset(ctx context.Context, id string) error {
	return p.change(ctx, id, "user.reset_required", func(u *User) (bool, error) {
		u.Status = ResetRequired
		return true, nil
	})
}

// SignOut ends every session and token of the user.
func (p *Pool) SignOut(ctx context.Context, id string) error {
	err := p.has.Journal.InTx(ctx, func(ctx context.Context) error {
		u, err := p.has.Users.Get(ctx, id)
		if err != nil {
			return err
		}
		return p.end(ctx, u, "user.signed_out", nil)
	})
	if err != nil {
		return fmt.Errorf("sign out user %s: %w", id, err)
	}
	return nil
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
	return p.changeFrom(ctx, id, event, p.has.Now(), edit)
}

// changeFrom is change that revokes what was issued until notBefore.
func (p *Pool) changeFrom(ctx context.Context, id, event string, notBefore time.Time, edit func(*User) (bool, error)) error {
	err := p.has.Journal.InTx(ctx, func(ctx context.Context) error {
		u, err := p.has.Users.Get(ctx, id)
		if err != nil {
			return err
		}
		before := u
		revoke, err := edit(&u)
		if err != nil {
			return err
		}
		if err := p.remember(ctx, before, u); err != nil {
			return err
		}
		u.Updated = p.has.Now()
		if err := p.has.Users.Update(ctx, u, u.keys()); err != nil {
			return err
		}
		if revoke {
			return p.endFrom(ctx, u, notBefore, audit.Event{Type: event})
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
	return p.endFrom(ctx, u, p.has.Now(), audit.Event{Type: event, Detail: detail})
}

// endFrom is end that revokes what was issued until notBefore.
func (p *Pool) endFrom(ctx context.Context, u User, notBefore time.Time, e audit.Event) error {
	if err := p.has.Ender.EndUser(ctx, u.ID); err != nil {
		return err
	}
	d := map[string]string{"username": u.Username}
	maps.Copy(d, e.Detail)
	e.Target, e.Detail = u.ID, d
	e.Revoke = []audit.Revoke{{Kind: audit.KindSubject, Value: u.ID, NotBefore: notBefore}}
	return p.has.Journal.Append(ctx, e)
}
