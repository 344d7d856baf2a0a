package account

import (
	"context"
	"fmt"
	"net/netip"

	"gatehouse/idp/pool"
	"gatehouse/internal/opaque"
)

// Forgot sends a link to the person of that name (username, e-mail address or
// phone number) who has forgotten the password. It does the same work and returns
// nil whether there is such a person or not, whether they can be reached, and
// however often it was asked before. A second link ends the first. ErrClosed, a
// *LimitedError for the network.
func (a *Accounts) Forgot(ctx context.Context, name string, from netip.Addr) error {
	if !a.RecoveryOpen() {
		return ErrClosed
	}
	if err := a.network(ctx, "reset", from); err != nil {
		return err
	}
	u, err := a.find(ctx, name)
	if err != nil {
		return err
	}
	owner := a.owner(u, name)
	early, err := a.early(ctx, "reset", owner)
	if err != nil {
		return err
	}
	// What is too early is not sent and counts elsewhere, for the same work: whoever
	// asks five times in a second must not keep the person from a link for an hour.
	sort := "reset"
	if early {
		sort = "reset too early"
	}
	may, err := a.mayWrite(ctx, sort, owner)
	if err != nil {
		return err
	}
	token := newToken()
	now := a.has.Now()
	c := Code{Purpose: ForReset, Owner: owner, LinkHash: a.hashLink(ForReset, token), Bound: a.bind(ForReset, u), Created: now, Expires: now.Add(a.cfg.ResetWithin)}
	m := Message{Kind: ResetPassword, Channel: Email, To: u.Email, UserID: u.ID, Username: u.Username, Token: token, Expires: c.Expires}
	if early || !may || !u.Enabled || !u.EmailVerified {
		return a.pretend(ctx, c)
	}
	return a.send(ctx, c, m)
}

// send keeps a code and sends it, both or neither.
func (a *Accounts) send(ctx context.Context, c Code, m Message) error {
	err := a.has.Journal.InTx(ctx, func(ctx context.Context) error {
		if err := a.has.Codes.Put(ctx, c); err != nil {
			return err
		}
		return a.has.Messenger.Send(ctx, m)
	})
	if err != nil {
		return fmt.Errorf("send %s: %w", c.Purpose, err)
	}
	return nil
}

// pretend is as much work as send. What it leaves is nobody's, opens nothing and
// goes by itself; what was sent to somebody before stays as it is.
func (a *Accounts) pretend(ctx context.Context, c Code) error {
	err := a.has.Journal.InTx(ctx, func(ctx context.Context) error {
		nobody := Code{Purpose: c.Purpose, Owner: "-" + opaque.Encode(a.digest("nobody", c.Owner)), Created: c.Created, Expires: c.Expires}
		if err := a.has.Codes.Put(ctx, nobody); err != nil {
			return err
		}
		return a.has.Messenger.Pretend(ctx)
	})
	if err != nil {
		return fmt.Errorf("send %s: %w", c.Purpose, err)
	}
	return nil
}

// CheckReset returns whose password the link with that token can set, or ErrLink.
// It changes nothing.
func (a *Accounts) CheckReset(ctx context.Context, token string) (pool.User, error) {
	if !a.RecoveryOpen() {
		return pool.User{}, ErrLink
	}
	_, u, err := a.link(ctx, ForReset, token)
	return u, err
}

// Reset sets a new password with the token of a link, which works once, ends
// every session of the person and tells them. Second factors stay. ErrLink,
// password.ErrBusy, and pool.ErrInvalid for the password.
func (a *Accounts) Reset(ctx context.Context, token, pass string) error {
	if !a.RecoveryOpen() {
		return ErrLink
	}
	c, u, err := a.link(ctx, ForReset, token)
	if err != nil {
		return err
	}
	// Hash before the transaction: it takes long and the store has one writer.
	h, err := a.hash(ctx, u, pass)
	if err != nil {
		return err
	}
	return a.choose(ctx, c, h, ErrLink)
}

// link returns the code of a link and its user, if both are still good.
func (a *Accounts) link(ctx context.Context, p Purpose, token string) (Code, pool.User, error) {
	c, err := findLink(a, p, token, func(hash []byte) (Code, error) { return a.has.Codes.FindLink(ctx, p, hash) })
	if err != nil {
		return Code{}, pool.User{}, fmt.Errorf("find link: %w", err)
	}
	u, err := a.stillBound(ctx, c, ErrLink)
	return c, u, err
}

// stillBound returns the user of a code, or refusal when the code has expired, or
// the account is gone, disabled, or no longer as it was.
func (a *Accounts) stillBound(ctx context.Context, c Code, refusal error) (pool.User, error) {
	if !a.has.Now().Before(c.Expires) {
		return pool.User{}, refusal
	}
	u, err := a.get(ctx, c.Owner)
	if err != nil {
		return pool.User{}, err
	}
	if !u.Enabled || !a.bound(c, u) {
		return pool.User{}, refusal
	}
	return u, nil
}

// choose consumes c and sets the password, unless the account has changed.
func (a *Accounts) choose(ctx context.Context, c Code, hash string, refusal error) error {
	err := a.has.Journal.InTx(ctx, func(ctx context.Context) error {
		was, err := a.has.Codes.Take(ctx, c)
		if err != nil {
			return err
		}
		if !was {
			return refusal
		}
		u, err := a.stillBound(ctx, c, refusal)
		if err != nil {
			return err
		}
		return a.setPassword(ctx, u, hash)
	})
	if err != nil {
		return fmt.Errorf("reset password: %w", err)
	}
	return nil
}

// setPassword sets the password that a person has chosen, ends what was sent to
// set another, and tells them.
func (a *Accounts) setPassword(ctx context.Context, u pool.User, hash string) error {
	if err := a.has.Pool.SetPasswordHash(ctx, u.ID, hash); err != nil {
		return err
	}
	if err := a.drop(ctx, u.ID, ForReset, ForResetCode, ForInvite); err != nil {
		return err
	}
	return a.notice(ctx, u, PasswordChanged)
}
