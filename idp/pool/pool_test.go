package pool_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"gatehouse/idp/password"
	"gatehouse/idp/pool"
	"gatehouse/idp/store"
	"gatehouse/idp/store/storetest"
	"gatehouse/internal/audit"
)

type world struct {
	t      *testing.T
	db     *store.DB
	pool   *pool.Pool
	hasher *password.Hasher
}

func newWorld(t *testing.T) *world {
	db := storetest.Open(t, nil)
	w := &world{t: t, db: db, hasher: password.New(password.Options{})}
	w.pool = pool.New(w.parts())
	return w
}

func (w *world) parts() pool.Parts {
	return pool.Parts{
		Users: w.db.Users(), Groups: w.db.Groups(), Members: w.db.Members(), Tombstones: w.db.Tombstones(), Hashes: w.db.Hashes(), Ender: w.db, Journal: w.db,
		Hasher: w.hasher,
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) add(n pool.NewUser) pool.User {
	w.t.Helper()
	u, err := w.pool.Add(w.t.Context(), n)
	w.must(err)
	return u
}

// last returns the newest event.
func (w *world) last() audit.Event {
	w.t.Helper()
	all, err := w.db.EventsSince(w.t.Context(), 0, 1000)
	w.must(err)
	if len(all) == 0 {
		return audit.Event{}
	}
	return all[len(all)-1]
}

func TestUserIsFoundInEverySpelling(t *testing.T) {
	w := newWorld(t)
	alice := w.add(pool.NewUser{Username: "Alice", Email: "Alice@Example.com", EmailVerified: true})
	for _, name := range []string{"alice", "ALICE", " alice ", "ａlice", "alice@example.com", "ALICE@EXAMPLE.COM", "alice@ｅxample.com"} {
		got, err := w.pool.Find(t.Context(), name)
		if err != nil || got.ID != alice.ID {
			t.Errorf("Find(%q) = %q, %v", name, got.ID, err)
		}
		account, err := w.pool.Account(t.Context(), name)
		if err != nil || account != alice.ID {
			t.Errorf("Account(%q) = %q, %v; want one counter for all", name, account, err)
		}
	}
	for _, name := range []string{"", " ", "alic", "al ice", strings.Repeat("a", 2000)} {
		if _, err := w.pool.Find(t.Context(), name); !errors.Is(err, pool.ErrNotFound) {
			t.Errorf("Find(%.10q): %v, want ErrNotFound", name, err)
		}
	}
	a, err := w.pool.Account(t.Context(), " NoBody ")
	b, _ := w.pool.Account(t.Context(), "nobody")
	if err != nil || a != b || a == "" {
		t.Errorf("a stranger's accounts = %q, %q, %v; want one", a, b, err)
	}
}

func TestNamesAreUniqueInEverySpelling(t *testing.T) {
	w := newWorld(t)
	w.add(pool.NewUser{Username: "bob", Email: "bob@example.com", EmailVerified: true})
	w.add(pool.NewUser{Username: "Kim"})
	for what, n := range map[string]pool.NewUser{
		"same name": {Username: "bob"}, "other case": {Username: "BOB"}, "full width": {Username: "ｂob"},
		"another's address": {Username: "x", Email: "BOB@example.com", EmailVerified: true}, "Kelvin sign": {Username: "\u212aim"},
	} {
		if _, err := w.pool.Add(t.Context(), n); !errors.Is(err, pool.ErrExists) {
			t.Errorf("%s: error = %v, want ErrExists", what, err)
		}
	}
	// A name in the form of an address may be only one's own address, whether
	// its owner is here already or comes later.
	for _, n := range []pool.NewUser{{Username: "bob@example.com"}, {Username: "carol@example.com"}, {Username: "carol@example.com", Email: "x@example.com"}} {
		if _, err := w.pool.Add(t.Context(), n); !errors.Is(err, pool.ErrInvalid) {
			t.Errorf("username %s, e-mail %s: %v, want ErrInvalid", n.Username, n.Email, err)
		}
	}
	w.add(pool.NewUser{Username: "dan@example.com", Email: "Dan@example.com"})
}

// Rules name people by username or by id: nobody takes another's id for a name.
func TestNobodyIsNamedLikeTheIDOfAnother(t *testing.T) {
	w := newWorld(t)
	alice := w.add(pool.NewUser{Username: "alice"})
	for _, name := range []string{alice.ID, strings.ToUpper(alice.ID)} {
		if _, err := w.pool.Add(t.Context(), pool.NewUser{Username: name}); !errors.Is(err, pool.ErrExists) {
			t.Errorf("a username that is alice's id %s = %v, want ErrExists", name, err)
		}
	}
	w.add(pool.NewUser{Username: "8d0c"})
	if _, err := w.pool.Add(t.Context(), pool.NewUser{ID: "8d0c", Username: "other"}); !errors.Is(err, pool.ErrExists) {
		t.Errorf("an id that is somebody's username = %v, want ErrExists", err)
	}
	w.add(pool.NewUser{ID: "brought:1", Username: "brought:1"})
}

func TestInvalidFieldsAreRefused(t *testing.T) {
	w := newWorld(t)
	for what, n := range map[string]pool.NewUser{
		"no name": {}, "space": {Username: "a b"}, "control": {Username: "a\nb"}, "zero width": {Username: "bo\u200bb"},
		"bidi": {Username: "bob\u202e"}, "too long": {Username: strings.Repeat("a", 129)}, "not UTF-8": {Username: "\xff"},
		"no address": {Username: "a", Email: "nobody"}, "named address": {Username: "a", Email: "A <a@b.c>"},
		"two addresses": {Username: "a", Email: "a@b.c,d@e.f"}, "line in display name": {Username: "a", Name: "A\r\nX: y"},
		"short password": {Username: "a", Password: "1234567"}, "NUL in password": {Username: "a", Password: "12345678\x00"},
	} {
		if _, err := w.pool.Add(t.Context(), n); !errors.Is(err, pool.ErrInvalid) {
			t.Errorf("%s: error = %v, want ErrInvalid", what, err)
		}
	}
	if _, err := w.pool.Add(t.Context(), pool.NewUser{Username: "a", Groups: []string{"none"}}); !errors.Is(err, pool.ErrNotFound) {
		t.Errorf("unknown group: %v, want ErrNotFound", err)
	}
	if _, err := w.pool.Find(t.Context(), "a"); !errors.Is(err, pool.ErrNotFound) {
		t.Errorf("a refused user was stored: %v", err)
	}
}

func TestPasswordAnswersAreOneWithOneCost(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.add(pool.NewUser{Username: "alice", Password: "correct horse"})
	off := w.add(pool.NewUser{Username: "off", Password: "correct horse"})
	w.add(pool.NewUser{Username: "none"})
	w.must(w.pool.Disable(ctx, off.ID))
	if u, err := w.pool.CheckPassword(ctx, "ALICE", "correct horse"); err != nil || u.Username != "alice" {
		t.Fatalf("the right password: %v", err)
	}
	for _, c := range [][2]string{{"alice", "wrong horse"}, {"stranger", "correct horse"}, {"off", "correct horse"}, {"off", "wrong"}, {"none", "x"}, {"", "x"}} {
		before := w.hasher.Calls()
		_, err := w.pool.CheckPassword(ctx, c[0], c[1])
		if !errors.Is(err, pool.ErrWrongPassword) || err.Error() != pool.ErrWrongPassword.Error() {
			t.Errorf("%s/%s: %v, want exactly ErrWrongPassword", c[0], c[1], err)
		}
		if n := w.hasher.Calls() - before; n != 1 {
			t.Errorf("%s/%s: %d hashes computed, want 1", c[0], c[1], n)
		}
	}
	if _, err := w.pool.CheckPassword(ctx, "alice", strings.Repeat("a", 2000)); !errors.Is(err, password.ErrTooLong) {
		t.Errorf("a long password: %v, want ErrTooLong", err)
	}
}

func TestWhatTakesAwayRevokesInItsTransaction(t *testing.T) {
	w := newWorld(t)
	ctx := audit.WithActor(t.Context(), audit.Actor{Name: "os:root"})
	w.must(w.pool.AddGroup(ctx, pool.Group{Name: "staff"}))
	u := w.add(pool.NewUser{Username: "bob", Email: "bob@example.com", Password: "12345678"})
	for _, c := range []struct {
		event string
		do    func() error
	}{
		{"user.disabled", func() error { return w.pool.Disable(ctx, u.ID) }},
		{"user.password_set", func() error { return w.pool.SetPassword(ctx, u.ID, "87654321", pool.Confirmed) }},
		{"user.group_added", func() error { return w.pool.AddToGroup(ctx, u.ID, "staff") }},
		{"user.group_removed", func() error { return w.pool.RemoveFromGroup(ctx, u.ID, "staff") }},
		{"user.updated", func() error { return w.pool.Change(ctx, u.ID, pool.Changes{Email: new("b@example.com")}) }},
		{"user.deleted", func() error { return w.pool.Delete(ctx, u.ID) }},
	} {
		w.must(w.db.Sessions().Insert(ctx, storetest.Session("s-"+c.event, u.ID)))
		w.must(c.do())
		e := w.last()
		if e.Type != c.event || e.Target != u.ID || e.Actor != "os:root" || len(e.Revoke) != 1 ||
			e.Revoke[0].Kind != audit.KindSubject || e.Revoke[0].Value != u.ID || e.Revoke[0].NotBefore.IsZero() {
			t.Errorf("%s: the newest event is %+v", c.event, e)
		}
		if _, err := w.db.Sessions().FindByTicket(ctx, storetest.Session("s-"+c.event, u.ID).TicketHash); err == nil {
			t.Errorf("%s: the session lives on", c.event)
		}
	}
}

func TestWhatChangesNothingRevokesNothing(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.must(w.pool.AddGroup(ctx, pool.Group{Name: "staff"}))
	u := w.add(pool.NewUser{Username: "bob", Groups: []string{"staff"}})
	before := w.last().Seq
	w.must(w.pool.AddToGroup(ctx, u.ID, "staff"))
	w.must(w.pool.PutGroup(ctx, pool.Group{Name: "staff"}))
	if seq := w.last().Seq; seq != before {
		t.Errorf("%d events for nothing", seq-before)
	}
	w.must(w.pool.Enable(ctx, u.ID))
	w.must(w.pool.Change(ctx, u.ID, pool.Changes{Name: new("Bob")}))
	if e := w.last(); e.Type != "user.updated" || len(e.Revoke) != 0 {
		t.Errorf("a display name revoked %v", e.Revoke)
	}
}

func TestFailedChangeLeavesNoTrace(t *testing.T) {
	w := newWorld(t)
	u := w.add(pool.NewUser{Username: "bob"})
	broken := errors.New("broken")
	err := w.db.InTx(t.Context(), func(ctx context.Context) error {
		w.must(w.pool.Disable(ctx, u.ID))
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	got, err := w.pool.Get(t.Context(), u.ID)
	if err != nil || !got.Enabled || w.last().Type != "user.created" {
		t.Errorf("after rollback: enabled %v, newest event %s", got.Enabled, w.last().Type)
	}
}

func TestGroupsComeByPrecedence(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	n := func(i int) *int { return &i }
	for _, g := range []pool.Group{{Name: "z"}, {Name: "a"}, {Name: "low", Precedence: n(10)}, {Name: "top", Precedence: n(0)}, {Name: "also", Precedence: n(10)}} {
		w.must(w.pool.AddGroup(ctx, g))
	}
	u := w.add(pool.NewUser{Username: "bob", Groups: []string{"z", "a", "low", "top", "also"}})
	got, err := w.pool.GroupsOf(ctx, u.ID)
	w.must(err)
	if want := []string{"top", "also", "low", "a", "z"}; !slices.Equal(pool.Names(got), want) {
		t.Errorf("groups = %v, want %v", pool.Names(got), want)
	}
	w.must(w.pool.DeleteGroup(ctx, "top"))
	all, err := w.db.EventsSince(ctx, 0, 100)
	w.must(err)
	if e := all[len(all)-2]; e.Type != "user.group_removed" || len(e.Revoke) != 1 {
		t.Errorf("the members of a deleted group keep their tokens: %+v", e)
	}
	for _, bad := range []pool.Group{{}, {Name: "a,b"}, {Name: "x", Precedence: n(-1)}, {Name: "a b"}} {
		if err := w.pool.AddGroup(ctx, bad); !errors.Is(err, pool.ErrInvalid) {
			t.Errorf("AddGroup(%+v) = %v, want ErrInvalid", bad, err)
		}
	}
}
