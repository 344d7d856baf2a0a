package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/idp/mfa"
)

// people inserts the users u1, u2, … that rows of factors belong to.
func people(t *testing.T, s Store, n int) {
	t.Helper()
	for i := range n {
		id := fmt.Sprint("u", i+1)
		must(t, s.Users().Insert(t.Context(), user(id, id), []string{id}))
	}
}

func factorState(t *testing.T, s Store) {
	ctx := t.Context()
	people(t, s, 2)
	st, err := s.MFAPeople().State(ctx, "u1")
	must(t, err)
	same(t, "no state", st, mfa.State{UserID: "u1"})
	wantErr(t, "Prefer without a state", s.MFAPeople().Prefer(ctx, "u1", mfa.TOTP), mfa.ErrNotFound)
	first := make(chan string, Callers)
	atOnce(t, func(i int) (bool, error) {
		st, err := s.MFAPeople().Lock(ctx, mfa.State{UserID: "u1", Handle: fmt.Sprint("h", i)})
		first <- st.Handle
		return true, err
	})
	handle := <-first
	for range Callers - 1 {
		if other := <-first; other != handle {
			t.Fatalf("handles %q and %q of one person", handle, other)
		}
	}
	must(t, s.MFAPeople().Prefer(ctx, "u1", mfa.Passkey))
	st, err = s.MFAPeople().ByHandle(ctx, handle)
	must(t, err)
	same(t, "state by handle", st, mfa.State{UserID: "u1", Handle: handle, Preferred: mfa.Passkey})
	_, err = s.MFAPeople().ByHandle(ctx, "")
	wantErr(t, "ByHandle of nobody", err, mfa.ErrNotFound)
	_, err = s.MFAPeople().Lock(ctx, mfa.State{UserID: "u2", Handle: handle})
	if err == nil {
		t.Fatal("two people have one handle")
	}
}

func totpRow(id string, sealed byte) mfa.Secret {
	return mfa.Secret{UserID: id, Kind: mfa.TOTP, Sealed: []byte{sealed}, Name: "phone", Step: 7, Created: t0, Used: t0}
}

func factorSecrets(t *testing.T, s Store) {
	ctx := t.Context()
	people(t, s, 2)
	row := totpRow("u1", 1)
	must(t, s.MFASecrets().Put(ctx, row))
	list, err := s.MFASecrets().List(ctx, "u1")
	must(t, err)
	same(t, "secrets", list, []mfa.Secret{row})

	row.Used = t0.Add(time.Minute)
	won := atOnce(t, func(int) (bool, error) { return s.MFASecrets().Advance(ctx, row, 8) })
	if won != 1 {
		t.Errorf("one step was used %d times", won)
	}
	for _, step := range []int64{7, 8} {
		if ok, err := s.MFASecrets().Advance(ctx, row, step); ok || err != nil {
			t.Errorf("Advance to %d after 8 = %v, %v", step, ok, err)
		}
	}
	must(t, s.MFASecrets().Put(ctx, totpRow("u1", 2)))
	if ok, err := s.MFASecrets().Advance(ctx, row, 9); ok || err != nil {
		t.Errorf("Advance of a secret that was replaced = %v, %v", ok, err)
	}
	must(t, s.MFASecrets().Touch(ctx, "u1", mfa.TOTP, t0.Add(time.Hour)))
	list, err = s.MFASecrets().List(ctx, "u1")
	must(t, err)
	replaced := totpRow("u1", 2)
	replaced.Used = t0.Add(time.Hour)
	same(t, "replaced and touched", list, []mfa.Secret{replaced})
	gone := atOnce(t, func(int) (bool, error) { return s.MFASecrets().Delete(ctx, "u1", mfa.TOTP) })
	if gone != 1 {
		t.Errorf("Delete reported %d times that it was there", gone)
	}
}

func factorSeals(t *testing.T, s Store) {
	ctx := t.Context()
	people(t, s, 3)
	var want []mfa.Secret
	for i, id := range []string{"u1", "u2", "u3"} {
		recovery := mfa.Secret{UserID: id, Kind: mfa.Recovery, Sealed: []byte{9, byte(i)}, Created: t0}
		for _, row := range []mfa.Secret{recovery, totpRow(id, byte(i+1)), {UserID: id, Kind: mfa.Email, Created: t0}} {
			must(t, s.MFASecrets().Put(ctx, row))
			if len(row.Sealed) > 0 {
				want = append(want, row)
			}
		}
	}
	var got []mfa.Secret
	var after mfa.Secret
	for {
		page, err := s.MFASeals().Sealed(ctx, after, 4)
		must(t, err)
		if len(page) == 0 {
			break
		}
		got, after = append(got, page...), page[len(page)-1]
	}
	same(t, "sealed secrets", got, want)
	must(t, s.MFASeals().Reseal(ctx, want[1], []byte{42}))
	stale := want[3]
	stale.Sealed = []byte{77}
	must(t, s.MFASeals().Reseal(ctx, stale, []byte{42}))
	page, err := s.MFASeals().Sealed(ctx, mfa.Secret{}, 9)
	must(t, err)
	want[1].Sealed = []byte{42}
	same(t, "after Reseal", page, want)
}

func factorsOfMany(t *testing.T, s Store) {
	ctx := t.Context()
	// More than any statement takes.
	people(t, s, 700)
	ids, all := []string{"nobody"}, []mfa.Secret(nil)
	for n := range 700 {
		ids = append(ids, fmt.Sprint("u", n+1))
		if n > 1 {
			all = append(all, totpRow(fmt.Sprint("u", n+1), byte(n)))
		}
	}
	must(t, s.MFASecrets().Put(ctx, mfa.Secret{UserID: "u1", Kind: mfa.Email, Created: t0}))
	must(t, s.MFASeals().Add(ctx, all))
	got, err := s.MFASeals().Of(ctx, mfa.TOTP, ids)
	must(t, err)
	slices.SortFunc(got, func(a, b mfa.Secret) int { return strings.Compare(a.UserID, b.UserID) })
	slices.SortFunc(all, func(a, b mfa.Secret) int { return strings.Compare(a.UserID, b.UserID) })
	same(t, "secrets of many", got, all)

	// One of them is there: no other goes in either, and it stays as it was.
	wantErr(t, "Add of one who has one", s.MFASeals().Add(ctx, []mfa.Secret{totpRow("u2", 5), totpRow("u3", 99)}), mfa.ErrExists)
	got, err = s.MFASeals().Of(ctx, mfa.TOTP, []string{"u2", "u3"})
	must(t, err)
	same(t, "after a refused Add", got, []mfa.Secret{totpRow("u3", 2)})
	must(t, s.MFASeals().Add(ctx, nil))
}

func recoveryCodes(t *testing.T, s Store) {
	ctx := t.Context()
	people(t, s, 2)
	codes := s.MFARecovery()
	must(t, codes.Replace(ctx, "u1", []string{"a", "b", "c"}))
	must(t, codes.Replace(ctx, "u2", []string{"a"}))
	won := atOnce(t, func(int) (bool, error) { return codes.Take(ctx, "u1", "a") })
	if won != 1 {
		t.Errorf("one recovery code was taken %d times", won)
	}
	left := func(id string, want int) {
		t.Helper()
		if n, err := codes.Left(ctx, id); n != want || err != nil {
			t.Errorf("%s has %d codes left, %v; want %d", id, n, err, want)
		}
	}
	left("u1", 2)
	left("u2", 1)
	must(t, codes.Replace(ctx, "u1", []string{"d"}))
	left("u1", 1)
	if ok, err := codes.Take(ctx, "u1", "b"); ok || err != nil {
		t.Errorf("Take of a replaced code = %v, %v", ok, err)
	}
	must(t, codes.Replace(ctx, "u1", nil))
	left("u1", 0)
}

func sentCodes(t *testing.T, s Store) {
	ctx := t.Context()
	people(t, s, 1)
	key := mfa.SentKey{UserID: "u1", Kind: mfa.Email, Purpose: mfa.SignIn}
	c := mfa.SentCode{SentKey: key, Challenge: "f1", Hash: "h1", To: "t", Created: t0, Expires: t0.Add(time.Minute)}
	sent := s.MFASent()
	must(t, sent.Put(ctx, c))
	seen := make(chan int, Callers)
	atOnce(t, func(int) (bool, error) {
		got, err := sent.Try(ctx, key, "f1")
		seen <- got.Tries
		return true, err
	})
	counted := map[int]bool{}
	for range Callers {
		counted[<-seen] = true
	}
	if len(counted) != Callers {
		t.Errorf("%d tries at once were counted as %d", Callers, len(counted))
	}
	_, err := sent.Try(ctx, key, "f2")
	wantErr(t, "Try in another challenge", err, mfa.ErrNotFound)
	_, err = sent.Try(ctx, mfa.SentKey{UserID: "u1", Kind: mfa.Email, Purpose: mfa.SetUp}, "f1")
	wantErr(t, "Try for another purpose", err, mfa.ErrNotFound)

	old := c
	c.Hash = "h2"
	must(t, sent.Put(ctx, c))
	got, err := sent.Try(ctx, key, "f1")
	must(t, err)
	c.Tries = Callers + 1
	same(t, "a second code of one challenge", got, c)
	if ok, err := sent.Take(ctx, old); ok || err != nil {
		t.Errorf("Take of the code before = %v, %v", ok, err)
	}
	c.Challenge, c.Hash = "f3", "h3"
	must(t, sent.Put(ctx, c))
	got, err = sent.Try(ctx, key, "f3")
	must(t, err)
	if got.Tries != 1 {
		t.Errorf("a new challenge begins with %d tries", got.Tries)
	}
	if won := atOnce(t, func(int) (bool, error) { return sent.Take(ctx, got) }); won != 1 {
		t.Errorf("one code was taken %d times", won)
	}
	must(t, sent.Put(ctx, c))
	must(t, sent.Drop(ctx, "u1"))
	_, err = sent.Try(ctx, key, "f3")
	wantErr(t, "Try after Drop", err, mfa.ErrNotFound)
}

func passkeys(t *testing.T, s Store) {
	ctx := t.Context()
	people(t, s, 2)
	row := mfa.Credential{ID: "c1", UserID: "u1", Name: "n", Data: []byte(`{"a":"ä"}`), Counter: 1 << 31, Created: t0, Used: t0}
	made := atOnce(t, func(i int) (bool, error) {
		mine := row
		mine.UserID = fmt.Sprint("u", i%2+1)
		err := s.MFAPasskeys().Insert(ctx, mine)
		if errors.Is(err, mfa.ErrExists) {
			return false, nil
		}
		return err == nil, err
	})
	if made != 1 {
		t.Fatalf("one credential id was registered %d times", made)
	}
	for _, id := range []string{"u1", "u2"} {
		_, err := s.MFAPasskeys().Delete(ctx, id, "c1")
		must(t, err)
	}
	must(t, s.MFAPasskeys().Insert(ctx, row))
	list, err := s.MFAPasskeys().List(ctx, "u1")
	must(t, err)
	same(t, "passkeys", list, []mfa.Credential{row})
	advance := func(counter uint32, want bool) {
		t.Helper()
		row := row
		row.Counter = counter
		if ok, err := s.MFAPasskeys().Advance(ctx, row); ok != want || err != nil {
			t.Errorf("Advance to %d = %v, %v, want %v", counter, ok, err, want)
		}
	}
	advance(1<<31, false)
	advance(0, false)
	advance(5, false)
	next := row
	next.Counter++
	if won := atOnce(t, func(int) (bool, error) { return s.MFAPasskeys().Advance(ctx, next) }); won != 1 {
		t.Errorf("one counter was used %d times", won)
	}
	advance(1<<32-1, true)
	for what, f := range map[string]func() (bool, error){
		"Rename": func() (bool, error) { return s.MFAPasskeys().Rename(ctx, "u2", "c1", "x") },
		"Delete": func() (bool, error) { return s.MFAPasskeys().Delete(ctx, "u2", "c1") },
		"Advance": func() (bool, error) {
			return s.MFAPasskeys().Advance(ctx, mfa.Credential{ID: "c1", UserID: "u2", Counter: 1<<32 - 1})
		},
	} {
		if ok, err := f(); ok || err != nil {
			t.Errorf("%s of somebody else's = %v, %v", what, ok, err)
		}
	}
	zero := mfa.Credential{ID: "c0", UserID: "u2", Data: []byte("{}"), Created: t0}
	must(t, s.MFAPasskeys().Insert(ctx, zero))
	if ok, err := s.MFAPasskeys().Advance(ctx, zero); !ok || err != nil {
		t.Errorf("Advance of an authenticator without counter = %v, %v", ok, err)
	}
}

func devices(t *testing.T, s Store) {
	ctx := t.Context()
	people(t, s, 2)
	device := func(id, userID string, age time.Duration) mfa.Device {
		return mfa.Device{ID: id, UserID: userID, Hash: "h" + id, Name: "n", Created: t0, Used: t0.Add(-age), Expires: t0.Add(time.Hour)}
	}
	must(t, s.MFADevices().Insert(ctx, device("x", "u2", 0), 3))
	for i := range 5 {
		must(t, s.MFADevices().Insert(ctx, device(fmt.Sprint(i), "u1", time.Duration(5-i)*time.Minute), 3))
	}
	list, err := s.MFADevices().List(ctx, "u1")
	must(t, err)
	if len(list) != 3 || list[0] != device("4", "u1", time.Minute) || list[2].ID != "2" {
		t.Fatalf("devices = %+v, want 4, 3 and 2", list)
	}
	for range 2 {
		got, err := s.MFADevices().Try(ctx, "u1", "h4", t0)
		must(t, err)
		if got.ID != "4" {
			t.Fatalf("Try = %+v", got)
		}
	}
	_, err = s.MFADevices().Try(ctx, "u2", "h4", t0)
	wantErr(t, "Try for another person", err, mfa.ErrNotFound)
	_, err = s.MFADevices().Try(ctx, "u1", "h4", t0.Add(time.Hour))
	wantErr(t, "Try of an expired device", err, mfa.ErrNotFound)
	won := atOnce(t, func(i int) (bool, error) {
		d, err := s.MFADevices().Rotate(ctx, mfa.Rotation{UserID: "u1", Old: "h4", New: fmt.Sprint("new", i), Now: t0})
		if errors.Is(err, mfa.ErrNotFound) {
			return false, nil
		}
		if err == nil && (d.Failures != 0 || !d.Used.Equal(t0)) {
			err = fmt.Errorf("rotated device is %+v", d)
		}
		return err == nil, err
	})
	if won != 1 {
		t.Errorf("one token was rotated %d times", won)
	}
	for what, r := range map[string]mfa.Rotation{
		"another person's": {UserID: "u2", Old: "h3", New: "n", Now: t0},
		"an expired":       {UserID: "u1", Old: "h3", New: "n", Now: t0.Add(time.Hour)},
	} {
		_, err := s.MFADevices().Rotate(ctx, r)
		wantErr(t, "Rotate of "+what, err, mfa.ErrNotFound)
	}
	if ok, err := s.MFADevices().Delete(ctx, "u2", "3"); ok || err != nil {
		t.Errorf("Delete of another person's = %v, %v", ok, err)
	}
	must(t, s.EndUser(ctx, "u1"))
	for id, want := range map[string]int{"u1": 0, "u2": 1} {
		if list, err := s.MFADevices().List(ctx, id); len(list) != want || err != nil {
			t.Errorf("%s has %d devices after EndUser(u1), %v; want %d", id, len(list), err, want)
		}
	}
}

func counts(t *testing.T, s Store) {
	ctx := t.Context()
	raise := func(after time.Duration, gap time.Duration) time.Duration {
		t.Helper()
		wait, err := s.MFACounts().Raise(ctx, mfa.Count{Key: "k", Now: t0.Add(after), Max: 5, Window: time.Hour, Gap: gap})
		must(t, err)
		return wait
	}
	won := atOnce(t, func(int) (bool, error) {
		wait, err := s.MFACounts().Raise(ctx, mfa.Count{Key: "k", Now: t0, Max: 5, Window: time.Hour})
		return wait == 0, err
	})
	if won != 5 {
		t.Errorf("%d of %d at once were counted, want 5", won, Callers)
	}
	for _, c := range []struct{ after, want time.Duration }{
		{time.Minute, 59 * time.Minute}, {59 * time.Minute, time.Minute}, {time.Hour, 0}, {time.Hour, 0},
	} {
		if wait := raise(c.after, 0); wait != c.want {
			t.Errorf("after %s: wait %s, want %s", c.after, wait, c.want)
		}
	}
	must(t, s.MFACounts().Clear(ctx, "k"))
	for _, c := range []struct{ after, want time.Duration }{
		{0, 0},
		{59 * time.Second, time.Second},
		{time.Minute, 0},
		{2 * time.Minute, 0},
		{3 * time.Minute, 0},
		{4 * time.Minute, 0},
		{5 * time.Minute, 59 * time.Minute},
		{63 * time.Minute, time.Minute},
		{64 * time.Minute, 0},
	} {
		if wait := raise(c.after, time.Minute); wait != c.want {
			t.Errorf("with a gap, after %s: wait %s, want %s", c.after, wait, c.want)
		}
	}
}

func spent(t *testing.T, s Store) {
	ctx := t.Context()
	until := time.Now().Add(time.Hour)
	if won := atOnce(t, func(int) (bool, error) { return s.MFASpent().Spend(ctx, "h", until) }); won != 1 {
		t.Errorf("one artefact was spent %d times", won)
	}
	must(t, s.Sweep(ctx))
	if ok, err := s.MFASpent().Spend(ctx, "h", until); ok || err != nil {
		t.Errorf("Spend again after Sweep = %v, %v", ok, err)
	}
	rollback := errors.New("roll back")
	wantErr(t, "InTx", s.InTx(ctx, func(ctx context.Context) error {
		_, err := s.MFASpent().Spend(ctx, "h2", until)
		return errors.Join(err, rollback)
	}), rollback)
	if ok, err := s.MFASpent().Spend(ctx, "h2", until); !ok || err != nil {
		t.Errorf("Spend after a rollback = %v, %v", ok, err)
	}
}

func factorsGoWithTheirUser(t *testing.T, s Store) {
	ctx := t.Context()
	people(t, s, 1)
	_, err := s.MFAPeople().Lock(ctx, mfa.State{UserID: "u1", Handle: "h"})
	must(t, err)
	must(t, s.MFASecrets().Put(ctx, totpRow("u1", 1)))
	must(t, s.MFARecovery().Replace(ctx, "u1", []string{"a"}))
	must(t, s.MFAPasskeys().Insert(ctx, mfa.Credential{ID: "c1", UserID: "u1"}))
	must(t, s.MFADevices().Insert(ctx, mfa.Device{ID: "d", UserID: "u1", Hash: "h", Expires: t0}, 1))
	must(t, s.Users().Delete(ctx, "u1"))
	_, err = s.MFAPeople().ByHandle(ctx, "h")
	wantErr(t, "handle of a deleted user", err, mfa.ErrNotFound)
	secrets, err := s.MFASecrets().List(ctx, "u1")
	must(t, err)
	keys, err := s.MFAPasskeys().List(ctx, "u1")
	must(t, err)
	list, err := s.MFADevices().List(ctx, "u1")
	must(t, err)
	left, err := s.MFARecovery().Left(ctx, "u1")
	must(t, err)
	if len(secrets)+len(keys)+len(list)+left > 0 {
		t.Errorf("a deleted user left %v %v %v %d", secrets, keys, list, left)
	}
	if err := s.MFASecrets().Put(ctx, totpRow("u1", 1)); err == nil {
		t.Error("a factor was stored for nobody")
	}
}
