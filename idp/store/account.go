package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gatehouse/idp/account"
)

const (
	codeColumns = `purpose, owner, code_hash, link_hash, target, bound, tries, created, expires, flow, browser_hash, restart`

	qAccountCodePut = `INSERT INTO account_code (` + codeColumns + `) VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8, $9, $10, $11)
		ON CONFLICT (purpose, owner) DO UPDATE SET code_hash = excluded.code_hash, link_hash = excluded.link_hash,
			target = excluded.target, bound = excluded.bound, tries = 0, created = excluded.created, expires = excluded.expires,
			flow = excluded.flow, browser_hash = excluded.browser_hash, restart = excluded.restart`
	qAccountCodeLink = `SELECT ` + codeColumns + ` FROM account_code WHERE link_hash = $1 AND purpose = $2`
	qAccountCodeTry  = `UPDATE account_code SET tries = tries + 1 WHERE purpose = $1 AND owner = $2 RETURNING ` + codeColumns
	qAccountCodeTake = `DELETE FROM account_code WHERE purpose = $1 AND owner = $2 AND code_hash = $3 AND link_hash = $4`
	qAccountCodeDrop = `DELETE FROM account_code WHERE purpose = $1 AND owner = $2`

	// A window begins with its first event and is not moved by others.
	qLimitRaise = `INSERT INTO account_limit (limit_key, n, ends) VALUES ($1, 1, $2)
		ON CONFLICT (limit_key) DO UPDATE SET
			n = CASE WHEN account_limit.ends <= $3 THEN 1 ELSE account_limit.n + 1 END,
			ends = CASE WHEN account_limit.ends <= $3 THEN excluded.ends ELSE account_limit.ends END
		RETURNING n, ends`
	qLimitLower  = `UPDATE account_limit SET n = n - 1 WHERE limit_key = $1 AND n > 0`
	qLimitNobody = `INSERT INTO account_limit (limit_key, n, ends) VALUES ('', 1, $1)
		ON CONFLICT (limit_key) DO UPDATE SET n = account_limit.n + 1, ends = excluded.ends`
)

type accountCodes struct{ db *DB }

// AccountCodes returns what was sent to people to prove something with.
func (db *DB) AccountCodes() account.Codes { return accountCodes{db} }

func (s accountCodes) Put(ctx context.Context, c account.Code) error {
	_, err := s.db.exec(ctx, qAccountCodePut, string(c.Purpose), c.Owner, base(c.CodeHash), base(c.LinkHash), c.Target,
		base(c.Bound), millis(c.Created), millis(c.Expires), c.Asked.Flow, base(c.Asked.BrowserHash), c.Asked.Restart)
	if err != nil {
		return fmt.Errorf("keep code: %w", err)
	}
	return nil
}

func (s accountCodes) FindLink(ctx context.Context, p account.Purpose, linkHash []byte) (account.Code, error) {
	if len(linkHash) == 0 {
		// Codes without a link have the empty hash.
		return account.Code{}, account.ErrLink
	}
	return scanCode(s.db.one(ctx, qAccountCodeLink, base(linkHash), string(p)), account.ErrLink)
}

func (s accountCodes) CountTry(ctx context.Context, p account.Purpose, owner string) (account.Code, error) {
	return scanCode(s.db.returning(ctx, qAccountCodeTry, string(p), owner), account.ErrWrongCode)
}

func (s accountCodes) Take(ctx context.Context, c account.Code) (bool, error) {
	n, err := s.db.exec(ctx, qAccountCodeTake, string(c.Purpose), c.Owner, base(c.CodeHash), base(c.LinkHash))
	if err != nil {
		return false, fmt.Errorf("take code: %w", err)
	}
	return n == 1, nil
}

func (s accountCodes) Drop(ctx context.Context, p account.Purpose, owner string) error {
	_, err := s.db.exec(ctx, qAccountCodeDrop, string(p), owner)
	return err
}

func scanCode(row scanner, missing error) (account.Code, error) {
	var c account.Code
	var code, link, bound, browser string
	var created, expires int64
	err := row.Scan(&c.Purpose, &c.Owner, &code, &link, &c.Target, &bound, &c.Tries, &created, &expires,
		&c.Asked.Flow, &browser, &c.Asked.Restart)
	if errors.Is(err, sql.ErrNoRows) {
		return account.Code{}, missing
	}
	if err != nil {
		return account.Code{}, fmt.Errorf("read code: %w", err)
	}
	c.Asked.BrowserHash = unbase(browser)
	c.CodeHash, c.LinkHash, c.Bound, c.Created, c.Expires = unbase(code), unbase(link), unbase(bound), at(created), at(expires)
	return c, nil
}

type accountLimits struct{ db *DB }

// AccountLimits returns the counts of what was asked for.
func (db *DB) AccountLimits() account.Limits { return accountLimits{db} }

func (s accountLimits) Raise(ctx context.Context, key string, now time.Time, window time.Duration) (int, time.Time, error) {
	if key == "" {
		return 0, time.Time{}, errors.New("raise count: no key")
	}
	var n int
	var ends int64
	err := s.db.returning(ctx, qLimitRaise, key, millis(now.Add(window)), millis(now)).Scan(&n, &ends)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("raise count: %w", err)
	}
	return n, at(ends), nil
}

func (s accountLimits) Lower(ctx context.Context, key string) error {
	if _, err := s.db.exec(ctx, qLimitLower, key); err != nil {
		return fmt.Errorf("lower count: %w", err)
	}
	return nil
}

// PretendMessage is as much work as taking a message into the outbox with its
// event: three writes in one transaction, and a look of those who deliver.
func (db *DB) PretendMessage(ctx context.Context) error {
	return db.InTx(ctx, func(ctx context.Context) error {
		for range 3 {
			if _, err := db.exec(ctx, qLimitNobody, millis(db.now())); err != nil {
				return fmt.Errorf("write nothing: %w", err)
			}
		}
		db.current(ctx).woke = true
		return nil
	})
}
