package mfa

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"
)

const (
	totpPeriod = 30 // seconds
	totpDigits = 6
	totpSecret = 20 // bytes, the length of a SHA-1 key (RFC 4226 §4, R6)
)

// totpCode returns the code of key at a time step (RFC 4226 §5.3). SHA-1 is what
// every app can do; as a MAC it is not broken.
func totpCode(key []byte, step int64) string {
	mac := hmac.New(sha1.New, key)
	binary.Write(mac, binary.BigEndian, step)
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0x0f
	n := binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", totpDigits, n%1_000_000)
}

// totpStep returns the time step that code, six ASCII digits, belongs to, counted
// in 30-second steps since 1970. It accepts one step either side of now and none
// at or before last, so that a code works once (RFC 6238 §5.2). Of the steps in
// question all are computed, so that the time it takes does not tell which.
func totpStep(key []byte, code string, now time.Time, last int64) (int64, bool) {
	found, current := int64(0), now.Unix()/totpPeriod
	for step := current - 1; step <= current+1; step++ {
		right := subtle.ConstantTimeCompare([]byte(totpCode(key, step)), []byte(code)) == 1
		if right && step > last {
			found = step
		}
	}
	return found, found > 0
}

// TOTPSetup is what a person needs to set up an authenticator app. Everything
// but Artefact is secret and for the person's eyes.
type TOTPSetup struct {
	// Artefact is the sealed secret, bound to the person and to CodeLifetime;
	// the caller's flow keeps it for ConfirmTOTP.
	Artefact []byte
	// Secret is the key in Base32 without padding, to be typed.
	Secret string
	// URI is the otpauth: URI of the key.
	URI string
	// QR is URI as an SVG image: one root element with a viewBox and no style,
	// so that it may stand inside a page under a strict CSP.
	QR string
}

// artefact is what TOTPSetup.Artefact seals.
type artefact struct {
	Key     []byte    `json:"key"`
	Expires time.Time `json:"expires"`
}

// BeginTOTP makes a secret for who. Nothing is stored: the factor begins with
// ConfirmTOTP. ErrNotOffered.
func (f *Factors) BeginTOTP(who Person) (TOTPSetup, error) {
	if !f.enabled(TOTP) {
		return TOTPSetup{}, ErrNotOffered
	}
	key := make([]byte, totpSecret)
	rand.Read(key)
	plain, err := json.Marshal(artefact{Key: key, Expires: f.has.Now().Add(f.cfg.CodeLifetime)})
	if err != nil {
		return TOTPSetup{}, fmt.Errorf("begin set-up: %w", err)
	}
	sealed, err := f.has.Sealer.Seal(plain, "totp-setup", "mfa_setup", "secret", who.ID)
	if err != nil {
		return TOTPSetup{}, fmt.Errorf("begin set-up: %w", err)
	}
	return f.shown(who, key, sealed)
}

// ShowTOTP returns the same set-up again, for a page that is shown once more
// after a wrong code; ErrStale.
func (f *Factors) ShowTOTP(who Person, sealed []byte) (TOTPSetup, error) {
	a, err := f.openArtefact(who.ID, sealed)
	if err != nil {
		return TOTPSetup{}, err
	}
	return f.shown(who, a.Key, sealed)
}

func (f *Factors) shown(who Person, key, sealed []byte) (TOTPSetup, error) {
	secret := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(key)
	uri := otpauth(f.has.Issuer.Host, who.Name, secret)
	image, err := qr(uri)
	if err != nil {
		return TOTPSetup{}, fmt.Errorf("show set-up: %w", err)
	}
	return TOTPSetup{Artefact: sealed, Secret: secret, URI: uri, QR: image}, nil
}

// otpauth returns the URI that authenticator apps read. Apps read a space in
// %20 and not in +.
func otpauth(issuer, name, secret string) string {
	label := url.PathEscape(issuer) + ":" + url.PathEscape(name)
	return fmt.Sprintf("otpauth://totp/%s?secret=%s&issuer=%s&algorithm=SHA1&digits=%d&period=%d",
		label, secret, url.PathEscape(issuer), totpDigits, totpPeriod)
}

// ConfirmTOTP makes the secret of the artefact a factor, in the place of an
// older one, if code is right. The code is used up by that. It ends every session
// and token of before. ErrStale, ErrWrong, ErrName, ErrNotOffered, *WaitError.
func (f *Factors) ConfirmTOTP(ctx context.Context, who Person, sealed []byte, code, name string) (Proof, error) {
	if !f.enabled(TOTP) {
		return Proof{}, ErrNotOffered
	}
	if name != "" && checkName(name) != nil {
		return Proof{}, ErrName
	}
	a, err := f.openArtefact(who.ID, sealed)
	if err != nil {
		return Proof{}, err
	}
	if err := f.count(ctx, who.ID); err != nil {
		return Proof{}, err
	}
	digits, ok := Digits(code)
	if !ok {
		return Proof{}, ErrWrong
	}
	now := f.has.Now()
	step, ok := totpStep(a.Key, digits, now, 0)
	if !ok {
		return Proof{}, ErrWrong
	}
	key, err := f.has.Sealer.Seal(a.Key, "totp", "mfa_secret", "sealed", who.ID)
	if err != nil {
		return Proof{}, fmt.Errorf("seal factor: %w", err)
	}
	err = f.has.Journal.InTx(ctx, func(ctx context.Context) error {
		if err := f.spend(ctx, sealed, a.Expires); err != nil {
			return err
		}
		if _, err := f.lock(ctx, who.ID); err != nil {
			return err
		}
		if err := f.has.Secrets.Put(ctx, Secret{
			UserID: who.ID, Kind: TOTP, Sealed: key, Name: name, Step: step, Created: now, Used: now,
		}); err != nil {
			return err
		}
		return f.added(ctx, who.ID, TOTP)
	})
	if err != nil {
		return Proof{}, fmt.Errorf("add factor of %s: %w", who.ID, err)
	}
	return Proof{UserID: who.ID, Kind: TOTP}, f.right(ctx, who.ID)
}

// openArtefact returns what BeginTOTP made for this person; ErrStale.
func (f *Factors) openArtefact(userID string, sealed []byte) (artefact, error) {
	plain, err := f.has.Sealer.Open(sealed, "totp-setup", "mfa_setup", "secret", userID)
	if err != nil {
		return artefact{}, ErrStale
	}
	var a artefact
	if err := json.Unmarshal(plain, &a); err != nil || len(a.Key) != totpSecret || !f.has.Now().Before(a.Expires) {
		return artefact{}, ErrStale
	}
	return a, nil
}

// checkTOTP consumes the step of a right code; ErrWrong for all else.
func (f *Factors) checkTOTP(ctx context.Context, userID, code string) error {
	digits, ok := Digits(code)
	if !ok {
		return ErrWrong
	}
	s, err := f.secret(ctx, userID, TOTP)
	if errors.Is(err, ErrNotFound) {
		return ErrWrong
	}
	if err != nil {
		return err
	}
	key, err := f.has.Sealer.Open(s.Sealed, "totp", "mfa_secret", "sealed", userID)
	if err != nil {
		return fmt.Errorf("open totp secret: %w", err)
	}
	step, ok := totpStep(key, digits, f.has.Now(), s.Step)
	if !ok {
		return ErrWrong
	}
	s.Used = f.has.Now()
	won, err := f.has.Secrets.Advance(ctx, s, step)
	if err == nil && !won {
		err = ErrWrong
	}
	return err
}

// secret returns one of the person's secrets; ErrNotFound.
func (f *Factors) secret(ctx context.Context, userID string, k Kind) (Secret, error) {
	list, err := f.has.Secrets.List(ctx, userID)
	if err != nil {
		return Secret{}, err
	}
	for _, s := range list {
		if s.Kind == k {
			return s, nil
		}
	}
	return Secret{}, ErrNotFound
}
