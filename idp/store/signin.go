package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gatehouse/idp/risk"
	"gatehouse/idp/signin"
)

const (
	qFlowAdd = `INSERT INTO signin_flow (id, kind, data, browser_hash, tries, created, expires)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`
	qFlowGet  = `SELECT id, kind, data, browser_hash, tries, created, expires FROM signin_flow WHERE id = $1`
	qFlowNext = `UPDATE signin_flow SET data = $1 WHERE id = $2 AND kind = $3 AND data = $4`
	qFlowTry  = `UPDATE signin_flow SET tries = tries + 1 WHERE id = $1 RETURNING tries`
	qFlowDrop = `DELETE FROM signin_flow WHERE id = $1`

	// The row is raised and found free to be raised in one statement; no row
	// comes back for an account that has to wait.
	qTryRaise = `INSERT INTO signin_try (try_key, n, latest, until) VALUES ($1, 1, $2, 0)
		ON CONFLICT (try_key) DO UPDATE SET
			n = CASE WHEN signin_try.latest <= $3 THEN 1 ELSE signin_try.n + 1 END, latest = excluded.latest
		WHERE signin_try.until <= excluded.latest
		RETURNING n`
	// qTryNobody is the write of a try that does not count: without it, a commit
	// that has nothing to write would be quicker.
	qTryNobody = `INSERT INTO signin_try (try_key, n, latest, until) VALUES ('', 1, $1, 0)
		ON CONFLICT (try_key) DO UPDATE SET n = signin_try.n + 1, latest = excluded.latest`
	qTryUntil = `UPDATE signin_try SET until = $1 WHERE try_key = $2`
	qTryGet   = `SELECT until FROM signin_try WHERE try_key = $1`
	qTryDrop  = `DELETE FROM signin_try WHERE try_key = $1`
)

// keepTries is how long a count is kept after the last try that was let through.
const keepTries = 24 * time.Hour

type flows struct{ db *DB }

// Flows returns the sign-in flows.
func (db *DB) Flows() signin.Flows { return flows{db} }

func (s flows) Insert(ctx context.Context, f signin.Flow) error {
	_, err := s.db.exec(ctx, qFlowAdd, f.ID, f.Kind, base(f.Data), base(f.BrowserHash), f.Tries, millis(f.Created), millis(f.Expires))
	if err != nil {
		return fmt.Errorf("insert flow: %w", err)
	}
	return nil
}

func (s flows) Find(ctx context.Context, id string) (signin.Flow, error) {
	var f signin.Flow
	var data, browser string
	var created, expires int64
	err := s.db.one(ctx, qFlowGet, id).Scan(&f.ID, &f.Kind, &data, &browser, &f.Tries, &created, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return signin.Flow{}, signin.ErrFlowNotFound
	}
	if err != nil {
		return signin.Flow{}, fmt.Errorf("find flow: %w", err)
	}
	f.Data, f.BrowserHash, f.Created, f.Expires = unbase(data), unbase(browser), at(created), at(expires)
	return f, nil
}

func (s flows) Advance(ctx context.Context, f signin.Flow, next []byte) (bool, error) {
	n, err := s.db.exec(ctx, qFlowNext, base(next), f.ID, f.Kind, base(f.Data))
	if err != nil {
		return false, fmt.Errorf("advance flow: %w", err)
	}
	return n > 0, nil
}

func (s flows) CountTry(ctx context.Context, id string) (int, error) {
	var n int
	err := s.db.returning(ctx, qFlowTry, id).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, signin.ErrFlowNotFound
	}
	if err != nil {
		return 0, fmt.Errorf("count try: %w", err)
	}
	return n, nil
}

func (s flows) Delete(ctx context.Context, id string) (bool, error) {
	n, err := s.db.exec(ctx, qFlowDrop, id)
	if err != nil {
		return false, fmt.Errorf("delete flow: %w", err)
	}
	return n > 0, nil
}

type tries struct{ db *DB }

// Tries returns the counts of tries per account.
func (db *DB) Tries() risk.Tries { return tries{db} }

func (s tries) Count(ctx context.Context, t risk.Try) (time.Duration, error) {
	key := tryKey(t.Account)
	var wait time.Duration
	err := s.db.InTx(ctx, func(ctx context.Context) error {
		var n int
		err := s.db.returning(ctx, qTryRaise, key, millis(t.Now), millis(t.Now.Add(-keepTries))).Scan(&n)
		if errors.Is(err, sql.ErrNoRows) {
			var until int64
			if err := s.db.one(ctx, qTryGet, key).Scan(&until); err != nil {
				return err
			}
			wait = max(at(until).Sub(t.Now), time.Millisecond)
			_, err := s.db.exec(ctx, qTryNobody, millis(t.Now))
			return err
		}
		if err != nil {
			return err
		}
		_, err = s.db.exec(ctx, qTryUntil, millis(t.Now.Add(backoff(n, t.Free, t.MaxWait))), key)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("count try: %w", err)
	}
	return wait, nil
}

func (s tries) Clear(ctx context.Context, account string) error {
	_, err := s.db.exec(ctx, qTryDrop, tryKey(account))
	return err
}

// backoff is the wait after the n-th try: 2^(n-free) seconds, at most longest.
func backoff(n, free int, longest time.Duration) time.Duration {
	switch {
	case n < free:
		return 0
	case n-free >= 30:
		return longest
	}
	return min(time.Second<<(n-free), longest)
}

// tryKey bounds the row and keeps what strangers typed out of the database.
func tryKey(account string) string {
	sum := sha256.Sum256([]byte("account\x00" + account))
	return base(sum[:])
}
