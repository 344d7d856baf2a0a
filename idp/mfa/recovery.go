package mfa

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"gatehouse/internal/audit"
	"gatehouse/internal/opaque"
)

const (
	// RecoveryCount is how many recovery codes a person gets at once.
	RecoveryCount = 10
	// recoveryLength is in characters of five bits: 50 bits a code.
	recoveryLength = 10
	// recoveryAlphabet has no i, l, o and u (Crockford's Base32): what looks like
	// 1 and 0 is read as 1 and 0.
	recoveryAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"
)

// NewRecoveryCodes makes ten recovery codes in the place of all there were, and
// returns them: "xxxxx-xxxxx" of 50 random bits each. They are shown once; only
// their hashes are kept. Sessions and devices stay: nothing that was proven
// before is proven less. ErrNotOffered for a person without a second factor, for
// whom they would be the only one.
func (f *Factors) NewRecoveryCodes(ctx context.Context, userID string) ([]string, error) {
	if !f.enabled(Recovery) {
		return nil, ErrNotOffered
	}
	key := make([]byte, 32)
	rand.Read(key)
	sealed, err := f.has.Sealer.Seal(key, "recovery", "mfa_secret", "sealed", userID)
	if err != nil {
		return nil, fmt.Errorf("seal recovery key: %w", err)
	}
	var codes, hashes []string
	for range RecoveryCount {
		plain := recoveryCode()
		codes = append(codes, plain[:recoveryLength/2]+"-"+plain[recoveryLength/2:])
		hashes = append(hashes, recoveryHash(key, plain))
	}
	err = f.has.Journal.InTx(ctx, func(ctx context.Context) error {
		if _, err := f.lock(ctx, userID); err != nil {
			return err
		}
		set, err := f.Of(ctx, userID)
		if err != nil {
			return err
		}
		if !set.Enrolled() {
			return ErrNotOffered
		}
		if err := f.has.Secrets.Put(ctx, Secret{UserID: userID, Kind: Recovery, Sealed: sealed, Created: f.has.Now()}); err != nil {
			return err
		}
		if err := f.has.Recovery.Replace(ctx, userID, hashes); err != nil {
			return err
		}
		return f.has.Journal.Append(ctx, audit.Event{
			Type: "recovery_codes.made", Target: userID, Detail: map[string]string{"count": fmt.Sprint(RecoveryCount)},
		})
	})
	if err != nil {
		return nil, fmt.Errorf("make recovery codes: %w", err)
	}
	return codes, nil
}

// checkRecovery consumes a recovery code and returns how many are left; ErrWrong.
func (f *Factors) checkRecovery(ctx context.Context, userID, typed string) (int, error) {
	plain, ok := ParseRecoveryCode(typed)
	if !ok {
		return 0, ErrWrong
	}
	s, err := f.secret(ctx, userID, Recovery)
	if errors.Is(err, ErrNotFound) {
		return 0, ErrWrong
	}
	if err != nil {
		return 0, err
	}
	key, err := f.has.Sealer.Open(s.Sealed, "recovery", "mfa_secret", "sealed", userID)
	if err != nil {
		return 0, fmt.Errorf("open recovery key: %w", err)
	}
	var left int
	err = f.has.Journal.InTx(ctx, func(ctx context.Context) error {
		won, err := f.has.Recovery.Take(ctx, userID, recoveryHash(key, plain))
		if err != nil {
			return err
		}
		if !won {
			return ErrWrong
		}
		if left, err = f.has.Recovery.Left(ctx, userID); err != nil {
			return err
		}
		if err := f.has.Secrets.Touch(ctx, userID, Recovery, f.has.Now()); err != nil {
			return err
		}
		return f.has.Journal.Append(ctx, audit.Event{
			Type: "recovery_code.used", Target: userID, Detail: map[string]string{"left": fmt.Sprint(left)},
		})
	})
	return left, err
}

func recoveryCode() string {
	b := make([]byte, recoveryLength)
	rand.Read(b)
	for i := range b {
		b[i] = recoveryAlphabet[b[i]%32]
	}
	return string(b)
}

// recoveryHash keys the hash with what stands in the database sealed only: 50
// bits of a bare hash are a day's work.
func recoveryHash(key []byte, plain string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(plain))
	return opaque.Encode(mac.Sum(nil))
}

// ParseRecoveryCode returns the ten characters of a recovery code as typed: in
// either case, with ASCII spaces and hyphens anywhere, i and l for 1 and o for 0.
// It reports false for all else.
func ParseRecoveryCode(typed string) (string, bool) {
	if len(typed) > 64 {
		return "", false
	}
	var plain []byte
	for i := range len(typed) {
		c := typed[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		switch {
		case c == ' ' || c == '-' || c == '\t' || c == '\r' || c == '\n':
		case c == 'i' || c == 'l':
			plain = append(plain, '1')
		case c == 'o':
			plain = append(plain, '0')
		case '0' <= c && c <= '9' || 'a' <= c && c <= 'z' && c != 'u':
			plain = append(plain, c)
		default:
			return "", false
		}
	}
	return string(plain), len(plain) == recoveryLength
}
