package password

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

// BenchmarkKinds measures the digest of each kind at a usual cost, without the
// queue and the floor.
func BenchmarkKinds(b *testing.B) {
	enc := base64.RawStdEncoding.EncodeToString
	s, d := enc(make([]byte, 16)), enc(make([]byte, 32))
	crypt := strings.Repeat("a", 53)
	for _, hash := range []string{
		fmt.Sprintf("$argon2id$v=19$m=19456,t=2,p=1$%s$%s", s, d),
		fmt.Sprintf("$argon2id$v=19$m=65536,t=3,p=4$%s$%s", s, d),
		fmt.Sprintf("$argon2i$v=19$m=65536,t=3,p=1$%s$%s", s, d),
		"$2b$10$" + crypt,
		"$2b$12$" + crypt,
		fmt.Sprintf("$scrypt$ln=15,r=8,p=1$%s$%s", s, d),
		fmt.Sprintf("$scrypt$ln=17,r=8,p=1$%s$%s", s, d),
		fmt.Sprintf("$pbkdf2-sha256$i=600000$%s$%s", s, d),
		fmt.Sprintf("$pbkdf2-sha512$i=210000$%s$%s", s, d),
		fmt.Sprintf("$pbkdf2-sha1$i=1300000$%s$%s", s, enc(make([]byte, 20))),
	} {
		h, err := parse(hash)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(strings.ReplaceAll(h.cost(), " ", "_"), func(b *testing.B) {
			for b.Loop() {
				if h.matches("not the password") {
					b.Fatal("it matches")
				}
			}
		})
	}
}

// BenchmarkVerify measures a whole check of a hash of ours.
func BenchmarkVerify(b *testing.B) {
	h := New(Options{})
	for b.Loop() {
		_ = h.Verify(b.Context(), "", "not the password")
	}
}
