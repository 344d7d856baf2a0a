package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"gatehouse/idp/pool"
)

// draft is a user with one name more than their username.
func draft(n int) pool.Draft {
	u := user(fmt.Sprint("id", n), fmt.Sprint("Person", n))
	u.Attributes = map[string]string{"custom:n": fmt.Sprint(n)}
	return pool.Draft{User: u, Keys: []string{fmt.Sprint("person", n), fmt.Sprintf("person%d@example.com", n)}}
}

func bulk(t *testing.T, s Store) {
	ctx := t.Context()
	must(t, s.Groups().Insert(ctx, pool.Group{Name: "staff"}))
	must(t, s.Groups().Insert(ctx, pool.Group{Name: "admins"}))
	// More than any statement takes.
	var all []pool.Draft
	for n := range 1234 {
		d := draft(n)
		if n%2 == 0 {
			d.Groups = []string{"staff", "admins", "staff"}
		}
		all = append(all, d)
	}
	must(t, s.Bulk().Insert(ctx, all))
	for _, n := range []int{0, 99, 100, 1233} {
		got, err := s.Users().Find(ctx, fmt.Sprintf("person%d@example.com", n))
		must(t, err)
		same(t, "user of many", got, all[n].User)
	}
	var names, ids []string
	for n := range 2000 {
		names, ids = append(names, fmt.Sprint("person", n)), append(ids, fmt.Sprint("id", n))
	}
	owners, err := s.Bulk().Owners(ctx, names)
	must(t, err)
	held, err := s.Bulk().Held(ctx, ids)
	must(t, err)
	groups, err := s.Bulk().Memberships(ctx, ids)
	must(t, err)
	if len(owners) != 1234 || owners["person1233"] != "id1233" || len(held) != 1234 || len(groups) != 617 {
		t.Fatalf("%d owners, %d held, %d with groups; want 1234, 1234, 617", len(owners), len(held), len(groups))
	}
	same(t, "groups of id2", groups["id2"], []string{"admins", "staff"})

	// One of them is in the way: the others do not go in either.
	for what, spoil := range map[string]func(*pool.Draft){
		"a name": func(d *pool.Draft) { d.Keys[1] = "person7" },
		"an id":  func(d *pool.Draft) { d.User.ID = "id7" },
		"itself": func(d *pool.Draft) { d.Keys[0] = "person5000" },
	} {
		a, b := draft(5000), draft(5001)
		spoil(&b)
		err := s.InTx(ctx, func(ctx context.Context) error { return s.Bulk().Insert(ctx, []pool.Draft{a, b}) })
		wantErr(t, what+" in the way", err, pool.ErrExists)
		_, err = s.Users().Find(ctx, "person5000")
		wantErr(t, "the other of the two", err, pool.ErrNotFound)
	}
	must(t, s.Bulk().Insert(ctx, nil))
	none, err := s.Bulk().Owners(ctx, nil)
	must(t, err)
	if len(none) != 0 {
		t.Fatalf("owners of no names = %v", none)
	}
}

func bulkAtOnce(t *testing.T, s Store) {
	won := atOnce(t, func(i int) (bool, error) {
		a, b := draft(2*i), draft(2*i+1)
		b.Keys = append(b.Keys, "everybody's")
		err := s.Bulk().Insert(t.Context(), []pool.Draft{a, b})
		if err != nil && !errors.Is(err, pool.ErrExists) {
			return false, err
		}
		return err == nil, nil
	})
	all, err := s.Users().List(t.Context(), "", 1000)
	must(t, err)
	if won != 1 || len(all) != 2 {
		t.Fatalf("%d callers inserted %d users, want one and its two", won, len(all))
	}
}

func marks(t *testing.T, s Store) {
	ctx := t.Context()
	swap := func(old, text string, want bool) {
		t.Helper()
		ok, err := s.Marks().Swap(ctx, "k", old, text)
		must(t, err)
		if ok != want {
			t.Fatalf("Swap(%q, %q) = %v, want %v", old, text, ok, want)
		}
	}
	swap("x", "a", false)
	swap("", "", true)
	won := atOnce(t, func(i int) (bool, error) { return s.Marks().Swap(ctx, "k", "", fmt.Sprint("a", i)) })
	if won != 1 {
		t.Fatalf("%d callers set the first mark, want 1", won)
	}
	at, err := s.Marks().Mark(ctx, "k")
	must(t, err)
	won = atOnce(t, func(i int) (bool, error) { return s.Marks().Swap(ctx, "k", at, fmt.Sprint("b", i)) })
	if won != 1 {
		t.Fatalf("%d callers moved the mark, want 1", won)
	}
	swap("", "c", false)
	swap("", "", false)
	at, err = s.Marks().Mark(ctx, "k")
	must(t, err)
	swap(at, "", true)
	if at, err = s.Marks().Mark(ctx, "k"); err != nil || at != "" {
		t.Fatalf("Mark after its end = %q, %v", at, err)
	}
}
