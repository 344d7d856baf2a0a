package mfa

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/audit"
	"gatehouse/internal/opaque"
)

const (
	// deviceTries is how many tries in a row a device may make; the next one
	// burns it.
	deviceTries = 10
	// maxDeviceName is in bytes.
	maxDeviceName = 200
)

// Remembers returns RememberOff, RememberOptional or RememberAlways.
func (f *Factors) Remembers() string {
	if f.cfg.Mode == Off {
		return RememberOff
	}
	return f.cfg.Devices.Remember
}

// Remember makes the browser that has just shown a second factor a device of the
// person, and returns its token: 256 random bits in base64url, for a cookie of
// that browser alone. name is its user agent. ErrNotOffered when devices are not
// remembered.
func (f *Factors) Remember(ctx context.Context, userID, name string) (string, Device, error) {
	if f.Remembers() == RememberOff {
		return "", Device{}, ErrNotOffered
	}
	token, now := opaque.New(32), f.has.Now()
	d := Device{
		ID: opaque.New(16), UserID: userID, Hash: hash(token), Name: deviceName(name),
		Created: now, Used: now, Expires: now.Add(f.cfg.Devices.Lifetime),
	}
	err := f.has.Journal.InTx(ctx, func(ctx context.Context) error {
		if err := f.has.Devices.Insert(ctx, d, f.cfg.Devices.Max); err != nil {
			return err
		}
		return f.has.Journal.Append(ctx, audit.Event{
			Type: "device.remembered", Target: userID, Detail: map[string]string{"id": d.ID, "name": d.Name},
		})
	})
	if err != nil {
		return "", Device{}, fmt.Errorf("remember device: %w", err)
	}
	return token, d, nil
}

// TryDevice reports whether token is that of a device of the person, and counts
// a try of that device before its password is checked. A device has its own
// count, so that a stranger who locks an account does not lock out its devices;
// ten tries in a row without UseDevice burn it.
func (f *Factors) TryDevice(ctx context.Context, userID, token string) (bool, error) {
	if f.Remembers() == RememberOff || token == "" {
		return false, nil
	}
	d, err := f.has.Devices.Try(ctx, userID, hash(token), f.has.Now())
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("try device: %w", err)
	}
	if d.Failures <= deviceTries {
		return true, nil
	}
	if err := f.forget(ctx, d.UserID, d.ID, "device.burned"); err != nil && !errors.Is(err, ErrNotFound) {
		return false, err
	}
	return false, nil
}

// UseDevice lets the person skip the second factor on a device, after a right
// password: it exchanges the token for a new one, which the browser must get, and
// clears the count of tries. It works once for a token. The amr of the sign-in
// says nothing of it. ErrNotFound when there is no such device of this person.
func (f *Factors) UseDevice(ctx context.Context, userID, token string) (string, Device, error) {
	if f.Remembers() == RememberOff || token == "" {
		return "", Device{}, ErrNotFound
	}
	next := opaque.New(32)
	d, err := f.has.Devices.Rotate(ctx, Rotation{UserID: userID, Old: hash(token), New: hash(next), Now: f.has.Now()})
	if err != nil {
		return "", Device{}, fmt.Errorf("use device: %w", err)
	}
	return next, d, nil
}

// Devices returns the devices of a person that have not expired, the last used
// first.
func (f *Factors) Devices(ctx context.Context, userID string) ([]Device, error) {
	list, err := f.has.Devices.List(ctx, userID)
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	live := list[:0]
	for _, d := range list {
		if f.has.Now().Before(d.Expires) {
			live = append(live, d)
		}
	}
	return live, nil
}

// Forget forgets one device of a person; ErrNotFound.
func (f *Factors) Forget(ctx context.Context, userID, id string) error {
	return f.forget(ctx, userID, id, "device.forgotten")
}

func (f *Factors) forget(ctx context.Context, userID, id, event string) error {
	err := f.has.Journal.InTx(ctx, func(ctx context.Context) error {
		was, err := f.has.Devices.Delete(ctx, userID, id)
		if err != nil {
			return err
		}
		if !was {
			return ErrNotFound
		}
		return f.has.Journal.Append(ctx, audit.Event{Type: event, Target: userID, Detail: map[string]string{"id": id}})
	})
	if err != nil {
		return fmt.Errorf("forget device: %w", err)
	}
	return nil
}

// deviceName bounds a user agent and drops what is no plain text.
func deviceName(agent string) string {
	plain := strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return -1
		}
		return r
	}, strings.ToValidUTF8(agent, ""))
	for len(plain) > maxDeviceName {
		_, size := utf8.DecodeLastRuneInString(plain)
		plain = plain[:len(plain)-size]
	}
	return plain
}
