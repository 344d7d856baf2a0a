package store

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"gatehouse/idp/mfa"
)

const (
	qRecoveryDrop = `DELETE FROM mfa_recovery WHERE user_id = $1`
	qRecoveryAdd  = `INSERT INTO mfa_recovery (user_id, hash) VALUES ($1, $2)`
	qRecoveryTake = `DELETE FROM mfa_recovery WHERE user_id = $1 AND hash = $2 RETURNING hash`
	qRecoveryLeft = `SELECT COUNT(*) FROM mfa_recovery WHERE user_id = $1`

	// Tries belong to the challenge: asking for another code must not reset them.
	qSentPut = `INSERT INTO mfa_sent (user_id, kind, purpose, challenge, hash, sent_to, tries, created, expires)
		VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8)
		ON CONFLICT (user_id, kind, purpose) DO UPDATE SET
			tries = CASE WHEN mfa_sent.challenge = excluded.challenge THEN mfa_sent.tries ELSE 0 END,
			challenge = excluded.challenge, hash = excluded.hash, sent_to = excluded.sent_to,
			created = excluded.created, expires = excluded.expires`
	qSentTry = `UPDATE mfa_sent SET tries = tries + 1
		WHERE user_id = $1 AND kind = $2 AND purpose = $3 AND challenge = $4
		RETURNING user_id, kind, purpose, challenge, hash, sent_to, tries, created, expires`
	qSentTake = `DELETE FROM mfa_sent WHERE user_id = $1 AND kind = $2 AND purpose = $3 AND hash = $4 RETURNING hash`
	qSentDrop = `DELETE FROM mfa_sent WHERE user_id = $1`

	// The row is raised and found free to be raised in one statement.
	qCountRaise = `INSERT INTO mfa_count (count_key, n, latest) VALUES ($1, 1, $2)
		ON CONFLICT (count_key) DO UPDATE SET
			n = CASE WHEN mfa_count.latest <= $3 THEN 1 ELSE mfa_count.n + 1 END, latest = excluded.latest
		WHERE mfa_count.latest <= $4 AND (mfa_count.n < $5 OR mfa_count.latest <= $3)
		RETURNING n`
	qCountGet  = `SELECT n, latest FROM mfa_count WHERE count_key = $1`
	qCountDrop = `DELETE FROM mfa_count WHERE count_key = $1`

	qSpentAdd = `INSERT INTO mfa_spent (hash, expires) VALUES ($1, $2) ON CONFLICT DO NOTHING`
)

type recoveryCodes struct{ db *DB }

// MFARecovery returns the recovery codes, hashed.
func (db *DB) MFARecovery() mfa.RecoveryCodes { return recoveryCodes{db} }

func (s recoveryCodes) Replace(ctx context.Context, userID string, hashes []string) error {
	return s.db.InTx(ctx, func(ctx context.Context) error {
		if _, err := s.db.exec(ctx, qRecoveryDrop, userID); err != nil {
			return mfaError("replace recovery codes", err)
		}
		for _, h := range hashes {
			if _, err := s.db.exec(ctx, qRecoveryAdd, userID, h); err != nil {
				return mfaError("replace recovery codes", err)
			}
		}
		return nil
	})
}

func (s recoveryCodes) Take(ctx context.Context, userID, hash string) (bool, error) {
	return took(s.db.returning(ctx, qRecoveryTake, userID, hash))
}

func (s recoveryCodes) Left(ctx context.Context, userID string) (int, error) {
	var n int
	err := s.db.one(ctx, qRecoveryLeft, userID).Scan(&n)
	return n, mfaError("count recovery codes", err)
}

// took reports whether a DELETE … RETURNING of one text had a row.
func took(row scanner) (bool, error) {
	var gone string
	err := row.Scan(&gone)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, mfaError("take code", err)
}

type sentCodes struct{ db *DB }

// MFASent returns the codes that were sent, hashed.
func (db *DB) MFASent() mfa.SentCodes { return sentCodes{db} }

func (s sentCodes) Put(ctx context.Context, c mfa.SentCode) error {
	_, err := s.db.exec(ctx, qSentPut, c.UserID, string(c.Kind), string(c.Purpose), c.Challenge, c.Hash, c.To,
		millis(c.Created), millis(c.Expires))
	return mfaError("store code", err)
}

func (s sentCodes) Try(ctx context.Context, k mfa.SentKey, challenge string) (mfa.SentCode, error) {
	var c mfa.SentCode
	var created, expires int64
	err := s.db.returning(ctx, qSentTry, k.UserID, string(k.Kind), string(k.Purpose), challenge).Scan(&c.UserID, (*string)(&c.Kind),
		(*string)(&c.Purpose), &c.Challenge, &c.Hash, &c.To, &c.Tries, &created, &expires)
	c.Created, c.Expires = at(created), at(expires)
	return c, mfaError("count try", err)
}

func (s sentCodes) Take(ctx context.Context, c mfa.SentCode) (bool, error) {
	return took(s.db.returning(ctx, qSentTake, c.UserID, string(c.Kind), string(c.Purpose), c.Hash))
}

func (s sentCodes) Drop(ctx context.Context, userID string) error {
	_, err := s.db.exec(ctx, qSentDrop, userID)
	return mfaError("drop codes", err)
}

type mfaCounts struct{ db *DB }

// MFACounts returns the counts of answers and codes of accounts.
func (db *DB) MFACounts() mfa.Counts { return mfaCounts{db} }

func (s mfaCounts) Raise(ctx context.Context, c mfa.Count) (time.Duration, error) {
	// Without a gap, clocks of replicas may differ.
	free := int64(math.MaxInt64)
	if c.Gap > 0 {
		free = millis(c.Now.Add(-c.Gap))
	}
	var wait time.Duration
	err := s.db.InTx(ctx, func(ctx context.Context) error {
		var n int
		err := s.db.returning(ctx, qCountRaise, c.Key, millis(c.Now), millis(c.Now.Add(-c.Window)), free, c.Max).Scan(&n)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		var latest int64
		if err := s.db.one(ctx, qCountGet, c.Key).Scan(&n, &latest); err != nil {
			return err
		}
		again := at(latest).Add(c.Gap)
		if n >= c.Max {
			again = at(latest).Add(c.Window)
		}
		wait = max(again.Sub(c.Now), time.Millisecond)
		return nil
	})
	return wait, mfaError("count", err)
}

func (s mfaCounts) Clear(ctx context.Context, key string) error {
	_, err := s.db.exec(ctx, qCountDrop, key)
	return mfaError("clear count", err)
}

type spent struct{ db *DB }

// MFASpent returns what was used and must not be used again.
func (db *DB) MFASpent() mfa.Spent { return spent{db} }

func (s spent) Spend(ctx context.Context, hash string, until time.Time) (bool, error) {
	n, err := s.db.exec(ctx, qSpentAdd, hash, millis(until))
	return n > 0, mfaError("mark as used", err)
}
