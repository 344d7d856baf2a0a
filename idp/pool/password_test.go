package pool_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"gatehouse/idp/password"
	"gatehouse/idp/pool"
)

// strict is a world whose passwords follow a policy.
func strict(t *testing.T, c password.Config) *world {
	w := newWorld(t)
	parts := w.parts()
	parts.Policy = password.NewPolicy(c, w.hasher, nil, "login.example.com")
	w.pool = pool.New(parts)
	return w
}

func TestPolicyHoldsOnEveryWayToAPassword(t *testing.T) {
	w := strict(t, password.Config{MinLength: 8, Require: []password.Class{password.Digit}, Strength: 2})
	ctx := t.Context()
	dana := w.add(pool.NewUser{Username: "dana", Email: "dana.example@example.com", Password: "a long enough 1"})
	for what, set := range map[string]func(pass string) error{
		"add": func(pass string) error {
			_, err := w.pool.Add(ctx, pool.NewUser{Username: "erin", Password: pass})
			return err
		},
		"hashed": func(pass string) error {
			_, err := w.pool.Hashed(ctx, pool.NewUser{Username: "erin", Password: pass})
			return err
		},
		"set":     func(pass string) error { return w.pool.SetPassword(ctx, dana.ID, pass, pool.Confirmed) },
		"replace": func(pass string) error { return w.pool.ReplacePassword(ctx, dana.ID, pass) },
	} {
		for pass, reason := range map[string]password.Reason{
			"short1": password.TooShort, "no digit at all here": password.NoDigit, "password1": password.TooEasy, "": password.Malformed,
			strings.Repeat("1a", 200): password.TooLong,
		} {
			if what == "add" && pass == "" || what == "hashed" && pass == "" {
				continue // a person without a password
			}
			err := set(pass)
			var refused *password.RefusedError
			if !errors.Is(err, pool.ErrInvalid) || !errors.As(err, &refused) || !refused.Has(reason) {
				t.Errorf("%s %.12q: %v, want ErrInvalid for %s", what, pass, err, reason)
			}
			if pass != "" && err != nil && strings.Contains(err.Error(), pass) {
				t.Errorf("%s: the error tells the password: %v", what, err)
			}
		}
	}
	if err := w.pool.SetPassword(ctx, dana.ID, "Dana.Example@example.com", pool.Confirmed); err == nil {
		t.Error("the person's own address was taken as a password")
	}
}

func TestEarlierPasswordsDoNotComeAgain(t *testing.T) {
	w := strict(t, password.Config{MinLength: 8, History: 3})
	ctx := t.Context()
	u := w.add(pool.NewUser{Username: "dana", Password: "password no 0"})
	for i := 1; i <= 3; i++ {
		w.must(w.pool.SetPassword(ctx, u.ID, fmt.Sprint("password no ", i), pool.Confirmed))
	}
	for i := 1; i <= 3; i++ {
		err := w.pool.SetPassword(ctx, u.ID, fmt.Sprint("password no ", i), pool.Confirmed)
		var refused *password.RefusedError
		if !errors.As(err, &refused) || !refused.Has(password.UsedBefore) {
			t.Errorf("password %d again: %v, want it refused as used before", i, err)
		}
	}
	w.must(w.pool.SetPassword(ctx, u.ID, "password no 0", pool.Confirmed))
}

func TestImportedHashIsMadeAnewAtTheNextSignIn(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	old, err := bcrypt.GenerateFromPassword([]byte("correct horse"), 5)
	w.must(err)
	u := w.add(pool.NewUser{Username: "dana", PasswordHash: string(old)})
	if _, err := w.pool.CheckPassword(ctx, "dana", "wrong horse"); !errors.Is(err, pool.ErrWrongPassword) {
		t.Fatalf("wrong password: %v", err)
	}
	got, err := w.pool.Get(ctx, u.ID)
	w.must(err)
	if got.PasswordHash != string(old) {
		t.Fatal("a wrong password changed the hash")
	}
	for range 2 {
		if _, err := w.pool.CheckPassword(ctx, "dana", "correct horse"); err != nil {
			t.Fatal(err)
		}
		got, err = w.pool.Get(ctx, u.ID)
		w.must(err)
		if password.NeedsRehash(got.PasswordHash) {
			t.Errorf("hash after a sign-in = %.20s, want one of ours", got.PasswordHash)
		}
	}
	if got.PasswordSet != u.PasswordSet && !got.PasswordSet.Equal(u.PasswordSet.Truncate(1e6)) {
		t.Errorf("the password counts as set at %v, want %v: it is the same one", got.PasswordSet, u.PasswordSet)
	}
}
