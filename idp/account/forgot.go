package account

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"gatehouse/idp/pool"
	"gatehouse/internal/opaque"
)

// Forgotten is what somebody says who has forgotten the password.
type Forgotten struct {
	// Name is a username, an e-mail address or a phone number.
	Name string
	// Browser is the secret of the browser that asks: a code counts there alone.
	// Mandatory where people recover by phone.
	Browser string
	// Flow is the id of the sign-in flow that Browser is the secret of, and Restart
	// a path of ours where that browser goes afterwards; "" for none.
	Flow, Restart string
	From          netip.Addr
}

// RecoveryOpen tells whether people who have forgotten their password are sent
// anything.
func (a *Accounts) RecoveryOpen() bool {
	return slices.ContainsFunc(a.cfg.Recovery, a.has.Messenger.Has)
}

// RecoversBy tells whether it may go over a channel: links by e-mail, codes by
// phone.
func (a *Accounts) RecoversBy(c Channel) bool {
	return slices.Contains(a.cfg.Recovery, c) && a.has.Messenger.Has(c)
}

// Forgot sends a link or a code to the person of that name, over the first channel
// of the configuration that they have verified and that brings no codes of their
// second factor. It does the same work and returns nil whether there is such a
// person or not, whether they can be reached, and however often it was asked
// before. What is sent ends what was sent before. ErrClosed, a *LimitedError for
// the network.
func (a *Accounts) Forgot(ctx context.Context, q Forgotten) error {
	if !a.RecoveryOpen() {
		return ErrClosed
	}
	if q.Browser == "" && a.RecoversBy(Phone) {
		return errors.New("forgotten password: no browser")
	}
	if err := a.network(ctx, "reset", q.From); err != nil {
		return err
	}
	u, err := a.find(ctx, q.Name)
	if err != nil {
		return err
	}
	owner := a.owner(u, q.Name)
	channel, err := a.reach(ctx, u, owner)
	if err != nil {
		return err
	}
	may, err := a.mayRemind(ctx, channel, owner)
	if err != nil {
		return err
	}
	c, m := a.reminder(u, owner, channel, q)
	if !may || channel == "" || !u.Enabled {
		return a.pretend(ctx, c)
	}
	return a.send(ctx, c, m)
}

// reach returns the channel over which a person who has forgotten the password is
// told; "" for none. It looks at the factors of a stranger too.
func (a *Accounts) reach(ctx context.Context, u pool.User, owner string) (Channel, error) {
	taken, err := a.has.Factors.Over(ctx, owner)
	if err != nil {
		return "", fmt.Errorf("read factors: %w", err)
	}
	for _, channel := range a.cfg.Recovery {
		// Whoever holds the phone would have password and factor at once.
		if !a.has.Messenger.Has(channel) || slices.Contains(taken, channel) {
			continue
		}
		if channel == Email && u.EmailVerified || channel == Phone && u.PhoneVerified {
			return channel, nil
		}
	}
	return "", nil
}

// mayRemind counts a request, and reports whether something may be sent for it
// over a channel. It counts the same for each.
func (a *Accounts) mayRemind(ctx context.Context, channel Channel, owner string) (bool, error) {
	early, err := a.early(ctx, "reset", owner)
	if err != nil {
		return false, err
	}
	// What is too early is not sent and counts elsewhere, for the same work: whoever
	// asks five times in a second must not keep the person from a link for an hour.
	sort := "reset"
	if early {
		sort = "reset too early"
	}
	may, err := a.mayWrite(ctx, sort, owner)
	if err != nil || !a.RecoversBy(Phone) {
		return may && !early, err
	}
	n, _, err := a.raise(ctx, resetWindow, "message", sort+" by code", owner)
	return may && !early && (channel != Phone || n <= resetCodes), err
}

// reminder makes what goes out over a channel, and what is kept of it.
func (a *Accounts) reminder(u pool.User, owner string, channel Channel, q Forgotten) (Code, Message) {
	token, code := newToken(), newCode(resetDigits)
	now := a.has.Now()
	c := Code{Purpose: ForReset, Owner: owner, LinkHash: a.hashLink(ForReset, token), Created: now, Expires: now.Add(a.cfg.ResetWithin)}
	if q.Browser != "" {
		c.Asked = Asked{q.Flow, hashBrowser(q.Browser), q.Restart}
	}
	m := Message{
		Kind: ResetPassword, Channel: Email, To: u.Email, UserID: u.ID, Username: u.Username, Locale: u.Attribute(locale),
		Token: token, Expires: c.Expires,
	}
	if channel == Phone {
		c.Purpose, c.LinkHash = ForResetCode, hashAsked(owner, q.Browser)
		c.CodeHash = a.hashCode(proof{ForResetCode, owner, q.Browser, code})
		m.Channel, m.To, m.Token, m.Code = Phone, u.Phone, "", code
	}
	c.Bound = a.bind(c.Purpose, u)
	return c, m
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
		nobody := Code{Purpose: c.Purpose, Owner: "-" + opaque.Encode(a.digest("nobody", c.Owner)), Created: c.Created, Expires: c.Expires, Asked: c.Asked}
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
