package account_test

import (
	"context"
	"testing"
	"time"

	"gatehouse/idp/account"
	"gatehouse/idp/pool"
)

// written counts the rows that requests have changed.
type written struct {
	account.Codes
	account.Limits
	rows int
}

func (c *written) CountTry(ctx context.Context, p account.Purpose, owner string) (account.Code, error) {
	code, err := c.Codes.CountTry(ctx, p, owner)
	if err == nil {
		c.rows++
	}
	return code, err
}

func (c *written) Raise(ctx context.Context, key string, now time.Time, window time.Duration) (int, time.Time, error) {
	c.rows++
	return c.Limits.Raise(ctx, key, now, window)
}

// The same statements are not the same work: one that changes no row is over before
// the disk is asked. Each answer writes as much, whoever is meant, whatever has
// become of the code, and from whichever browser.
func TestAnswersWriteTheSameForEverybody(t *testing.T) {
	w := newWorld(t)
	tel, alice := w.tel(), w.alice()
	w.add(pool.NewUser{Username: "unverified", Phone: "+41790000002", Password: pass})
	seen := &written{Codes: w.db.AccountCodes(), Limits: w.db.AccountLimits()}
	acc := account.New(w.cfg, account.Parts{
		Pool: w.pool, Hasher: w.hasher, Codes: seen, Limits: seen, Journal: w.db, Messenger: w.post,
		Factors: w.over, Key: []byte(key), Held: none, Now: w.clock.Now,
	})
	names := []string{"tel", "alice", "unverified", "stranger", "+41799999999"}
	same := func(when string) {
		t.Helper()
		for _, name := range names {
			for _, from := range []string{browser, browser + "2"} {
				seen.rows = 0
				err := failed(acc.ResetByCode(t.Context(), account.ByCode{Name: name, Browser: from, Code: "0", Password: another, From: here}))
				w.want(name, err, account.ErrWrongCode)
				// One for the network, one for the answer.
				if seen.rows != 2 {
					t.Errorf("%s, an answer for %s from %q: %d rows changed, want 2", when, name, from, seen.rows)
				}
			}
		}
	}
	ask := func(from string) {
		for _, name := range names {
			w.must(acc.Forgot(t.Context(), account.Forgotten{Name: name, Browser: from, From: here}))
		}
	}
	same("before anybody asked")
	ask(browser)
	same("asked")
	ask(browser)
	same("asked too early")
	w.clock.Forward(2 * minute)
	ask(browser + "2")
	same("asked from elsewhere")
	for _, u := range []pool.User{tel, alice} {
		w.must(acc.SignedIn(t.Context(), u.ID))
	}
	same("signed in")
}
