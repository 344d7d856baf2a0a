package storetest

import (
	"slices"
	"testing"
)

func earlierPasswords(t *testing.T, s Store) {
	ctx := t.Context()
	must(t, s.Users().Insert(ctx, user("u1", "alice"), []string{"alice"}))
	must(t, s.Users().Insert(ctx, user("u2", "bob"), []string{"bob"}))
	for _, hash := range []string{"a", "b", "c", "d"} {
		must(t, s.Hashes().Remember(ctx, "u1", hash, 3))
	}
	must(t, s.Hashes().Remember(ctx, "u2", "x", 1))
	for n, want := range map[int][]string{0: nil, 1: {"d"}, 9: {"d", "c", "b"}} {
		got, err := s.Hashes().Earlier(ctx, "u1", n)
		must(t, err)
		same(t, "earlier passwords", got, want)
	}
	must(t, s.Hashes().Exchange(ctx, "u1", "$h", "$better"))
	must(t, s.Hashes().Exchange(ctx, "u1", "$h", "$late"))
	got, err := s.Users().Get(ctx, "u1")
	must(t, err)
	same(t, "hash after an exchange that came too late", got.PasswordHash, "$better")
	must(t, s.Users().Delete(ctx, "u1"))
	left, err := s.Hashes().Earlier(ctx, "u1", 9)
	must(t, err)
	same(t, "earlier passwords of nobody", left, []string(nil))
}

func otherHashes(t *testing.T, s Store) {
	ctx := t.Context()
	for id, hash := range map[string]string{"u1": "$a$1$x", "u2": "$a$2$y", "u3": "", "u4": "$b$3$z", "u5": "$A$1$x"} {
		u := user(id, id)
		u.PasswordHash = hash
		must(t, s.Users().Insert(ctx, u, []string{id}))
	}
	var found, known []string
	for {
		hash, err := s.Hashes().Other(ctx, append([]string{"$a$1$"}, known...))
		must(t, err)
		if hash == "" {
			break
		}
		found, known = append(found, hash), append(known, hash[:5])
	}
	slices.Sort(found)
	same(t, "hashes of other kinds", found, []string{"$A$1$x", "$a$2$y", "$b$3$z"})
}
