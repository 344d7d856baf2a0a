package keys_test

import (
	"errors"
	"path/filepath"
	"testing"

	"gatehouse/idp/keys"
	"gatehouse/idp/store"
	"gatehouse/internal/keyring"
)

// After three rotations the first sealing key is gone; what was sealed again in
// time opens, and the database still knows its key.
func TestResealingSurvivesTheEndOfTheOldestSealingKey(t *testing.T) {
	for _, reseal := range []bool{true, false} {
		dir := t.TempDir()
		secret, path := filepath.Join(dir, "sealing.key"), filepath.Join(dir, "gatehouse.db")
		open := func(create bool) (*store.DB, *keyring.Sealer, error) {
			sealer, err := keyring.OpenSealing(secret, create, "")
			if err != nil {
				t.Fatal(err)
			}
			db, err := store.Open(t.Context(), path, store.Options{Create: create, Migrate: create, Sealer: sealer})
			return db, sealer, err
		}
		db, sealer, err := open(true)
		if err != nil {
			t.Fatal(err)
		}
		r := keys.New(keys.Parts{Rows: db.Keys(), Sealer: sealer, Journal: db})
		id := signer(t, r).ID
		sealing, err := keyring.OpenRing(secret, keyring.Sealing, false)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := sealing.Rotate(); err != nil {
				t.Fatal(err)
			}
			fresh, err := keyring.OpenSealing(secret, false, "")
			if err != nil {
				t.Fatal(err)
			}
			if reseal {
				r := keys.New(keys.Parts{Rows: db.Keys(), Sealer: fresh, Journal: db})
				if err := errors.Join(r.Reseal(t.Context()), db.Reseal(t.Context(), fresh)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db, sealer, err = open(false)
		if !reseal {
			if !errors.Is(err, store.ErrSealingKey) {
				t.Fatalf("not resealed: %v, want ErrSealingKey", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := signer(t, keys.New(keys.Parts{Rows: db.Keys(), Sealer: sealer, Journal: db})).ID; got != id {
			t.Errorf("signs %s, want %s", got, id)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
