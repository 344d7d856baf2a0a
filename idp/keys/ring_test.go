package keys_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"gatehouse/idp/keys"
	"gatehouse/idp/store"
	"gatehouse/idp/store/storetest"
	"gatehouse/internal/jose"
	"gatehouse/internal/keyring"
)

func ring(t *testing.T, db *store.DB, clock *storetest.Clock) *keys.Ring {
	return keys.New(keys.Parts{Rows: db.Keys(), Sealer: storetest.Sealer(t), Journal: db, Now: clock.Now})
}

func signer(t *testing.T, r *keys.Ring) *jose.Key {
	t.Helper()
	k, err := r.Signer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func published(t *testing.T, r *keys.Ring, id string) bool {
	t.Helper()
	set, err := r.Public(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key, ok := set.Find(id)
	return ok && key != nil
}

func TestFirstKeySignsAtOnceAndStays(t *testing.T) {
	clock := storetest.NewClock()
	db := storetest.Open(t, clock.Now)
	ids := make([]string, 5)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			k, err := ring(t, db, clock).Signer(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = k.ID
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Fatalf("first keys %v, want one", ids)
		}
	}
	if !published(t, ring(t, db, clock), ids[0]) {
		t.Fatal("the key that signs is not published")
	}
}

func TestRotatedKeyIsPublishedBeforeItSignsAndAfter(t *testing.T) {
	clock := storetest.NewClock()
	db := storetest.Open(t, clock.Now)
	r := ring(t, db, clock)
	old := signer(t, r)
	clock.Forward(time.Hour)
	if err := r.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Rotate(t.Context()); !errors.Is(err, keys.ErrRotating) {
		t.Fatalf("Rotate twice: %v, want ErrRotating", err)
	}
	rows, err := db.Keys().List(t.Context())
	if err != nil || len(rows) != 2 {
		t.Fatalf("%d keys, %v; want 2", len(rows), err)
	}
	next := rows[1].ID
	check := func(when, signs string, oldThere bool) {
		t.Helper()
		if got := signer(t, r).ID; got != signs {
			t.Errorf("%s: signs %s, want %s", when, got, signs)
		}
		if got := published(t, r, old.ID); got != oldThere {
			t.Errorf("%s: old key published = %v, want %v", when, got, oldThere)
		}
		if !published(t, r, next) {
			t.Errorf("%s: new key is not published", when)
		}
	}
	check("at once", old.ID, true)
	clock.Forward(10*time.Minute - time.Second)
	check("just before ten minutes", old.ID, true)
	clock.Forward(time.Second)
	check("after ten minutes", next, true)
	clock.Forward(24*time.Hour - time.Second)
	check("while the longest token lives", next, true)
	clock.Forward(time.Second)
	check("after the longest token", next, false)

	if err := r.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows, err = db.Keys().List(t.Context())
	if err != nil || len(rows) != 2 || rows[0].ID != next {
		t.Errorf("keys after the next rotation = %d, want the ended one removed", len(rows))
	}
}

func TestPrivateKeyIsSealed(t *testing.T) {
	clock := storetest.NewClock()
	db := storetest.Open(t, clock.Now)
	signer(t, ring(t, db, clock))
	other, err := keyring.NewSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	r := keys.New(keys.Parts{Rows: db.Keys(), Sealer: other, Journal: db, Now: clock.Now})
	if _, err := r.Signer(t.Context()); !errors.Is(err, keyring.ErrOpen) {
		t.Fatalf("with another sealing key: %v, want ErrOpen", err)
	}
}
