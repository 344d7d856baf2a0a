package mfa

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/audit"
	"gatehouse/internal/opaque"
)

// sameSecond is subtracted from the not-before of what ends when a factor is
// added: a revocation ends the whole second it falls into, and the sign-in that
// has just set up the factor gets its tokens within it. Sessions, codes and
// refresh tokens of that second end all the same.
const sameSecond = time.Second

// Remove takes a factor away: the passkey id, or the one of kind k when id is
// "". With the last one recovery codes go as well. It ends every session and
// token of the person and forgets the devices. ErrNotFound; ErrLastFactor when
// who needs one.
func (f *Factors) Remove(ctx context.Context, who Person, k Kind, id string) error {
	err := f.has.Journal.InTx(ctx, func(ctx context.Context) error {
		// Two who remove two factors at once would both see the other one.
		if _, err := f.lock(ctx, who.ID); err != nil {
			return err
		}
		if err := f.take(ctx, who.ID, k, id); err != nil {
			return err
		}
		left, err := f.Of(ctx, who.ID)
		if err != nil {
			return err
		}
		if k.strong() && !left.Enrolled() {
			if f.demanded(who.Groups) {
				return ErrLastFactor
			}
			if err := f.dropRecovery(ctx, who.ID); err != nil {
				return err
			}
		}
		return f.end(ctx, who.ID, f.has.Now(), audit.Event{
			Type: "factor.removed", Detail: map[string]string{"kind": string(k)},
		})
	})
	if err != nil {
		return fmt.Errorf("remove factor of %s: %w", who.ID, err)
	}
	return nil
}

// take removes one factor; ErrNotFound.
func (f *Factors) take(ctx context.Context, userID string, k Kind, id string) error {
	var was bool
	var err error
	switch {
	case k == Passkey:
		was, err = f.has.Passkeys.Delete(ctx, userID, id)
	case id != "":
		return ErrNotFound
	case k == Recovery:
		if was, err = f.has.Secrets.Delete(ctx, userID, Recovery); err == nil {
			err = f.has.Recovery.Replace(ctx, userID, nil)
		}
	default:
		was, err = f.has.Secrets.Delete(ctx, userID, k)
	}
	if err == nil && !was {
		err = ErrNotFound
	}
	return err
}

func (f *Factors) dropRecovery(ctx context.Context, userID string) error {
	err := f.take(ctx, userID, Recovery, "")
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// Reset takes every factor of the person away, of every kind, configured or not:
// what an administrator does for somebody who has lost them. It ends every
// session and token and forgets the devices. Wrong codes stay counted.
func (f *Factors) Reset(ctx context.Context, userID string) error {
	err := f.has.Journal.InTx(ctx, func(ctx context.Context) error {
		if _, err := f.lock(ctx, userID); err != nil {
			return err
		}
		set, err := f.all(ctx, userID)
		if err != nil {
			return err
		}
		for _, x := range set.Factors {
			if err := f.take(ctx, userID, x.Kind, x.ID); err != nil {
				return err
			}
		}
		if err := f.has.Sent.Drop(ctx, userID); err != nil {
			return err
		}
		if err := f.has.People.Prefer(ctx, userID, ""); err != nil {
			return err
		}
		return f.end(ctx, userID, f.has.Now(), audit.Event{
			Type: "factors.reset", Detail: map[string]string{"count": fmt.Sprint(len(set.Factors))},
		})
	})
	if err != nil {
		return fmt.Errorf("reset factors of %s: %w", userID, err)
	}
	return nil
}

// Prefer chooses the kind that is offered first. ErrNotFound if none of it is
// enrolled; Recovery cannot be preferred.
func (f *Factors) Prefer(ctx context.Context, userID string, k Kind) error {
	err := f.has.Journal.InTx(ctx, func(ctx context.Context) error {
		if _, err := f.lock(ctx, userID); err != nil {
			return err
		}
		set, err := f.Of(ctx, userID)
		if err != nil {
			return err
		}
		if !k.strong() || !set.Has(k) {
			return ErrNotFound
		}
		if err := f.has.People.Prefer(ctx, userID, k); err != nil {
			return err
		}
		return f.has.Journal.Append(ctx, audit.Event{
			Type: "factor.preferred", Target: userID, Detail: map[string]string{"kind": string(k)},
		})
	})
	if err != nil {
		return fmt.Errorf("prefer factor of %s: %w", userID, err)
	}
	return nil
}

// Rename names a passkey. ErrNotFound, ErrName.
func (f *Factors) Rename(ctx context.Context, userID, id, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	err := f.has.Journal.InTx(ctx, func(ctx context.Context) error {
		was, err := f.has.Passkeys.Rename(ctx, userID, id, name)
		if err != nil {
			return err
		}
		if !was {
			return ErrNotFound
		}
		return f.has.Journal.Append(ctx, audit.Event{
			Type: "factor.renamed", Target: userID, Detail: map[string]string{"kind": string(Passkey), "id": id},
		})
	})
	if err != nil {
		return fmt.Errorf("rename passkey of %s: %w", userID, err)
	}
	return nil
}

// added records a new factor and ends what was issued before it.
func (f *Factors) added(ctx context.Context, userID string, k Kind) error {
	return f.end(ctx, userID, f.has.Now().Add(-sameSecond), audit.Event{
		Type: "factor.added", Detail: map[string]string{"kind": string(k)},
	})
}

// end ends all that runs for the person, and appends e, which revokes the rest.
func (f *Factors) end(ctx context.Context, userID string, notBefore time.Time, e audit.Event) error {
	if err := f.has.Ender.EndUser(ctx, userID); err != nil {
		return err
	}
	e.Target = userID
	e.Revoke = []audit.Revoke{{Kind: audit.KindSubject, Value: userID, NotBefore: notBefore}}
	return f.has.Journal.Append(ctx, e)
}

// lock makes the person's state if there is none, and keeps others from changing
// the person's factors until the transaction ends.
func (f *Factors) lock(ctx context.Context, userID string) (State, error) {
	return f.has.People.Lock(ctx, State{UserID: userID, Handle: opaque.New(32)})
}

// checkName demands a name that is safe to show: no controls, nothing that turns
// the direction of text.
func checkName(name string) error {
	if name == "" || utf8.RuneCountInString(name) > MaxName || !utf8.ValidString(name) {
		return ErrName
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return ErrName
		}
	}
	return nil
}
