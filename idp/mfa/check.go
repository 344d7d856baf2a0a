package mfa

import (
	"context"
	"fmt"
	"time"
)

// Reply is what a person answers with a code.
type Reply struct {
	Who Person
	// Kind is TOTP, Email, SMS or Recovery.
	Kind Kind
	// Challenge is the id of the flow, as it was for Send; only sent codes need
	// it.
	Challenge string
	// Code is what was typed, of any length.
	Code string
}

// Check consumes a right code and returns the proof. It raises the count of the
// account before it looks, so it must not be called in a transaction. A factor
// that the person does not have is as wrong as a wrong code. ErrWrong,
// ErrTooManyTries, ErrNotOffered, *WaitError.
func (f *Factors) Check(ctx context.Context, a Reply) (Proof, error) {
	if !f.usable(a.Kind, a.Who) || a.Kind == Passkey {
		return Proof{}, ErrNotOffered
	}
	if err := f.count(ctx, a.Who.ID); err != nil {
		return Proof{}, err
	}
	proof := Proof{UserID: a.Who.ID, Kind: a.Kind}
	var err error
	switch a.Kind {
	case TOTP:
		err = f.checkTOTP(ctx, a.Who.ID, a.Code)
	case Recovery:
		proof.Left, err = f.checkRecovery(ctx, a.Who.ID, a.Code)
	default:
		err = f.checkEnrolled(ctx, a)
	}
	if err != nil {
		return Proof{}, fmt.Errorf("check %s code: %w", a.Kind, err)
	}
	return proof, f.right(ctx, a.Who.ID)
}

// checkEnrolled is checkSent for a factor that is still enrolled.
func (f *Factors) checkEnrolled(ctx context.Context, a Reply) error {
	set, err := f.Of(ctx, a.Who.ID)
	if err != nil {
		return err
	}
	if !set.Has(a.Kind) {
		return ErrWrong
	}
	if err := f.checkSent(ctx, a, SignIn); err != nil {
		return err
	}
	return f.has.Secrets.Touch(ctx, a.Who.ID, a.Kind, f.has.Now())
}

// count raises the count of answers of the account, over all kinds; *WaitError
// when there were too many.
func (f *Factors) count(ctx context.Context, userID string) error {
	wait, err := f.has.Counts.Raise(ctx, Count{
		Key: "code:" + userID, Now: f.has.Now(), Max: f.cfg.AccountTries, Window: tryWindow,
	})
	if err != nil {
		return fmt.Errorf("count answer: %w", err)
	}
	if wait > 0 {
		return &WaitError{RetryAfter: wait}
	}
	return nil
}

// right forgets the counts after a right answer.
func (f *Factors) right(ctx context.Context, userID string) error {
	for _, key := range []string{"code:" + userID, "send:" + userID} {
		if err := f.has.Counts.Clear(ctx, key); err != nil {
			return fmt.Errorf("clear count: %w", err)
		}
	}
	return nil
}

// spend marks an artefact as used; ErrStale when it was.
func (f *Factors) spend(ctx context.Context, artefact []byte, until time.Time) error {
	fresh, err := f.has.Spent.Spend(ctx, hash(string(artefact)), until)
	if err == nil && !fresh {
		err = ErrStale
	}
	return err
}
