package mfa

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/opaque"
)

const (
	// sendGap is how long after one code the next is sent, sendMax how many are
	// until a right answer, or an hour without one.
	sendGap = time.Minute
	sendMax = 5
)

// Digits returns the six digits that a person typed, without the ASCII spaces and
// line ends between and around them, and whether that is all there was. Digits of
// other scripts, full width and zero width are refused: one code has one
// spelling, or it could be used once for each.
func Digits(typed string) (string, bool) {
	if len(typed) > 64 {
		return "", false
	}
	plain := strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "").Replace(typed)
	if len(plain) != totpDigits {
		return "", false
	}
	for i := range len(plain) {
		if plain[i] < '0' || plain[i] > '9' {
			return "", false
		}
	}
	return plain, true
}

// Delivery asks for a code to be sent.
type Delivery struct {
	Who Person
	// Kind is Email or SMS.
	Kind Kind
	// Purpose says what the code is for: SignIn, for an enrolled factor, or
	// SetUp.
	Purpose Purpose
	// Challenge is the id of the flow in which the code may be answered.
	Challenge string
}

// Sent says where a code went.
type Sent struct {
	// To is the address or number with most of it hidden: "d•••@example.com".
	To string
	// Expires is when the code ends; Again when another may be asked for.
	Expires, Again time.Time
}

// Send sends a code, which ends the one before it. ErrNotOffered, also when a
// code for SignIn is asked for a factor that is not enrolled; *WaitError.
func (f *Factors) Send(ctx context.Context, d Delivery) (Sent, error) {
	to := address(d.Kind, d.Who)
	if !d.Kind.sent() || !f.usable(d.Kind, d.Who) || d.Challenge == "" {
		return Sent{}, ErrNotOffered
	}
	if d.Purpose != SetUp {
		d.Purpose = SignIn
		if _, err := f.secret(ctx, d.Who.ID, d.Kind); errors.Is(err, ErrNotFound) {
			return Sent{}, ErrNotOffered
		} else if err != nil {
			return Sent{}, fmt.Errorf("send code: %w", err)
		}
	}
	code, err := sixDigits()
	if err != nil {
		return Sent{}, fmt.Errorf("send code: %w", err)
	}
	now := f.has.Now()
	c := SentCode{
		SentKey:   SentKey{UserID: d.Who.ID, Kind: d.Kind, Purpose: d.Purpose},
		Challenge: d.Challenge, To: hash(to), Created: now, Expires: now.Add(f.cfg.CodeLifetime),
	}
	c.Hash = f.codeHashes(c, code)[0]
	err = f.has.Journal.InTx(ctx, func(ctx context.Context) error {
		wait, err := f.has.Counts.Raise(ctx, Count{Key: "send:" + d.Who.ID, Now: now, Max: sendMax, Window: time.Hour, Gap: sendGap})
		if err != nil {
			return err
		}
		if wait > 0 {
			return &WaitError{RetryAfter: wait}
		}
		if err := f.has.Sent.Put(ctx, c); err != nil {
			return err
		}
		if err := f.messenger(d.Kind).Send(ctx, Message{
			UserID: d.Who.ID, Kind: d.Kind, To: to, Code: code, Purpose: d.Purpose, Expires: c.Expires, Locale: d.Who.Locale,
		}); err != nil {
			return err
		}
		return f.has.Journal.Append(ctx, audit.Event{
			Type: "code.sent", Target: d.Who.ID, Detail: map[string]string{"kind": string(d.Kind), "purpose": string(d.Purpose)},
		})
	})
	if err != nil {
		return Sent{}, fmt.Errorf("send code: %w", err)
	}
	return Sent{To: masked(d.Kind, to), Expires: c.Expires, Again: now.Add(sendGap)}, nil
}

func (f *Factors) messenger(k Kind) Messenger {
	if k == SMS {
		return f.has.SMS
	}
	return f.has.Mail
}

// ConfirmSent makes e-mail or SMS a factor, if code is the one that was sent for
// SetUp in this challenge. ErrWrong, ErrTooManyTries, ErrNotOffered, *WaitError.
func (f *Factors) ConfirmSent(ctx context.Context, a Reply) (Proof, error) {
	if !a.Kind.sent() || !f.usable(a.Kind, a.Who) {
		return Proof{}, ErrNotOffered
	}
	if err := f.count(ctx, a.Who.ID); err != nil {
		return Proof{}, err
	}
	// The answer counts even if what follows is rolled back.
	if err := f.checkSent(ctx, a, SetUp); err != nil {
		return Proof{}, fmt.Errorf("check %s code: %w", a.Kind, err)
	}
	now := f.has.Now()
	err := f.has.Journal.InTx(ctx, func(ctx context.Context) error {
		if _, err := f.lock(ctx, a.Who.ID); err != nil {
			return err
		}
		if err := f.has.Secrets.Put(ctx, Secret{UserID: a.Who.ID, Kind: a.Kind, Created: now, Used: now}); err != nil {
			return err
		}
		return f.added(ctx, a.Who.ID, a.Kind)
	})
	if err != nil {
		return Proof{}, fmt.Errorf("add factor of %s: %w", a.Who.ID, err)
	}
	return Proof{UserID: a.Who.ID, Kind: a.Kind}, f.right(ctx, a.Who.ID)
}

// checkSent consumes a sent code; ErrWrong, ErrTooManyTries.
func (f *Factors) checkSent(ctx context.Context, a Reply, p Purpose) error {
	key := SentKey{UserID: a.Who.ID, Kind: a.Kind, Purpose: p}
	c, err := f.has.Sent.Try(ctx, key, a.Challenge)
	switch {
	case errors.Is(err, ErrNotFound):
		return ErrWrong
	case err != nil:
		return err
	case c.Tries > f.cfg.CodeTries:
		return ErrTooManyTries
	// A code that went to an address the person has no more proves nothing.
	case !f.has.Now().Before(c.Expires) || c.To != hash(address(a.Kind, a.Who)):
		return ErrWrong
	}
	digits, ok := Digits(a.Code)
	if !ok {
		return ErrWrong
	}
	right := 0
	for _, h := range f.codeHashes(c, digits) {
		right |= subtle.ConstantTimeCompare([]byte(h), []byte(c.Hash))
	}
	if right != 1 {
		return ErrWrong
	}
	won, err := f.has.Sent.Take(ctx, c)
	if err == nil && !won {
		err = ErrWrong
	}
	return err
}

// codeHashes returns the hash of code under every sealing key, the newest first.
// A bare hash of six digits is the six digits; so there is a key in it that is
// not in the database. Everything the code is bound to is in it as well.
func (f *Factors) codeHashes(c SentCode, code string) []string {
	var all []string
	for _, key := range f.has.Sealer.DeriveAll("mfa-sent-code", 32) {
		mac := hmac.New(sha256.New, key)
		for _, part := range []string{c.UserID, string(c.Kind), string(c.Purpose), c.Challenge, c.To, code} {
			fmt.Fprintf(mac, "%d:%s", len(part), part)
		}
		all = append(all, opaque.Encode(mac.Sum(nil)))
	}
	return all
}

func sixDigits() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%06d", n), nil
}

// hash returns the SHA-256 of text in base64url: for what cannot be guessed, or
// need not be hidden.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return opaque.Encode(sum[:])
}

// masked hides most of an address from whoever has only the password.
func masked(k Kind, to string) string {
	const dots = "•••"
	if k == SMS {
		return dots + to[max(0, len(to)-2):]
	}
	name, domain, _ := strings.Cut(to, "@")
	for _, first := range name {
		return string(first) + dots + "@" + domain
	}
	return dots + "@" + domain
}
