package authenticator

import (
	"testing"
	"time"
)

func TestCodesAreTheStandards(t *testing.T) {
	// RFC 6238, Appendix B: the last six of eight digits.
	for second, want := range map[int64]string{59: "287082", 1111111109: "081804", 20000000000: "353130"} {
		if got := Code([]byte("12345678901234567890"), time.Unix(second, 0), 0); got != want {
			t.Errorf("code at %d s = %s, want %s", second, got, want)
		}
	}
}
