package account

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/idp/pool"
)

// Invite makes a user without a password and sends them a link to set up the
// account, both or neither. Their address counts as verified once they have used
// it. ErrClosed, a *FieldError, and what pool.Pool.Add returns.
func (a *Accounts) Invite(ctx context.Context, n pool.NewUser) (pool.User, error) {
	if !a.invites() {
		return pool.User{}, ErrClosed
	}
	if n.Email == "" {
		return pool.User{}, &FieldError{"email", "it is needed: the invitation is sent there"}
	}
	n.Password, n.PasswordHash, n.Temporary, n.Status = "", "", false, pool.ForceChangePassword
	var u pool.User
	err := a.has.Journal.InTx(ctx, func(ctx context.Context) error {
		var err error
		if u, err = a.has.Pool.Add(ctx, n); err != nil {
			return err
		}
		return a.invite(ctx, u)
	})
	if err != nil {
		return pool.User{}, fmt.Errorf("invite: %w", err)
	}
	return u, nil
}

// invites tells whether operators may invite people.
func (a *Accounts) invites() bool { return a.cfg.SignUp != Off && a.has.Messenger.Has(Email) }

// InviteAgain sends a new link to somebody who was invited and has not set up the
// account yet; the old one dies. ErrClosed, pool.ErrNotFound, pool.ErrInvalid.
func (a *Accounts) InviteAgain(ctx context.Context, userID string) error {
	if !a.invites() {
		return ErrClosed
	}
	err := a.has.Journal.InTx(ctx, func(ctx context.Context) error {
		u, err := a.has.Pool.Get(ctx, userID)
		if err != nil {
			return err
		}
		if u.Status != pool.ForceChangePassword || u.PasswordHash != "" || u.Email == "" {
			return fmt.Errorf("%w user: not one who was invited and has yet to set up the account", pool.ErrInvalid)
		}
		return a.invite(ctx, u)
	})
	if err != nil {
		return fmt.Errorf("invite again: %w", err)
	}
	return nil
}

func (a *Accounts) invite(ctx context.Context, u pool.User) error {
	token := newToken()
	now := a.has.Now()
	c := Code{Purpose: ForInvite, Owner: u.ID, LinkHash: a.hashLink(ForInvite, token), Target: u.Email, Bound: a.bind(ForInvite, u), Created: now, Expires: now.Add(a.cfg.InviteWithin)}
	return a.send(ctx, c, Message{
		Kind: Invitation, Channel: Email, To: u.Email, UserID: u.ID, Username: u.Username, Locale: u.Attribute(locale),
		Token: token, Expires: c.Expires,
	})
}

// CheckInvite returns who is invited by the link with that token, or ErrLink. It
// changes nothing.
func (a *Accounts) CheckInvite(ctx context.Context, token string) (pool.User, error) {
	if a.cfg.SignUp == Off {
		return pool.User{}, ErrLink
	}
	_, u, err := a.link(ctx, ForInvite, token)
	return u, err
}

// AcceptInvite sets the password of an invited person, whose address is verified
// by that. A link works once. ErrLink, ErrAddressTaken, password.ErrBusy, and
// pool.ErrInvalid for the password.
func (a *Accounts) AcceptInvite(ctx context.Context, token, pass string) error {
	if a.cfg.SignUp == Off {
		return ErrLink
	}
	c, u, err := a.link(ctx, ForInvite, token)
	if err != nil {
		return err
	}
	h, err := a.hash(ctx, u, pass)
	if err != nil {
		return err
	}
	err = a.has.Journal.InTx(ctx, func(ctx context.Context) error {
		was, err := a.has.Codes.Take(ctx, c)
		if err != nil {
			return err
		}
		if !was {
			return ErrLink
		}
		if _, err := a.stillBound(ctx, c, ErrLink); err != nil {
			return err
		}
		if err := a.has.Pool.Change(ctx, u.ID, pool.Changes{EmailVerified: new(true)}); err != nil {
			return err
		}
		return a.has.Pool.SetPasswordHash(ctx, u.ID, h)
	})
	if errors.Is(err, pool.ErrExists) {
		return ErrAddressTaken
	}
	if err != nil {
		return fmt.Errorf("accept invitation: %w", err)
	}
	return nil
}
