package opaque_test

import (
	"regexp"
	"testing"

	"gatehouse/internal/opaque"
)

func TestEachValueIsAnother(t *testing.T) {
	form := regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
	seen := map[string]bool{}
	for range 1000 {
		v := opaque.New(32)
		if !form.MatchString(v) || seen[v] {
			t.Fatalf("New = %q: of another form, or twice", v)
		}
		seen[v] = true
	}
	if got := opaque.Encode([]byte{0xfb, 0xff}); got != "-_8" {
		t.Errorf("Encode = %q", got)
	}
}
