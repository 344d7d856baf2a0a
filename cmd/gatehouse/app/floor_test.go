package app

import (
	"testing"

	"gatehouse/idp/pool"
)

// From the first sign-in after a start on, no answer comes sooner than one for a
// user whose hash was imported.
func TestAStartKnowsWhatHashesCost(t *testing.T) {
	w := newWorld(t)
	if floor := w.app.provider.Hasher.Floor(); floor != 0 {
		t.Errorf("floor = %v with hashes of our own alone, want none", floor)
	}
	for name, hash := range map[string]string{
		"ada": "$2b$05$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "eve": "$2b$05$bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbba",
		"ken": "$pbkdf2-sha256$1000$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY",
	} {
		if _, err := w.app.provider.Pool.Add(t.Context(), pool.NewUser{Username: name, PasswordHash: hash}); err != nil {
			t.Fatal(err)
		}
	}
	w.restart()
	if floor := w.app.provider.Hasher.Floor(); floor <= 0 {
		t.Error("no floor after a start with hashes of elsewhere")
	}
}
