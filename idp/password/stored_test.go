package password_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"gatehouse/idp/password"
)

// known is the password of hashes that other programs made.
const known = "correct horse Café"

// madeElsewhere are hashes of known by python's bcrypt, passlib, argon2-cffi and
// hashlib.
var madeElsewhere = map[string]string{
	"bcrypt 2b":         "$2b$05$p.YHIXZBV94yUAR1nudQNuERMTacBOfI/IcNC.BWR6QkFBvFvQn86",
	"bcrypt 2a":         "$2a$05$oB2tzVW.cNUGIr.qVcZTXOWWQM0xvca3cm1qjEIMQeR1et/3LompC",
	"bcrypt 2y":         "$2y$05$W57ICzo.AI8MmmWG1u4gzujk6XtF94vF7TLDPHxvnauArIHtKWp/q",
	"bcrypt-sha256":     "$bcrypt-sha256$v=2,t=2b,r=5$wVbuyc7Q9aAA0iJ//iS.m.$UEO3mUr367z3efJPpQ/HjAmHGHIqmjy",
	"argon2id":          "$argon2id$v=19$m=1024,t=2,p=2$EoDbrPuvGHGEnm6tkres0A$JuBwC094lV+F4a6xzC7gaI5vv9k+wFaqEYq7QlsUkBY",
	"argon2i":           "$argon2i$v=19$m=512,t=3,p=1$U5Nen/x4JEWBROXuJzPKHQ$let6S6TLisEyYnPv96vXB7TWPC2nOl01bXlUxC+CsIA",
	"scrypt, passlib":   "$scrypt$ln=10,r=8,p=1$3xtjDCHEeC8lREhJaU2p9Q$VY6qqkhNGo+jwxeWTrgRl45QnRLVMuVg45FIrs4MhqU",
	"scrypt, PHC":       "$scrypt$ln=11,r=4,p=2$AAECAwQFBgcICQoLDA0ODw$KTBKoMEroY/8603bGL49Yzeqm+2LvBzd6SKHEC6aoomo9PKDnSv/W+51FGfPK6ZHQvbwcxpP2au8XOhjRQuOoQ",
	"scrypt, $7$":       "$7$86..../..../z9HiPH+n3PO+b93TilFiA$9XbwGjzbesZOkF2Jhn2QqDlraJuAuhS/MCrDEytRgm.",
	"PBKDF2 sha256":     "$pbkdf2-sha256$1500$4lyLsfY.B4BwjhECQAihNA$VbcsYAdOY.SatT.cqrad3BoRjP1OMoVBVIJyNAqFNNg",
	"PBKDF2 sha512":     "$pbkdf2-sha512$1500$H6MUwjjnfM8ZA4CQ0ppTyg$43K8EmuPMcwjNrEMPzahpPuwwNkYdO634ZW.oBEXvz5yraIgkjHRYklqybj0IAkg4wC5lGfWz6VmrBMCmZHhHg",
	"PBKDF2 sha1":       "$pbkdf2$1500$zRmjNGZsrVWKMQaAUMrZWw$7F4hgsmsNS58NgEdexV4ofhuU5o",
	"PBKDF2 sha1 PHC":   "$pbkdf2-sha1$i=1200,l=20$AAECAwQFBgcICQoLDA0ODw$mgpr1AhYlZmEjqkIlDT/NMG7+QY",
	"PBKDF2 sha256 PHC": "$pbkdf2-sha256$i=1200,l=32$AAECAwQFBgcICQoLDA0ODw$At8NlaeLnXUaW8HHUNqzs8g7CZ4FaBtfqvipRsaebZ8",
	"PBKDF2 sha512 PHC": "$pbkdf2-sha512$i=1200$AAECAwQFBgcICQoLDA0ODw$qq329XK2KKJPnQ8sRdUn2GhQ5Rrfg2k+3vbHiDi7Yhp+/gaaeLAEwdOaBqH7Yc3M3r6Uhre4AhFLlJni7tGgtQ",
}

func TestHashesOfOtherProgramsAreVerified(t *testing.T) {
	h := password.New(password.Options{})
	for name, hash := range madeElsewhere {
		if err := password.CheckHash(hash); err != nil {
			t.Errorf("CheckHash of %s: %v", name, err)
		}
		if err := h.Verify(t.Context(), hash, known); err != nil {
			t.Errorf("Verify of %s: %v", name, err)
		}
		for _, wrong := range []string{known + ".", known[:len(known)-2], "x"} {
			if err := h.Verify(t.Context(), hash, wrong); !errors.Is(err, password.ErrWrong) {
				t.Errorf("Verify(%s, %q) = %v, want ErrWrong", name, wrong, err)
			}
		}
		if !password.NeedsRehash(hash) {
			t.Errorf("NeedsRehash of %s = false, want true", name)
		}
	}
}

func TestOwnHashNeedsNoOther(t *testing.T) {
	hash, err := password.New(password.Options{}).Hash(t.Context(), known)
	if err != nil {
		t.Fatal(err)
	}
	if password.NeedsRehash(hash) {
		t.Errorf("NeedsRehash(%q) = true, want false", hash)
	}
	if cost, err := password.Cost(hash); err != nil || cost != "argon2id m=19456,t=2,p=1" {
		t.Errorf("Cost = %q, %v", cost, err)
	}
}

// bcrypt looks at 72 bytes and would take every longer password that begins so.
func TestBcryptDoesNotTakeTheBeginningForTheWhole(t *testing.T) {
	h := password.New(password.Options{})
	const of72 = "$2b$04$abaNBQOauv/wEpgeJjVqy.dRnvsVi7yd3v1qKmquGYtu4oQuvfdR6"
	if err := h.Verify(t.Context(), of72, strings.Repeat("a", 72)); err != nil {
		t.Fatalf("72 bytes: %v", err)
	}
	for _, n := range []int{71, 73, 80, 256} {
		before := h.Calls()
		if err := h.Verify(t.Context(), of72, strings.Repeat("a", n)); !errors.Is(err, password.ErrWrong) {
			t.Errorf("%d bytes: %v, want ErrWrong", n, err)
		}
		if h.Calls() != before+1 {
			t.Errorf("%d bytes cost no hash", n)
		}
	}
	if err := h.Verify(t.Context(), of72, "a\x00b"); !errors.Is(err, password.ErrForm) {
		t.Errorf("a NUL: %v, want ErrForm", err)
	}
	// This scheme says itself that it hashes first, and takes all of them.
	const of80 = "$bcrypt-sha256$v=2,t=2b,r=5$ikkPU8sv.sCATLZF/Y6wyu$LokEShgrPyQ/YW3AsR9mudwzmBh3Ju."
	if err := h.Verify(t.Context(), of80, strings.Repeat("a", 80)); err != nil {
		t.Errorf("80 bytes of bcrypt-sha256: %v", err)
	}
	if err := h.Verify(t.Context(), of80, strings.Repeat("a", 72)); !errors.Is(err, password.ErrWrong) {
		t.Errorf("72 of 80 bytes of bcrypt-sha256: %v, want ErrWrong", err)
	}
}

// Another system hashed what was typed there, decomposed.
func TestDecomposedPasswordOfAnotherSystemIsVerified(t *testing.T) {
	h := password.New(password.Options{})
	const decomposed = "$2b$04$zWwH5rVPnWgU1MFEry5A9eIV5L.ddC/VjLjkKU2JkLKp08pFl1w8."
	if err := h.Verify(t.Context(), decomposed, "correct horse Cafe\u0301"); err != nil {
		t.Errorf("as typed: %v", err)
	}
	for name, hash := range map[string]string{"that": decomposed, "nobody's": "", "composed": madeElsewhere["bcrypt 2b"]} {
		before := h.Calls()
		_ = h.Verify(t.Context(), hash, "correct horse Cafe\u0301")
		if n := h.Calls() - before; n != 2 {
			t.Errorf("%s hash: %d hashes computed for two spellings, want 2", name, n)
		}
	}
}

func TestAHashOutOfBoundsIsToldWhatItHasAndWhatItMayHave(t *testing.T) {
	b := func(n int) string { return base64.RawStdEncoding.EncodeToString(make([]byte, n)) }
	s, d := b(16), b(32)
	crypt := strings.Repeat("a", 53)
	for hash, want := range map[string]string{
		"$2b$03$" + crypt: "the cost is 3, want 4 to 14", "$2b$15$" + crypt: "the cost is 15, want 4 to 14", "$2b$xx$" + crypt: "the cost is no number",
		"$bcrypt-sha256$v=2,t=2b,r=15$" + crypt[:22] + "$" + crypt[:31]: "the cost is 15, want 4 to 14",
		"$argon2id$v=19$m=131073,t=10,p=4$" + s + "$" + d:               "m is 131073, want 32 to 131072",
		"$argon2id$v=19$m=8,t=1,p=2$" + s + "$" + d:                     "m is 8, want 16 to 131072",
		"$argon2i$v=19$m=1024,t=11,p=4$" + s + "$" + d:                  "t is 11, want 1 to 10",
		"$argon2i$v=19$m=1024,t=0,p=4$" + s + "$" + d:                   "t is 0, want 1 to 10",
		"$argon2i$v=19$m=1024,t=1,p=5$" + s + "$" + d:                   "p is 5, want 1 to 4",
		"$argon2i$v=19$m=1024,t=1,p=4$" + b(7) + "$" + d:                "the salt has 7 bytes, want 8 to 64",
		"$argon2i$v=19$m=1024,t=1,p=4$" + s + "$" + b(15):               "the digest has 15 bytes, want 16 to 64",
		"$argon2i$v=19$m=1024,t=1,p=4$" + s + "=$" + d:                  "the salt is no base64 without padding",
		"$argon2i$v=19$m=1024,t=1,p=4$" + s + "$" + d + "=":             "the digest is no base64 without padding",
		"$scrypt$ln=21,r=8,p=1$" + s + "$" + d:                          "ln is 21, want 1 to 20",
		"$scrypt$ln=10,r=1025,p=1$" + s + "$" + d:                       "r is 1025, want 1 to 1024",
		"$scrypt$ln=10,r=8,p=5$" + s + "$" + d:                          "p is 5, want 1 to 4",
		"$scrypt$ln=18,r=8,p=1$" + s + "$" + d:                          "ln and r take 262144 KiB, want 131072 at most",
		"$7$86..../....salt$" + crypt[:42] + ".":                        "the salt has 4 bytes, want 8 to 64",
		"$7$86..../....saltsalt$" + crypt[:8]:                           "the digest has 6 bytes, want 16 to 64",
		"$7$86..../....saltsalt$" + crypt[:43] + "!":                    "the digest is not that of $7$",
		"$pbkdf2-sha256$i=999$" + s + "$" + d:                           "999 iterations for each block of the digest (1), want 1000 to 2000000 in all",
		"$pbkdf2-sha1$i=1000001$" + s + "$" + d:                         "1000001 iterations for each block of the digest (2), want 1000 to 2000000 in all",
		"$pbkdf2-sha256$i=1000,l=31$" + s + "$" + d:                     "the digest has 32 bytes, and l is 31",
	} {
		if err := password.CheckHash(hash); err == nil || !strings.HasSuffix(err.Error(), ": "+want) {
			t.Errorf("CheckHash(%q) = %v, want %q", hash, err, want)
		}
	}
}

func TestImportedHashIsBoundedBothWays(t *testing.T) {
	b := func(n int) string { return base64.RawStdEncoding.EncodeToString(make([]byte, n)) }
	s, d := b(16), b(32)
	crypt := strings.Repeat("a", 53)
	for _, ok := range []string{
		"$scrypt$ln=17,r=8,p=4$" + s + "$" + d, "$scrypt$ln=1,r=1,p=1$" + b(8) + "$" + b(16), "$scrypt$ln=20,r=1,p=1$" + b(64) + "$" + b(64),
		"$pbkdf2-sha256$i=2000000$" + s + "$" + d, "$pbkdf2-sha256$1000$" + s + "$" + d, "$pbkdf2-sha1$i=1000000,l=32$" + s + "$" + d,
		"$2b$04$" + crypt, "$2y$14$" + crypt, "$argon2i$v=19$m=131072,t=10,p=4$" + s + "$" + d,
	} {
		if err := password.CheckHash(ok); err != nil {
			t.Errorf("CheckHash(%q) = %v, want nil", ok, err)
		}
	}
	for _, bad := range []string{
		"", "$", "$$$$", "plain", "$1$salt$digest", "$2$10$" + crypt, "$2x$10$" + crypt, "$5$rounds=5000$salt$digest",
		"$2b$03$" + crypt, "$2b$15$" + crypt, "$2b$31$" + crypt, "$2b$4$" + crypt, "$2b$+5$" + crypt, "$2b$00$" + crypt,
		"$2b$10$" + crypt + "a", "$2b$10$" + crypt[1:], "$2b$10$" + crypt[1:] + "=", "$2b$10$" + crypt[1:] + "\n", "$2b$10$" + crypt + "$",
		"$bcrypt-sha256$v=1,t=2b,r=5$" + crypt[:22] + "$" + crypt[:31], "$bcrypt-sha256$v=2,t=2b,r=15$" + crypt[:22] + "$" + crypt[:31],
		"$scrypt$ln=18,r=8,p=1$" + s + "$" + d, "$scrypt$ln=30,r=1,p=1$" + s + "$" + d, "$scrypt$ln=64,r=1,p=1$" + s + "$" + d,
		"$scrypt$ln=0,r=8,p=1$" + s + "$" + d, "$scrypt$ln=10,r=0,p=1$" + s + "$" + d, "$scrypt$ln=10,r=8,p=0$" + s + "$" + d,
		"$scrypt$ln=10,r=8,p=5$" + s + "$" + d, "$scrypt$ln=1,r=4294967295,p=1$" + s + "$" + d, "$scrypt$r=8,ln=10,p=1$" + s + "$" + d,
		"$scrypt$ln=10,r=8,p=1$" + b(7) + "$" + d, "$scrypt$ln=10,r=8,p=1$" + b(65) + "$" + d, "$scrypt$ln=10,r=8,p=1$" + s + "$" + b(15),
		"$scrypt$ln=10,r=8,p=1$" + s + "$" + b(65), "$scrypt$ln=10,r=8,p=1$" + s + "$", "$scrypt$ln=10,r=8,p=1$" + s,
		"$7$z6..../....saltsalt$" + crypt[:43], "$7$86..../....salt$" + crypt[:43], "$7$86..../....saltsalt$a", "$7$86....", "$7$$$",
		"$7$86..../....saltsalt$" + crypt[:43] + "!",
		"$pbkdf2-sha256$i=999$" + s + "$" + d, "$pbkdf2-sha256$i=2000001$" + s + "$" + d, "$pbkdf2-sha256$i=4294967296$" + s + "$" + d,
		"$pbkdf2-sha1$i=1000001$" + s + "$" + d, "$pbkdf2-sha256$i=1000,l=31$" + s + "$" + d, "$pbkdf2-sha256$-1$" + s + "$" + d,
		"$pbkdf2-sha256$i=1000$" + s + "$AA", "$pbkdf2-md5$i=1000$" + s + "$" + d, "$pbkdf2-sha256$1000$" + strings.Repeat("+", 22) + "$" + d,
	} {
		if err := password.CheckHash(bad); !errors.Is(err, password.ErrHash) {
			t.Errorf("CheckHash(%q) = %v, want ErrHash", bad, err)
		}
		if cost, err := password.Cost(bad); err == nil {
			t.Errorf("Cost(%q) = %q, want an error", bad, cost)
		}
		if !password.NeedsRehash(bad) {
			t.Errorf("NeedsRehash(%q) = false", bad)
		}
	}
}

func TestCostTellsNothingOfTheHash(t *testing.T) {
	for name, hash := range madeElsewhere {
		cost, err := password.Cost(hash)
		if err != nil || len(cost) > 40 || strings.Contains(cost, "$") {
			t.Errorf("Cost of %s = %q, %v", name, cost, err)
		}
	}
}

func FuzzCheckHash(f *testing.F) {
	for _, hash := range madeElsewhere {
		f.Add(hash)
	}
	f.Fuzz(func(t *testing.T, hash string) {
		err := password.CheckHash(hash)
		if err != nil && !errors.Is(err, password.ErrHash) {
			t.Fatalf("CheckHash(%q) = %v, want ErrHash", hash, err)
		}
		if _, costErr := password.Cost(hash); (err == nil) != (costErr == nil) {
			t.Fatalf("CheckHash(%q) = %v, Cost %v", hash, err, costErr)
		}
	})
}
