package keyring

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

func ring(t *testing.T, path string, purpose Purpose) *Ring {
	t.Helper()
	r, err := OpenRing(path, purpose, true)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRingIsMadeOnceAndReadAgain(t *testing.T) {
	for purpose, size := range map[Purpose]int{Sealing: 32, Cookie: 96, Assertion: 0} {
		path := filepath.Join(t.TempDir(), "secrets", "ring.key")
		if _, err := OpenRing(path, purpose, false); !errors.Is(err, ErrNoKey) {
			t.Fatalf("OpenRing without a file: %v, want ErrNoKey", err)
		}
		first := ring(t, path, purpose).Keys()
		again := ring(t, path, purpose).Keys()
		if len(first) != 1 || first[0].ID != again[0].ID || !bytes.Equal(first[0].Secret, again[0].Secret) {
			t.Fatalf("%s: read %v after writing %v", purpose, again, first)
		}
		if size != 0 && len(first[0].Secret) != size {
			t.Errorf("%s key has %d bytes, want %d", purpose, len(first[0].Secret), size)
		}
		for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
			if info, err := os.Stat(name); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: mode %v, %v; want %v", name, info.Mode().Perm(), err, want)
			}
		}
		if left, _ := filepath.Glob(path + ".*"); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

func TestAssertionKeyIDIsUUID(t *testing.T) {
	id := ring(t, filepath.Join(t.TempDir(), "k"), Assertion).Keys()[0].ID
	if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) {
		t.Fatalf("kid = %q, want a UUID", id)
	}
}

func TestRotateKeepsThreeNewestFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring.key")
	r := ring(t, path, Cookie)
	other := ring(t, path, Cookie)
	seen := []string{r.Keys()[0].ID}
	for range 4 {
		if err := r.Rotate(); err != nil {
			t.Fatal(err)
		}
		seen = append([]string{r.Keys()[0].ID}, seen...)
	}
	keys := r.Keys()
	if len(keys) != 3 {
		t.Fatalf("%d keys, want 3", len(keys))
	}
	for i, k := range keys {
		if k.ID != seen[i] {
			t.Fatalf("key %d is %s, want %s", i, k.ID, seen[i])
		}
	}
	if err := other.Reload(); err != nil || other.Keys()[0].ID != seen[0] {
		t.Fatalf("Reload in another process: %v", err)
	}
}

func TestFirstStartsAtOnceAgreeOnOneKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ring.key")
	ids := make([]string, 20)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			if r, err := OpenRing(path, Sealing, true); err != nil {
				t.Error(err)
			} else {
				ids[i] = r.Keys()[0].ID
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("keys %v, want one", ids)
		}
	}
}

func TestUnsafeAndMalformedFilesAreRefused(t *testing.T) {
	good, err := os.ReadFile(func() string {
		p := filepath.Join(t.TempDir(), "k")
		ring(t, p, Sealing)
		return p
	}())
	if err != nil {
		t.Fatal(err)
	}
	line := strings.TrimSuffix(string(good), "\n")
	for name, text := range map[string]string{
		"empty": "", "two fields": "a b\n", "bad time": "a b c\n", "twice": line + "\n" + line + "\n",
		"padded": line + "=\n", "short": line[:len(line)-4] + "\n", "blank line": line + "\n\n", "garbage id": "../x" + line[4:] + "\n",
	} {
		path := filepath.Join(t.TempDir(), "k")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := OpenRing(path, Sealing, true)
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: error = %v, want ErrMalformed", name, err)
		}
		if secret := strings.Fields(line)[2]; err != nil && strings.Contains(err.Error(), secret[:20]) {
			t.Errorf("%s: the error shows the key", name)
		}
	}
	path := filepath.Join(t.TempDir(), "k")
	ring(t, path, Sealing)
	if _, err := OpenRing(path, Cookie, true); !errors.Is(err, ErrMalformed) {
		t.Errorf("a sealing ring as cookie ring: %v, want ErrMalformed", err)
	}
	if err := os.Symlink(path, path+".link"); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRing(path+".link", Sealing, true); err == nil {
		t.Error("a symbolic link was followed")
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRing(path, Sealing, true); !errors.Is(err, ErrUnsafe) {
		t.Errorf("a file that others may read: %v, want ErrUnsafe", err)
	}
}

func TestSealedValueOpensOnlyInItsPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sealing.key")
	s, err := OpenSealing(path, true, "")
	if err != nil {
		t.Fatal(err)
	}
	place := [4]string{"totp", "factor", "secret", "u1"}
	sealed, err := s.Seal([]byte("plain"), place[0], place[1], place[2], place[3])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Open(sealed, place[0], place[1], place[2], place[3]); err != nil || string(got) != "plain" {
		t.Fatalf("Open = %q, %v", got, err)
	}
	for i := range place {
		p := place
		p[i] += "x"
		if _, err := s.Open(sealed, p[0], p[1], p[2], p[3]); !errors.Is(err, ErrOpen) {
			t.Errorf("Open with another %s: %v, want ErrOpen", []string{"purpose", "table", "column", "row"}[i], err)
		}
	}
	// Shifting a character between two parts is another place.
	if _, err := s.Open(sealed, "totp", "factors", "ecret", "u1"); !errors.Is(err, ErrOpen) {
		t.Errorf("Open with shifted parts: %v, want ErrOpen", err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := s.Open(bad, place[0], place[1], place[2], place[3]); !errors.Is(err, ErrOpen) {
			t.Fatalf("Open with byte %d flipped: %v, want ErrOpen", i, err)
		}
		if _, err := s.Open(sealed[:i], place[0], place[1], place[2], place[3]); !errors.Is(err, ErrOpen) {
			t.Fatalf("Open cut at %d: %v, want ErrOpen", i, err)
		}
	}
}

func TestSealerFollowsRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sealing.key")
	server, err := OpenSealing(path, true, "")
	if err != nil {
		t.Fatal(err)
	}
	old, err := server.Seal([]byte("old"), "p", "t", "c", "r")
	if err != nil {
		t.Fatal(err)
	}
	derived := server.Derive("d", 32)
	if err := ring(t, path, Sealing).Rotate(); err != nil {
		t.Fatal(err)
	}
	cli, err := OpenSealing(path, false, "")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := cli.Open(old, "p", "t", "c", "r"); err != nil || string(got) != "old" {
		t.Fatalf("the new process cannot open the old value: %v", err)
	}
	if cli.Newest(old) || !server.Newest(old) {
		t.Fatal("Newest does not tell the old value from a new one")
	}
	fresh, err := cli.Seal([]byte("new"), "p", "t", "c", "r")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(cli.Derive("d", 32), derived) || !bytes.Equal(cli.DeriveAll("d", 32)[1], derived) {
		t.Fatal("Derive does not use the newest key, or DeriveAll forgot the old one")
	}
	if all := server.DeriveAll("d", 32); len(all) != 2 || !bytes.Equal(all[0], cli.Derive("d", 32)) || !bytes.Equal(all[1], derived) {
		t.Fatalf("the running process derives from %d keys, want the new one and the old", len(all))
	}
	if got, err := server.Open(fresh, "p", "t", "c", "r"); err != nil || string(got) != "new" {
		t.Fatalf("the running process cannot open what the new key sealed: %v", err)
	}
}

func TestDerivedKeysDifferByPurpose(t *testing.T) {
	s, err := NewSealer(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	a, b := s.Derive("a", 32), s.Derive("b", 32)
	if bytes.Equal(a, b) || len(a) != 32 || !bytes.Equal(a, s.Derive("a", 32)) {
		t.Fatal("Derive is not a function of its purpose")
	}
	if bytes.Equal(a, derive(s.newest(), "seal", "a", 32)) {
		t.Fatal("a derived key equals the sealing key of the same purpose")
	}
}

func TestEnvironmentKeyInEverySpelling(t *testing.T) {
	secret := bytes.Repeat([]byte{0xfb, 0xff}, 16)
	none := filepath.Join(t.TempDir(), "none")
	var ids []string
	for _, text := range []string{
		hex.EncodeToString(secret), base64.StdEncoding.EncodeToString(secret), base64.RawURLEncoding.EncodeToString(secret) + "\n",
	} {
		s, err := OpenSealing(none, false, text)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, s.newest().ID)
	}
	if ids[0] != ids[1] || ids[1] != ids[2] {
		t.Fatalf("one key has the ids %v", ids)
	}
	for _, text := range []string{"short", hex.EncodeToString(secret[:31]), strings.Repeat("z", 64)} {
		if _, err := OpenSealing(none, false, text); !errors.Is(err, ErrMalformed) || strings.Contains(err.Error(), text) {
			t.Errorf("OpenSealing(%q): %v", text, err)
		}
	}
}

// A key from the environment is replaced by putting the new one before it.
func TestSeveralEnvironmentKeys(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none")
	text := func(b byte) string { return hex.EncodeToString(bytes.Repeat([]byte{b}, 32)) }
	before, err := OpenSealing(none, false, text(1))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := before.Seal([]byte("secret"), "p", "t", "c", "r")
	if err != nil {
		t.Fatal(err)
	}
	after, err := OpenSealing(none, false, text(2)+" , "+text(1))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := after.Open(sealed, "p", "t", "c", "r"); err != nil || string(plain) != "secret" {
		t.Errorf("what the old key sealed: %q, %v", plain, err)
	}
	if after.Newest(sealed) {
		t.Error("the old key is still the newest")
	}
	for _, env := range []string{text(1) + ",", text(1) + ",short", strings.Repeat(text(1)+",", 3) + text(2)} {
		if _, err := OpenSealing(none, false, env); !errors.Is(err, ErrMalformed) {
			t.Errorf("OpenSealing(%d bytes): %v, want ErrMalformed", len(env), err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("a 2030-01-02T03:04:05Z " + base64.RawURLEncoding.EncodeToString(make([]byte, 32)) + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := parse(text, Sealing)
		if err != nil {
			return
		}
		again, err := parse(format(keys), Sealing)
		if err != nil || len(again) != len(keys) {
			t.Fatalf("what was read cannot be written and read again: %v", err)
		}
	})
}
