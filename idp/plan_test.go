package idp_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"gatehouse/idp"
	"gatehouse/idp/pool"
	"gatehouse/internal/conf"
)

// declared reads a file of apply.
func declared(t *testing.T, f *fixture, text string) *idp.Bootstrap {
	t.Helper()
	d := idp.NewDeclared(&f.cfg)
	if _, err := conf.Parse("pool.yaml", []byte(text), d); err != nil {
		t.Fatal(err)
	}
	return d.Bootstrap()
}

const declaredYAML = `
groups: [{ name: new, description: D }, { name: staff, precedence: 5 }]
clients: [{ id: fresh, secret: fresh-secret-0123456789-01234, scopes: [openid], redirect_uris: ["https://f.test/cb"] }]
users: [{ username: zoe, groups: [new], password: correct horse battery }]
`

// The whole of a plan is done by one of those who come at once, and a second plan
// is empty.
func TestAppliesAtOnce(t *testing.T) {
	f := start(t, "")
	ctx := t.Context()
	want := declared(t, f, declaredYAML)
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range 20 {
		wg.Go(func() {
			plan, err := f.p.Plan(ctx, want, idp.Reach{})
			if err == nil && len(plan.Changes) > 0 {
				err = f.p.Apply(ctx, plan)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					done++
				}
			}
			if err != nil && !errors.Is(err, idp.ErrMoved) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	plan, err := f.p.Plan(ctx, want, idp.Reach{})
	if err != nil || done != 1 || len(plan.Changes)+len(plan.Notes) != 0 {
		t.Errorf("%d applies did something, and then the plan is %+v, %v; want 1 and nothing", done, plan, err)
	}
	if _, err := f.p.Pool.CheckPassword(ctx, "zoe", password); err != nil {
		t.Errorf("sign-in of the new user = %v", err)
	}
}

func TestOnlyWhatWasShownIsDone(t *testing.T) {
	f := start(t, "")
	ctx := t.Context()
	plan, err := f.p.Plan(ctx, declared(t, f, declaredYAML), idp.Reach{Prune: true})
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%+v", plan.Changes); strings.Contains(text, "fresh-secret") || strings.Contains(text, "battery") {
		t.Errorf("the plan shows a secret: %s", text)
	}
	if err := f.p.Pool.AddGroup(ctx, pool.Group{Name: "unseen"}); err != nil {
		t.Fatal(err)
	}
	if err := f.p.Apply(ctx, plan); !errors.Is(err, idp.ErrMoved) {
		t.Errorf("Apply = %v, want ErrMoved: it would remove a group that nobody was shown", err)
	}
	if _, err := f.p.Pool.Find(ctx, "zoe"); !errors.Is(err, pool.ErrNotFound) {
		t.Errorf("zoe = %v, want nothing done", err)
	}
}

// A file cannot take over a person through a name that is their address.
func TestOverwritingNeedsTheUsername(t *testing.T) {
	f := start(t, "")
	want := declared(t, f, `users: [{ username: alice@example.com, email: alice@example.com, name: Mallory }]`)
	if _, err := f.p.Plan(t.Context(), want, idp.Reach{Users: true}); !errors.Is(err, pool.ErrExists) {
		t.Errorf("Plan = %v, want ErrExists", err)
	}
}

// A failed write leaves nothing of a start behind.
func TestBootstrapIsAllOrNothing(t *testing.T) {
	f := start(t, "")
	cfg := f.cfg
	cfg.Bootstrap = *declared(t, f, declaredYAML)
	p, err := idp.New(cfg, idp.Deps{DB: f.db, Sealer: f.sealer})
	if err != nil {
		t.Fatal(err)
	}
	f.exec(t, `CREATE TRIGGER broken BEFORE INSERT ON pool_user BEGIN SELECT RAISE(ABORT, 'disk full'); END`)
	if err := p.Bootstrap(t.Context()); err == nil || !strings.Contains(err.Error(), "pool.yaml:4: ") {
		t.Errorf("Bootstrap = %v, want an error at line 4", err)
	}
	if _, err := p.Pool.FindGroup(t.Context(), "new"); !errors.Is(err, pool.ErrNotFound) {
		t.Errorf("group = %v, want none", err)
	}
}

// Replicas that start together all want the same people.
func TestManyStartsAtOnceMakeEverybodyOnce(t *testing.T) {
	f := start(t, "")
	ctx := t.Context()
	cfg := f.cfg
	cfg.Bootstrap = *declared(t, f, declaredYAML)
	var wg sync.WaitGroup
	for range 8 { // each of them hashes a password
		p, err := idp.New(cfg, idp.Deps{DB: f.db, Sealer: f.sealer})
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			if err := p.Bootstrap(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	made := 0
	all, err := f.db.EventsSince(ctx, 0, 10000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.Type == "user.created" && e.Detail["username"] == "zoe" {
			made++
		}
	}
	if made != 1 {
		t.Errorf("the user was made %d times, want 1", made)
	}
}

// Whoever was deleted stays so, in every spelling, until somebody makes them by
// hand.
func TestDeletedPeopleStayDeleted(t *testing.T) {
	f := start(t, "")
	ctx := t.Context()
	if err := f.p.Pool.Delete(ctx, f.userID("bob")); err != nil {
		t.Fatal(err)
	}
	want := declared(t, f, "users: [{ username: BOB, password: correct horse battery }]")
	plan, err := f.p.Plan(ctx, want, idp.Reach{})
	if err != nil || len(plan.Changes) != 0 || len(plan.Notes) != 1 || !plan.Notes[0].Deleted {
		t.Errorf("plan = %+v, %v; want a note that BOB was deleted", plan, err)
	}
	if _, err := f.p.Pool.Add(ctx, pool.NewUser{Username: "bob"}); err != nil {
		t.Errorf("by hand it is allowed: %v", err)
	}
}
