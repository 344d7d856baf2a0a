package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"gatehouse/idp/client"
	"gatehouse/idp/keys"
	"gatehouse/idp/pool"
)

func user(id, name string) pool.User {
	return pool.User{
		ID: id, Username: name, Email: name + "@example.com", EmailVerified: true, Name: "N", Enabled: true,
		Status: pool.Confirmed, PasswordHash: "$h", Created: t0, Updated: t0,
	}
}

func userFields(t *testing.T, s Store) {
	ctx := t.Context()
	u := user("u1", "Alice")
	must(t, s.Users().Insert(ctx, u, []string{"alice", "alice@example.com"}))
	for _, key := range []string{"alice", "alice@example.com"} {
		got, err := s.Users().Find(ctx, key)
		must(t, err)
		same(t, "user found by "+key, got, u)
	}
	u.Username, u.Email, u.Enabled, u.EmailVerified, u.PasswordHash = "al", "", false, false, ""
	must(t, s.Users().Update(ctx, u, []string{"al"}))
	got, err := s.Users().Get(ctx, "u1")
	must(t, err)
	same(t, "updated user", got, u)
	_, err = s.Users().Find(ctx, "alice")
	wantErr(t, "Find by a name given up", err, pool.ErrNotFound)
	wantErr(t, "Update of a stranger", s.Users().Update(ctx, user("u9", "x"), []string{"x"}), pool.ErrNotFound)

	for i := range 5 {
		must(t, s.Users().Insert(ctx, user(fmt.Sprint("p", i), fmt.Sprint("p", i)), []string{fmt.Sprint("p", i)}))
	}
	page, err := s.Users().List(ctx, "p0", 3)
	must(t, err)
	if len(page) != 3 || page[0].Username != "p1" || page[2].Username != "p3" {
		t.Fatalf("List after p0 = %v", page)
	}
	must(t, s.Users().Delete(ctx, "u1"))
	wantErr(t, "Delete twice", s.Users().Delete(ctx, "u1"), pool.ErrNotFound)
	_, err = s.Users().Find(ctx, "al")
	wantErr(t, "Find after Delete", err, pool.ErrNotFound)

	must(t, s.Tombstones().Bury(ctx, "al"))
	must(t, s.Tombstones().Bury(ctx, "al"))
	buried, err := s.Tombstones().Buried(ctx, "al")
	must(t, err)
	other, err := s.Tombstones().Buried(ctx, "p1")
	must(t, err)
	if !buried || other {
		t.Fatalf("Buried(al), Buried(p1) = %v, %v", buried, other)
	}
}

func names(t *testing.T, s Store) {
	ctx := t.Context()
	must(t, s.Users().Insert(ctx, user("u1", "bob"), []string{"bob", "bob@example.com"}))
	err := s.InTx(ctx, func(ctx context.Context) error {
		return s.Users().Insert(ctx, user("u2", "bob@example.com"), []string{"bob@example.com"})
	})
	wantErr(t, "a username that is another's address", err, pool.ErrExists)
	_, err = s.Users().Get(ctx, "u2")
	wantErr(t, "Get of the refused user", err, pool.ErrNotFound)
	must(t, s.Users().Insert(ctx, user("u3", "eve"), []string{"eve"}))
	eve := user("u3", "eve")
	wantErr(t, "Update to another's address", s.Users().Update(ctx, eve, []string{"eve", "bob@example.com"}), pool.ErrExists)
	if got, err := s.Users().Find(ctx, "bob@example.com"); err != nil || got.ID != "u1" {
		t.Fatalf("bob@example.com is %q, %v; want u1", got.ID, err)
	}

	won := atOnce(t, func(i int) (bool, error) {
		id := fmt.Sprint("r", i)
		err := s.Users().Insert(ctx, user(id, "racer"), []string{"racer"})
		if err != nil && err != pool.ErrExists {
			return false, err
		}
		return err == nil, nil
	})
	if won != 1 {
		t.Fatalf("%d callers got one name, want 1", won)
	}
}

func groups(t *testing.T, s Store) {
	ctx := t.Context()
	n := 3
	admins := pool.Group{Name: "admins", Description: "d", Precedence: &n, RoleARN: "arn"}
	must(t, s.Groups().Insert(ctx, admins))
	must(t, s.Groups().Insert(ctx, pool.Group{Name: "staff"}))
	wantErr(t, "Insert twice", s.Groups().Insert(ctx, admins), pool.ErrExists)
	got, err := s.Groups().Find(ctx, "admins")
	must(t, err)
	same(t, "group", got, admins)
	admins.Precedence = nil
	must(t, s.Groups().Update(ctx, admins))
	wantErr(t, "Update of none", s.Groups().Update(ctx, pool.Group{Name: "x"}), pool.ErrNotFound)
	all, err := s.Groups().List(ctx)
	must(t, err)
	same(t, "groups", all, []pool.Group{admins, {Name: "staff"}})

	must(t, s.Users().Insert(ctx, user("u1", "alice"), []string{"alice"}))
	joined := atOnce(t, func(int) (bool, error) { return s.Members().Join(ctx, "u1", "admins") })
	if joined != 1 {
		t.Fatalf("%d callers were told that the membership is new, want 1", joined)
	}
	if _, err := s.Members().Join(ctx, "nobody", "admins"); err == nil {
		t.Fatal("a stranger joined a group")
	}
	mine, err := s.Members().GroupsOf(ctx, "u1")
	must(t, err)
	same(t, "groups of u1", mine, []pool.Group{admins})
	in, err := s.Members().UsersIn(ctx, "admins")
	must(t, err)
	same(t, "members", in, []pool.User{user("u1", "alice")})
	left := atOnce(t, func(int) (bool, error) { return s.Members().Leave(ctx, "u1", "admins") })
	if left != 1 {
		t.Fatalf("%d callers were told that the membership was there, want 1", left)
	}
	if _, err := s.Members().Join(ctx, "u1", "staff"); err != nil {
		t.Fatal(err)
	}
	must(t, s.Groups().Delete(ctx, "staff"))
	mine, err = s.Members().GroupsOf(ctx, "u1")
	must(t, err)
	if len(mine) != 0 {
		t.Fatalf("groups after the group's end = %v", mine)
	}
}

func clientFields(t *testing.T, s Store) {
	ctx := t.Context()
	grace := 10 * time.Second
	c := client.Client{
		ID: "web", Name: "Web", Secrets: []client.Secret{{ID: "s1", Salt: []byte{0, 1}, Hash: []byte{2, 255}, Created: t0}},
		RedirectURIs: []string{"https://a.example/cb", "https://b.example/cb?x=1"}, SignOutURIs: []string{"https://a.example/"},
		Scopes: []string{"openid"}, Grants: []string{"authorization_code"}, AccessTTL: 10 * time.Minute, IDTTL: time.Hour,
		RefreshTTL: 12 * time.Hour, RefreshGrace: &grace, Managed: true, Created: t0, Updated: t0,
	}
	must(t, s.Clients().Insert(ctx, c))
	wantErr(t, "Insert twice", s.Clients().Insert(ctx, c), client.ErrExists)
	got, err := s.Clients().Find(ctx, "web")
	must(t, err)
	same(t, "client", got, c)
	c.Public, c.Secrets, c.RefreshGrace, c.Managed, c.Scopes = true, nil, nil, false, nil
	must(t, s.Clients().Update(ctx, c))
	all, err := s.Clients().List(ctx)
	must(t, err)
	same(t, "updated client", all, []client.Client{c})
	must(t, s.Clients().Delete(ctx, "web"))
	_, err = s.Clients().Find(ctx, "web")
	wantErr(t, "Find after Delete", err, client.ErrNotFound)
	wantErr(t, "Delete twice", s.Clients().Delete(ctx, "web"), client.ErrNotFound)
	wantErr(t, "Update after Delete", s.Clients().Update(ctx, c), client.ErrNotFound)
}

func scopes(t *testing.T, s Store) {
	ctx := t.Context()
	rows := s.Scopes()
	must(t, rows.PutServer(ctx, client.ResourceServer{ID: "orders", Name: "Orders"}))
	must(t, rows.PutServer(ctx, client.ResourceServer{ID: "orders", Name: "O"}))
	must(t, rows.PutScope(ctx, client.Scope{Name: "orders.read", Server: "orders"}))
	must(t, rows.PutScope(ctx, client.Scope{Name: "orders.read", Server: "orders", Description: "d", Groups: []string{"staff"}}))
	if err := rows.PutScope(ctx, client.Scope{Name: "x", Server: "none"}); err == nil {
		t.Fatal("a scope without its server was stored")
	}
	servers, err := rows.Servers(ctx)
	must(t, err)
	same(t, "servers", servers, []client.ResourceServer{{ID: "orders", Name: "O"}})
	all, err := rows.Scopes(ctx)
	must(t, err)
	same(t, "scopes", all, []client.Scope{{Name: "orders.read", Server: "orders", Description: "d", Groups: []string{"staff"}}})
	wantErr(t, "DeleteScope of none", rows.DeleteScope(ctx, "none"), client.ErrNotFound)
	must(t, rows.DeleteServer(ctx, "orders"))
	all, err = rows.Scopes(ctx)
	must(t, err)
	if len(all) != 0 {
		t.Fatalf("scopes without their server = %v", all)
	}
}

func tokenKeys(t *testing.T, s Store) {
	ctx := t.Context()
	newer := keys.Row{ID: "b", Alg: "RS256", Sealed: []byte{1, 2}, Created: t0, Signs: t0.Add(time.Hour)}
	older := keys.Row{ID: "z", Alg: "RS256", Sealed: []byte{3}, Created: t0, Signs: t0}
	must(t, s.Keys().Insert(ctx, newer))
	must(t, s.Keys().Insert(ctx, older))
	must(t, s.Keys().Reseal(ctx, "z", []byte{9}))
	older.Sealed = []byte{9}
	all, err := s.Keys().List(ctx)
	must(t, err)
	same(t, "keys", all, []keys.Row{older, newer})
	must(t, s.Keys().Delete(ctx, "z"))
	all, err = s.Keys().List(ctx)
	must(t, err)
	same(t, "keys after Delete", all, []keys.Row{newer})
}
