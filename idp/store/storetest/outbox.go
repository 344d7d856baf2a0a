package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/idp/notify"
)

// message is a row that is due at t0 and expires an hour later.
func message(id string) notify.Row {
	return notify.Row{
		ID: id, Kind: notify.PasswordChanged, Channel: notify.Email, UserID: "u1", Sealed: []byte("sealed " + id),
		Created: t0, Due: t0, Expires: t0.Add(time.Hour),
	}
}

func messages(t *testing.T, s Store) {
	ctx, rows := t.Context(), s.Outbox()
	insert := func(r notify.Row) {
		t.Helper()
		if err := rows.Insert(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	claim := func(what string, now time.Time, want string) notify.Row {
		t.Helper()
		r, err := rows.Claim(ctx, notify.Email, now, now.Add(time.Minute))
		if r.ID != want || (want == "") != errors.Is(err, notify.ErrEmpty) {
			t.Fatalf("%s: Claim = %q, %v, want %q", what, r.ID, err, want)
		}
		return r
	}
	later := message("later")
	later.Due = t0.Add(time.Second)
	insert(later)
	insert(message("first"))
	text := message("text")
	text.Channel = notify.SMS
	insert(text)
	if w, err := rows.Waiting(ctx, notify.Email, t0); err != nil || w.Messages != 2 || !w.Due.Equal(t0) {
		t.Errorf("Waiting = %+v, %v, want 2 from %v", w, err, t0)
	}
	claim("before it is due", t0.Add(-time.Millisecond), "")
	got := claim("when it is due", t0, "first")
	want := message("first")
	want.Tries, want.Due = 1, t0.Add(time.Minute)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("claimed row (-want +got):\n%s", diff)
	}
	claim("the second", t0.Add(time.Second), "later")
	claim("while both are claimed", t0.Add(59*time.Second), "")
	again := claim("after the claim has ended", t0.Add(time.Minute), "first")
	if again.Tries != 2 {
		t.Errorf("Tries = %d, want 2", again.Tries)
	}
	// The first claimant comes back late, and must not free the second's claim.
	postpone := func(tries int64, due time.Time) {
		t.Helper()
		if err := rows.Postpone(ctx, "first", tries, due); err != nil {
			t.Fatal(err)
		}
	}
	postpone(got.Tries, t0)
	claim("after an old claimant postponed", t0.Add(61*time.Second-time.Millisecond), "")
	postpone(again.Tries, t0.Add(10*time.Minute))
	claim("postponed", t0.Add(61*time.Second), "later")
	for i, there := range []bool{true, false} {
		if ok, err := rows.Delete(ctx, "later"); ok != there || err != nil {
			t.Errorf("Delete %d = %v, %v, want %v", i, ok, err, there)
		}
	}
	claim("after it has expired", t0.Add(time.Hour), "")
	gone, err := rows.Expire(ctx, t0.Add(time.Hour))
	if err != nil || len(gone) != 2 {
		t.Fatalf("Expire = %v, %v, want first and text", gone, err)
	}
	for _, c := range notify.Channels() {
		if w, err := rows.Waiting(ctx, c, t0); err != nil || w.Messages != 0 || !w.Due.IsZero() {
			t.Errorf("%s: Waiting = %+v, %v, want none", c, w, err)
		}
	}
}

func messagesAtOnce(t *testing.T, s Store) {
	ctx, rows := t.Context(), s.Outbox()
	insert := func(id string) {
		t.Helper()
		if err := rows.Insert(ctx, message(id)); err != nil {
			t.Fatal(err)
		}
	}
	claim := func(int) (bool, error) {
		_, err := rows.Claim(ctx, notify.Email, t0, t0.Add(time.Minute))
		if errors.Is(err, notify.ErrEmpty) {
			return false, nil
		}
		return err == nil, err
	}
	insert("one")
	if n := atOnce(t, claim); n != 1 {
		t.Errorf("%d of %d callers claimed one message", n, Callers)
	}
	for i := range Callers {
		insert(fmt.Sprint("m", i))
	}
	if n := atOnce(t, claim); n != Callers {
		t.Errorf("%d callers claimed one of %d messages each", n, Callers)
	}
	failed := errors.New("changed my mind")
	err := s.InTx(ctx, func(ctx context.Context) error {
		if err := rows.Insert(ctx, message("rolled back")); err != nil {
			return err
		}
		return failed
	})
	if there, gone := rows.Delete(ctx, "rolled back"); !errors.Is(err, failed) || there || gone != nil {
		t.Errorf("a message of a transaction that failed (%v) is there: %v, %v", err, there, gone)
	}
}
