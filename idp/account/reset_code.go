package account

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"gatehouse/idp/pool"
)

// SendResetCode is Forgot for programs that take six digits: at most three codes
// a day go to one account, by the first channel of the configuration that the
// person has verified.
func (a *Accounts) SendResetCode(ctx context.Context, name string, from netip.Addr) error {
	if !a.codesOpen() {
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
	n, _, err := a.raise(ctx, resetWindow, "message", "reset-code", owner)
	if err != nil {
		return err
	}
	code := newCode(codeDigits)
	channel, to := a.reach(u)
	now := a.has.Now()
	c := Code{
		Purpose: ForResetCode, Owner: owner, CodeHash: a.hashCode(proof{ForResetCode, owner, "", code}), Bound: a.bind(ForResetCode, u),
		Created: now, Expires: now.Add(a.cfg.ResetWithin),
	}
	if n > resetCodes || !u.Enabled || to == "" {
		return a.pretend(ctx, c)
	}
	return a.send(ctx, c, Message{Kind: ResetPassword, Channel: channel, To: to, UserID: u.ID, Username: u.Username, Code: code, Expires: c.Expires})
}

// codesOpen tells whether codes can be sent to people who have forgotten their
// password.
func (a *Accounts) codesOpen() bool { return slices.ContainsFunc(a.cfg.Recovery, a.has.Messenger.Has) }

// reach returns where a person who has forgotten the password is told; "" for
// nowhere.
func (a *Accounts) reach(u pool.User) (Channel, string) {
	for _, channel := range a.cfg.Recovery {
		switch {
		case !a.has.Messenger.Has(channel):
		case channel == Email && u.EmailVerified:
			return channel, u.Email
		case channel == Phone && u.PhoneVerified:
			return channel, u.Phone
		}
	}
	return "", ""
}

// ResetByCode sets a new password with a code of SendResetCode, which takes three
// answers and works once. ErrWrongCode, also for a stranger; ErrClosed, a
// *LimitedError for the network, password.ErrBusy, and pool.ErrInvalid for the
// password.
func (a *Accounts) ResetByCode(ctx context.Context, name, code, pass string, from netip.Addr) error {
	if !a.codesOpen() {
		return ErrClosed
	}
	if err := a.network(ctx, "reset-code", from); err != nil {
		return err
	}
	u, err := a.find(ctx, name)
	if err != nil {
		return err
	}
	owner := a.owner(u, name)
	c, err := a.has.Codes.CountTry(ctx, ForResetCode, owner)
	if err != nil {
		return fmt.Errorf("count try: %w", err)
	}
	if c.Tries > resetTries || !a.proves(proof{ForResetCode, owner, "", code}, c.CodeHash) {
		return ErrWrongCode
	}
	if u, err = a.stillBound(ctx, c, ErrWrongCode); err != nil {
		return err
	}
	h, err := a.hash(ctx, u, pass)
	if err != nil {
		return err
	}
	return a.choose(ctx, c, h, ErrWrongCode)
}
