package e2e

import (
	"crypto/hmac"
	"crypto/sha1"
	endian "encoding/binary"
	"fmt"
	"testing"
)

// totp is a code of six digits (RFC 4226 §5.3).
func totp(secret []byte, step int64) string {
	mac := hmac.New(sha1.New, secret)
	mac.Write(endian.BigEndian.AppendUint64(nil, uint64(step)))
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	return fmt.Sprintf("%06d", endian.BigEndian.Uint32(sum[at:])&0x7fffffff%1_000_000)
}

func TestTOTPOfTheseTestsIsTheStandards(t *testing.T) {
	// RFC 6238, Appendix B: the last six of eight digits at 59 s.
	if got := totp([]byte("12345678901234567890"), 1); got != "287082" {
		t.Errorf("code of step 1 = %s, want 287082", got)
	}
}
