package account

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"gatehouse/idp/pool"
)

// contact is what is particular to one of the two ways to reach a person.
type contact struct {
	purpose Purpose
	channel Channel
	field   string
	// of returns what a user has.
	of func(pool.User) (string, bool)
	// check returns pool.ErrInvalid with a reason.
	check func(string) error
	// set makes what was verified the user's.
	set func(string) pool.Changes
	// ask is the message with the code.
	ask Kind
}

func emailContact() contact {
	return contact{
		purpose: ForEmail, channel: Email, field: "email", check: pool.CheckEmail, ask: ConfirmEmail,
		of:  func(u pool.User) (string, bool) { return u.Email, u.EmailVerified },
		set: func(to string) pool.Changes { return pool.Changes{Email: &to, EmailVerified: new(true)} },
	}
}

func phoneContact() contact {
	return contact{
		purpose: ForPhone, channel: Phone, field: "phone_number", check: pool.CheckPhone, ask: VerifyPhone,
		of:  func(u pool.User) (string, bool) { return u.Phone, u.PhoneVerified },
		set: func(to string) pool.Changes { return pool.Changes{Phone: &to, PhoneVerified: new(true)} },
	}
}

// AskEmail sends a code to an address that u, who has signed in recently, wants
// to have; nothing changes until ConfirmEmail. The old address is told. The
// answer and the work are the same when somebody else has it: its owner is told.
// A *FieldError, a *LimitedError for u.
func (a *Accounts) AskEmail(ctx context.Context, u pool.User, email string) error {
	if strings.Contains(u.Username, "@") && pool.Canonical(email) != pool.Canonical(u.Username) {
		return &FieldError{"email", "the address is the username, and goes with it; ask your administrator"}
	}
	return a.ask(ctx, emailContact(), u, email)
}

// AskPhone is AskEmail for a phone number in E.164.
func (a *Accounts) AskPhone(ctx context.Context, u pool.User, phone string) error {
	if strings.HasPrefix(u.Username, "+") && pool.Canonical(phone) != pool.Canonical(u.Username) {
		return &FieldError{"phone_number", "the number is the username, and goes with it; ask your administrator"}
	}
	if a.has.Messenger.Has(Phone) {
		return a.ask(ctx, phoneContact(), u, pool.Canonical(phone))
	}
	return ErrClosed
}

func (a *Accounts) ask(ctx context.Context, k contact, u pool.User, to string) error {
	if !a.has.Messenger.Has(k.channel) {
		return ErrClosed
	}
	if err := k.check(to); err != nil {
		_, reason, _ := strings.Cut(err.Error(), ": ")
		return &FieldError{k.field, reason}
	}
	if has, verified := k.of(u); has == to && verified {
		return &FieldError{k.field, "it is yours already"}
	}
	n, ends, err := a.raise(ctx, hour, "contact", string(k.purpose), u.ID)
	if err != nil {
		return err
	}
	if n > a.cfg.PerHour {
		return &LimitedError{RetryAfter: ends.Sub(a.has.Now())}
	}
	may, err := a.mayWrite(ctx, string(k.purpose), pool.Canonical(to))
	if err != nil {
		return err
	}
	owner, err := a.find(ctx, to)
	if err != nil {
		return err
	}
	code := newCode(contactDigits)
	now := a.has.Now()
	c := Code{Purpose: k.purpose, Owner: u.ID, Target: to, Bound: a.bind(k.purpose, u), Created: now, Expires: now.Add(a.cfg.VerifyWithin)}
	m := Message{Kind: k.ask, Channel: k.channel, To: to, Code: code, Locale: u.Attribute(locale), Expires: c.Expires}
	switch {
	case !may:
		// What is not sent cannot be guessed either.
	case owner.ID != "" && owner.ID != u.ID:
		m = alreadyRegistered(owner, k.channel)
	default:
		c.CodeHash = a.hashCode(proof{k.purpose, u.ID, to, code})
	}
	return a.sendContact(ctx, k, u, asked{code: c, message: m, send: may})
}

// asked is what goes out for a new address.
type asked struct {
	code    Code
	message Message
	send    bool
}

func (a *Accounts) sendContact(ctx context.Context, k contact, u pool.User, q asked) error {
	err := a.has.Journal.InTx(ctx, func(ctx context.Context) error {
		if err := a.has.Codes.Put(ctx, q.code); err != nil {
			return err
		}
		if !q.send {
			return a.has.Messenger.Pretend(ctx)
		}
		if err := a.has.Messenger.Send(ctx, q.message); err != nil {
			return err
		}
		if k.channel != Email || u.Email == "" || !u.EmailVerified {
			return nil
		}
		return a.has.Messenger.Send(ctx, Message{
			Kind: EmailChangeRequested, Channel: Email, To: u.Email, UserID: u.ID, Username: u.Username,
			Locale: u.Attribute(locale), New: q.code.Target,
		})
	})
	if err != nil {
		return fmt.Errorf("ask for %s: %w", k.channel, err)
	}
	return nil
}

// ConfirmEmail makes the address that a code was sent to u's, verified, and tells
// the old and the new one. Everything issued to u before ends. ErrWrongCode,
// ErrTooManyTries, ErrAddressTaken.
func (a *Accounts) ConfirmEmail(ctx context.Context, u pool.User, code string) error {
	return a.confirm(ctx, emailContact(), u, code)
}

// ConfirmPhone is ConfirmEmail for a phone number.
func (a *Accounts) ConfirmPhone(ctx context.Context, u pool.User, code string) error {
	return a.confirm(ctx, phoneContact(), u, code)
}

func (a *Accounts) confirm(ctx context.Context, k contact, u pool.User, code string) error {
	// Per person as well as per code: each new code would give new tries.
	n, _, err := a.raise(ctx, hour, "try", string(k.purpose), u.ID)
	if err != nil {
		return err
	}
	// Before the next count, or of many at once each could be beyond one of the two.
	if n > contactTries {
		return ErrTooManyTries
	}
	c, err := a.has.Codes.CountTry(ctx, k.purpose, u.ID)
	if err != nil {
		return fmt.Errorf("count try: %w", err)
	}
	switch {
	case c.Tries > codeTries:
		return ErrTooManyTries
	case !a.proves(proof{k.purpose, u.ID, c.Target, code}, c.CodeHash):
		return ErrWrongCode
	}
	err = a.has.Journal.InTx(ctx, func(ctx context.Context) error {
		was, err := a.has.Codes.Take(ctx, c)
		if err != nil {
			return err
		}
		if !was {
			return ErrWrongCode
		}
		// Looked at again: the password or the address may have changed.
		before, err := a.stillBound(ctx, c, ErrWrongCode)
		if err != nil {
			return err
		}
		if err := a.has.Pool.Change(ctx, u.ID, k.set(c.Target)); err != nil {
			return err
		}
		if err := a.drop(ctx, u.ID, ForReset, ForResetCode); err != nil {
			return err
		}
		return a.tellChanged(ctx, k, before, c.Target)
	})
	if errors.Is(err, pool.ErrExists) {
		return ErrAddressTaken
	}
	if err != nil {
		return fmt.Errorf("confirm %s: %w", k.channel, err)
	}
	return nil
}

// tellChanged tells the old address and the new one.
func (a *Accounts) tellChanged(ctx context.Context, k contact, before pool.User, to string) error {
	if k.channel != Email {
		return nil
	}
	m := Message{
		Kind: EmailChanged, Channel: Email, UserID: before.ID, Username: before.Username, Locale: before.Attribute(locale),
		Old: before.Email, New: to,
	}
	all := []string{to}
	if before.Email != "" && before.EmailVerified && before.Email != to {
		all = append(all, before.Email)
	}
	for _, m.To = range all {
		if err := a.has.Messenger.Send(ctx, m); err != nil {
			return err
		}
	}
	return nil
}
