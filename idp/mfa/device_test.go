package mfa_test

import (
	"strings"
	"testing"
	"time"

	"gatehouse/idp/mfa"
	"gatehouse/idp/store/storetest"
)

func (w *world) remember(who mfa.Person) string {
	w.Helper()
	token, _, err := w.f.Remember(w.Context(), who.ID, "Mozilla/5.0 (X11)")
	w.must(err)
	return token
}

func TestDeviceTokenRotatesAtEachUse(t *testing.T) {
	w := newWorld(t)
	first := w.remember(w.alice)
	if len(first) != 43 || storetest.Holds(t, w.db, first) {
		t.Errorf("token %q: want 256 bits, and its hash only in the database", first)
	}
	_, _, err := w.f.UseDevice(t.Context(), w.bob.ID, first)
	w.want("bob with alice's device", err, mfa.ErrNotFound)
	second, d, err := w.f.UseDevice(t.Context(), w.alice.ID, first)
	w.must(err)
	if d.Name != "Mozilla/5.0 (X11)" || second == first {
		t.Errorf("device %+v, token %q after %q", d, second, first)
	}
	_, _, err = w.f.UseDevice(t.Context(), w.alice.ID, first)
	w.want("the token before", err, mfa.ErrNotFound)
	won := w.atOnce(func(int) error {
		_, _, err := w.f.UseDevice(t.Context(), w.alice.ID, second)
		return err
	}, mfa.ErrNotFound)
	if won != 1 {
		t.Errorf("one token was used %d times", won)
	}
	_, _, err = w.f.UseDevice(t.Context(), w.alice.ID, "")
	w.want("no token", err, mfa.ErrNotFound)
}

func TestDeviceEndsWithItsLifetimeHoweverUsed(t *testing.T) {
	w := newWorld(t)
	token := w.remember(w.alice)
	var err error
	for range 29 {
		w.clock.Forward(24 * time.Hour)
		token, _, err = w.f.UseDevice(t.Context(), w.alice.ID, token)
		w.must(err)
	}
	w.clock.Forward(24 * time.Hour)
	_, _, err = w.f.UseDevice(t.Context(), w.alice.ID, token)
	w.want("after thirty days", err, mfa.ErrNotFound)
	if list, err := w.f.Devices(t.Context(), w.alice.ID); len(list) > 0 || err != nil {
		t.Errorf("devices = %v, %v", list, err)
	}
}

func TestPersonHasTenDevices(t *testing.T) {
	w := newWorld(t)
	first := w.remember(w.alice)
	for range 10 {
		w.clock.Forward(time.Second)
		w.remember(w.alice)
	}
	if list, err := w.f.Devices(t.Context(), w.alice.ID); len(list) != 10 || err != nil {
		t.Errorf("%d devices, %v; want 10", len(list), err)
	}
	_, _, err := w.f.UseDevice(t.Context(), w.alice.ID, first)
	w.want("the oldest device", err, mfa.ErrNotFound)
}

// S24: guesses from a known device are bounded by the device.
func TestTenFailuresBurnADevice(t *testing.T) {
	w := newWorld(t)
	token := w.remember(w.alice)
	for round := range 2 {
		for i := range 10 {
			if ok, err := w.f.TryDevice(t.Context(), w.alice.ID, token); !ok || err != nil {
				t.Fatalf("round %d, try %d = %v, %v", round, i, ok, err)
			}
		}
		if round == 0 {
			var err error
			token, _, err = w.f.UseDevice(t.Context(), w.alice.ID, token)
			w.must(err)
		}
	}
	if ok, err := w.f.TryDevice(t.Context(), w.bob.ID, token); ok || err != nil {
		t.Errorf("bob tries alice's device: %v, %v", ok, err)
	}
	if ok, err := w.f.TryDevice(t.Context(), w.alice.ID, token); ok || err != nil {
		t.Errorf("the eleventh try = %v, %v", ok, err)
	}
	if e := w.lastEvent(); e.Type != "device.burned" || e.Target != w.alice.ID {
		t.Errorf("event = %+v", e)
	}
	_, _, err := w.f.UseDevice(t.Context(), w.alice.ID, token)
	w.want("a burned device", err, mfa.ErrNotFound)
}

func TestDevicesDieWithAFactorChange(t *testing.T) {
	w := newWorld(t)
	w.enrol(w.alice)
	token, bobs := w.remember(w.alice), w.remember(w.bob)
	w.enrolMail(w.alice)
	_, _, err := w.f.UseDevice(t.Context(), w.alice.ID, token)
	w.want("after a factor was added", err, mfa.ErrNotFound)
	token = w.remember(w.alice)
	w.must(w.f.Reset(t.Context(), w.alice.ID))
	_, _, err = w.f.UseDevice(t.Context(), w.alice.ID, token)
	w.want("after a reset", err, mfa.ErrNotFound)
	_, _, err = w.f.UseDevice(t.Context(), w.bob.ID, bobs)
	w.must(err)
}

func TestDeviceIsForgottenByItsOwnerOnly(t *testing.T) {
	w := newWorld(t)
	token := w.remember(w.alice)
	list, err := w.f.Devices(t.Context(), w.alice.ID)
	w.must(err)
	w.want("bob forgets alice's", w.f.Forget(t.Context(), w.bob.ID, list[0].ID), mfa.ErrNotFound)
	w.must(w.f.Forget(t.Context(), w.alice.ID, list[0].ID))
	_, _, err = w.f.UseDevice(t.Context(), w.alice.ID, token)
	w.want("a forgotten device", err, mfa.ErrNotFound)
}

func TestDevicesAreOffUnlessConfigured(t *testing.T) {
	for _, edit := range []func(*mfa.Config){
		func(c *mfa.Config) { c.Devices.Remember = mfa.RememberOff },
		func(c *mfa.Config) { c.Mode = mfa.Off },
	} {
		w := newWorld(t)
		token := w.remember(w.alice)
		edit(&w.cfg)
		w.f = w.factors(w.sealer)
		_, _, err := w.f.Remember(t.Context(), w.alice.ID, "x")
		w.want("Remember", err, mfa.ErrNotOffered)
		_, _, err = w.f.UseDevice(t.Context(), w.alice.ID, token)
		w.want("UseDevice", err, mfa.ErrNotFound)
		if ok, err := w.f.TryDevice(t.Context(), w.alice.ID, token); ok || err != nil {
			t.Errorf("TryDevice = %v, %v", ok, err)
		}
	}
}

func TestDeviceNameIsBoundedPlainText(t *testing.T) {
	w := newWorld(t)
	_, d, err := w.f.Remember(t.Context(), w.alice.ID, "a\x00\u202eb\r\nX: y"+strings.Repeat("z", 500))
	w.must(err)
	if len(d.Name) != 200 || !strings.HasPrefix(d.Name, "abX: yzzz") {
		t.Errorf("name = %q", d.Name)
	}
}
