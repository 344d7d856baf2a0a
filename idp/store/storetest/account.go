package storetest

import (
	"context"
	"testing"
	"time"

	"gatehouse/idp/account"
)

func wish(id string) account.SignUp {
	return account.SignUp{
		ID: id, Username: "Dana", Email: "dana@example.com", Phone: "+41791234567", Name: "D", Attributes: map[string]string{"custom:team": "a"},
		PasswordHash: "$h", BrowserHash: []byte("browser"), CodeHash: []byte("code " + id), LinkHash: []byte("link " + id),
		Restart: "/x?y=1", Created: t0, Expires: t0.Add(time.Hour),
	}
}

func insertSignUp(t *testing.T, s Store, v account.SignUp) {
	t.Helper()
	if was, err := s.SignUps().Insert(t.Context(), v); err != nil || !was {
		t.Fatalf("Insert(%s) = %v, %v", v.ID, was, err)
	}
}

// signUpAgain: one that lives stays as it is, one that has expired makes room.
func signUpAgain(t *testing.T, s Store) {
	ctx := t.Context()
	v := wish("s1")
	insertSignUp(t, s, v)
	_, err := s.SignUps().CountTry(ctx, "s1")
	must(t, err)
	second := v
	second.Username, second.Email, second.Phone, second.Name, second.Restart = "Erin", "erin@example.com", "+41791111111", "E", "/y"
	second.Attributes, second.PasswordHash, second.BrowserHash = map[string]string{"custom:team": "b"}, "$i", []byte("another")
	second.CodeHash, second.LinkHash = []byte("code 2"), []byte("link 2")
	second.Created, second.Expires = v.Expires.Add(-time.Millisecond), v.Expires.Add(time.Hour)
	if was, err := s.SignUps().Insert(ctx, second); err != nil || was {
		t.Fatalf("Insert beside one that lives = %v, %v", was, err)
	}
	got, err := s.SignUps().Find(ctx, "s1")
	must(t, err)
	v.Tries = 1
	same(t, "sign-up after a second", got, v)
	second.Created = v.Expires
	insertSignUp(t, s, second)
	got, err = s.SignUps().Find(ctx, "s1")
	must(t, err)
	same(t, "sign-up after one that had expired", got, second)
}

func signUpFields(t *testing.T, s Store) {
	ctx := t.Context()
	v := wish("s1")
	insertSignUp(t, s, v)
	got, err := s.SignUps().Find(ctx, "s1")
	must(t, err)
	same(t, "sign-up", got, v)
	got, err = s.SignUps().FindLink(ctx, v.LinkHash)
	must(t, err)
	same(t, "sign-up by link", got, v)

	n, err := s.SignUps().CountTry(ctx, "s1")
	must(t, err)
	if n != 1 {
		t.Fatalf("first try = %d", n)
	}
	v.CodeHash, v.LinkHash, v.Tries, v.Email = []byte("code 2"), []byte("link 2"), 7, "eve@example.com"
	must(t, s.SignUps().Resent(ctx, v))
	got, err = s.SignUps().Find(ctx, "s1")
	must(t, err)
	if got.Tries != 1 || got.Email != "dana@example.com" || string(got.CodeHash) != "code 2" {
		t.Fatalf("after Resent: %+v; want new hashes and nothing else", got)
	}
	// What was never sent is found by nothing.
	v = wish("s2")
	v.CodeHash, v.LinkHash = nil, nil
	insertSignUp(t, s, v)
	_, err = s.SignUps().FindLink(ctx, nil)
	wantErr(t, "FindLink of none", err, account.ErrLink)
	_, err = s.SignUps().Find(ctx, "s9")
	wantErr(t, "Find of a stranger", err, account.ErrLink)
	_, err = s.SignUps().CountTry(ctx, "s9")
	wantErr(t, "CountTry of a stranger", err, account.ErrLink)
	wantErr(t, "Resent of a stranger", s.SignUps().Resent(ctx, wish("s9")), account.ErrLink)

	insertSignUp(t, s, wish("s3"))
	all, err := s.Unconfirmed().List(ctx, t0, "", 9)
	must(t, err)
	if len(all) != 2 || all[0].ID != "s1" || all[1].ID != "s3" {
		t.Fatalf("List = %v, want s1 and s3: s2 waits for nobody", all)
	}
	if all, err = s.Unconfirmed().List(ctx, t0, "s1", 9); err != nil || len(all) != 1 {
		t.Fatalf("List after s1 = %v, %v", all, err)
	}
	if all, err = s.Unconfirmed().List(ctx, t0.Add(time.Hour), "", 9); err != nil || len(all) != 0 {
		t.Fatalf("List of expired ones = %v, %v", all, err)
	}
}

func signUpOnce(t *testing.T, s Store) {
	ctx := t.Context()
	if n := atOnce(t, func(int) (bool, error) { return s.SignUps().Insert(ctx, wish("s1")) }); n != 1 {
		t.Errorf("%d callers inserted one sign-up", n)
	}
	seen := make(chan int, Callers)
	atOnce(t, func(int) (bool, error) {
		n, err := s.SignUps().CountTry(ctx, "s1")
		seen <- n
		return true, err
	})
	close(seen)
	counts := map[int]bool{}
	for n := range seen {
		counts[n] = true
	}
	if len(counts) != Callers || !counts[Callers] {
		t.Errorf("%d callers saw %d counts, want each its own", Callers, len(counts))
	}
	if n := atOnce(t, func(int) (bool, error) { return s.SignUps().Take(ctx, "s1") }); n != 1 {
		t.Errorf("%d callers took one sign-up", n)
	}
}

func accountCode(p account.Purpose, owner string) account.Code {
	return account.Code{
		Purpose: p, Owner: owner, CodeHash: []byte("code " + owner), LinkHash: []byte("link " + owner), Target: "x@example.com",
		Bound: []byte("bound"), Created: t0, Expires: t0.Add(time.Hour),
		Asked: account.Asked{Flow: "flow " + owner, BrowserHash: []byte("browser"), Restart: "/x?y=1"},
	}
}

func accountCodes(t *testing.T, s Store) {
	ctx := t.Context()
	c := accountCode(account.ForReset, "u1")
	must(t, s.AccountCodes().Put(ctx, c))
	got, err := s.AccountCodes().FindLink(ctx, account.ForReset, c.LinkHash)
	must(t, err)
	same(t, "code by link", got, c)
	_, err = s.AccountCodes().FindLink(ctx, account.ForInvite, c.LinkHash)
	wantErr(t, "FindLink for another purpose", err, account.ErrLink)

	got, err = s.AccountCodes().CountTry(ctx, account.ForReset, "u1")
	must(t, err)
	c.Tries = 1
	same(t, "code after a try", got, c)
	_, err = s.AccountCodes().CountTry(ctx, account.ForEmail, "u1")
	wantErr(t, "CountTry for another purpose", err, account.ErrWrongCode)

	old := c
	c.LinkHash, c.Tries = []byte("second"), 0
	must(t, s.AccountCodes().Put(ctx, c))
	_, err = s.AccountCodes().FindLink(ctx, account.ForReset, old.LinkHash)
	wantErr(t, "the first link after the second", err, account.ErrLink)
	if was, err := s.AccountCodes().Take(ctx, old); err != nil || was {
		t.Fatalf("Take of the first code after the second = %v, %v", was, err)
	}
	got, err = s.AccountCodes().FindLink(ctx, account.ForReset, c.LinkHash)
	must(t, err)
	same(t, "second code", got, c)

	c.LinkHash = nil
	must(t, s.AccountCodes().Put(ctx, c))
	_, err = s.AccountCodes().FindLink(ctx, account.ForReset, nil)
	wantErr(t, "FindLink of none", err, account.ErrLink)
	must(t, s.AccountCodes().Drop(ctx, account.ForReset, "u1"))
	must(t, s.AccountCodes().Drop(ctx, account.ForReset, "u1"))
	_, err = s.AccountCodes().CountTry(ctx, account.ForReset, "u1")
	wantErr(t, "CountTry after Drop", err, account.ErrWrongCode)
}

func accountCodeOnce(t *testing.T, s Store) {
	c := accountCode(account.ForReset, "u1")
	must(t, s.AccountCodes().Put(t.Context(), c))
	n := atOnce(t, func(int) (was bool, err error) {
		err = s.InTx(t.Context(), func(ctx context.Context) error {
			was, err = s.AccountCodes().Take(ctx, c)
			return err
		})
		return was, err
	})
	if n != 1 {
		t.Errorf("%d callers took one code", n)
	}
}

func limits(t *testing.T, s Store) {
	ctx := t.Context()
	if n := atOnce(t, func(int) (bool, error) {
		n, _, err := s.AccountLimits().Raise(ctx, "k", t0, time.Hour)
		return n <= 5, err
	}); n != 5 {
		t.Errorf("%d of %d callers were among the first five", n, Callers)
	}
	n, ends, err := s.AccountLimits().Raise(ctx, "k", t0.Add(59*time.Minute), time.Hour)
	if err != nil || n != Callers+1 || !ends.Equal(t0.Add(time.Hour)) {
		t.Errorf("late in the window: %d until %v, %v; the window is not moved by later ones", n, ends, err)
	}
	if n, ends, err = s.AccountLimits().Raise(ctx, "k", t0.Add(time.Hour), time.Hour); err != nil || n != 1 || !ends.Equal(t0.Add(2*time.Hour)) {
		t.Errorf("after the window: %d until %v, %v", n, ends, err)
	}
	if n, _, err = s.AccountLimits().Raise(ctx, "other", t0, time.Hour); err != nil || n != 1 {
		t.Errorf("another key: %d, %v", n, err)
	}
	for range 3 {
		must(t, s.AccountLimits().Lower(ctx, "other"))
	}
	must(t, s.AccountLimits().Lower(ctx, "nobody raised"))
	if n, _, err = s.AccountLimits().Raise(ctx, "other", t0, time.Hour); err != nil || n != 1 {
		t.Errorf("after more was taken back than there was: %d, %v", n, err)
	}
}
