package mfa

import (
	"context"
	"encoding/base32"
	"fmt"
	"strings"
)

// The bounds on the key of an authenticator app of elsewhere, in bytes: 128 bits
// at least (RFC 4226 §4, R6), and no more than a block of SHA-1.
const (
	minForeignKey = 16
	maxForeignKey = 64
)

// ForeignTOTP is an authenticator app that was set up elsewhere, as a file tells
// it.
type ForeignTOTP struct {
	// Secret is the key in Base32 (RFC 4648 §6), of either case, with or without
	// padding: 16 to 64 bytes.
	Secret string
	// Algorithm is SHA1, as otpauth URIs spell it, SHA-1, or HmacSHA1 as Keycloak
	// does, in any case of letters.
	Algorithm string
	// Digits is how many digits a code has, Period how many seconds it lives.
	Digits, Period int
}

// OurTOTP returns what a secret is by itself: SHA-1, six digits, 30 seconds,
// which is the default of otpauth URIs as well.
func OurTOTP(secret string) ForeignTOTP {
	return ForeignTOTP{Secret: secret, Algorithm: "SHA1", Digits: totpDigits, Period: totpPeriod}
}

// ForeignError says why an authenticator app of elsewhere is not taken.
type ForeignError struct {
	// Field is secret, algorithm, digits or period.
	Field string
	// Reason is a sentence that holds nothing of the secret.
	Reason string
}

func (e *ForeignError) Error() string { return e.Field + ": " + e.Reason }

// Key returns the raw key; *ForeignError for an app whose codes would be other
// ones than those that are checked here, and for a key that is none.
func (t ForeignTOTP) Key() ([]byte, error) {
	switch strings.ToUpper(t.Algorithm) {
	case "SHA1", "SHA-1", "HMACSHA1":
	default:
		return nil, &ForeignError{"algorithm", "it is SHA1 here; set the app up anew"}
	}
	if t.Digits != totpDigits {
		return nil, &ForeignError{"digits", fmt.Sprintf("codes have %d digits here; set the app up anew", totpDigits)}
	}
	if t.Period != totpPeriod {
		return nil, &ForeignError{"period", fmt.Sprintf("codes live %d seconds here; set the app up anew", totpPeriod)}
	}
	// The decoder passes over line breaks, which no secret has.
	text := strings.TrimRight(strings.ToUpper(t.Secret), "=")
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, &ForeignError{"secret", "it is no Base32"}
	}
	if len(key) < minForeignKey || len(key) > maxForeignKey {
		return nil, &ForeignError{"secret", fmt.Sprintf("it has %d to %d bytes in Base32", minForeignKey, maxForeignKey)}
	}
	return key, nil
}

// Offers reports whether the kind is configured and can work here.
func (f *Factors) Offers(k Kind) bool { return f.enabled(k) }

// BringTOTP makes the raw keys, by user id, factors of people who were made in
// the transaction of ctx and so have nothing that would end by it. Codes that an
// app shows now or next may have been used where the key comes from, and are not
// taken. ErrNotOffered.
func (f *Factors) BringTOTP(ctx context.Context, keys map[string][]byte) error {
	if len(keys) == 0 {
		return nil
	}
	if !f.enabled(TOTP) {
		return ErrNotOffered
	}
	now := f.has.Now()
	all := make([]Secret, 0, len(keys))
	for id, key := range keys {
		sealed, err := f.has.Sealer.Seal(key, TOTP.sealed(), "mfa_secret", "sealed", id)
		if err != nil {
			return fmt.Errorf("seal factor of %s: %w", id, err)
		}
		all = append(all, Secret{UserID: id, Kind: TOTP, Sealed: sealed, Step: now.Unix()/totpPeriod + 1, Created: now})
	}
	if err := f.has.Seals.Add(ctx, all); err != nil {
		return fmt.Errorf("bring factors along: %w", err)
	}
	return nil
}

// TOTPSecrets returns the secrets of the authenticator apps of people, in Base32
// without padding, by user id: what lets whoever reads it show their second
// factor. Who has none is not in it.
func (f *Factors) TOTPSecrets(ctx context.Context, userIDs []string) (map[string]string, error) {
	rows, err := f.has.Seals.Of(ctx, TOTP, userIDs)
	if err != nil {
		return nil, fmt.Errorf("read factors: %w", err)
	}
	out := make(map[string]string, len(rows))
	for _, row := range rows {
		key, err := f.has.Sealer.Open(row.Sealed, TOTP.sealed(), "mfa_secret", "sealed", row.UserID)
		if err != nil {
			return nil, fmt.Errorf("open factor of %s: %w", row.UserID, err)
		}
		out[row.UserID] = base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(key)
	}
	return out, nil
}
