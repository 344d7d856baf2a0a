package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"gatehouse/idp/pool"
)

const (
	qPasswordAdd = `INSERT INTO pool_password (user_id, seq, hash)
		VALUES ($1, (SELECT COALESCE(MAX(seq), 0) + 1 FROM pool_password WHERE user_id = $1), $2)`
	qPasswordTrim = `DELETE FROM pool_password WHERE user_id = $1 AND seq <=
		(SELECT MAX(seq) FROM pool_password WHERE user_id = $1) - $2`
	qPasswordEarlier  = `SELECT hash FROM pool_password WHERE user_id = $1 ORDER BY seq DESC LIMIT $2`
	qPasswordOther    = `SELECT password_hash FROM pool_user WHERE password_hash <> ''`
	qPasswordExchange = `UPDATE pool_user SET password_hash = $1 WHERE id = $2 AND password_hash = $3`
)

type passwords struct{ db *DB }

// Hashes returns the hashes of passwords that people had before.
func (db *DB) Hashes() pool.Hashes { return passwords{db} }

func (s passwords) Remember(ctx context.Context, userID, hash string, keep int) error {
	return s.db.InTx(ctx, func(ctx context.Context) error {
		if _, err := s.db.exec(ctx, qPasswordAdd, userID, hash); err != nil {
			return fmt.Errorf("add earlier password: %w", err)
		}
		if _, err := s.db.exec(ctx, qPasswordTrim, userID, keep); err != nil {
			return fmt.Errorf("forget earlier passwords: %w", err)
		}
		return nil
	})
}

func (s passwords) Earlier(ctx context.Context, userID string, n int) ([]string, error) {
	all, err := collect(ctx, s.db.reader(ctx), func(row scanner) (string, error) {
		var hash string
		return hash, row.Scan(&hash)
	}, qPasswordEarlier, userID, n)
	if err != nil {
		return nil, fmt.Errorf("list earlier passwords: %w", err)
	}
	return all, nil
}

func (s passwords) Other(ctx context.Context, known []string) (string, error) {
	text, args := qPasswordOther, []any{}
	for _, begin := range known {
		text += fmt.Sprintf(" AND substr(password_hash, 1, %d) <> $%d", len(begin), len(args)+1)
		args = append(args, begin)
	}
	var hash string
	err := s.db.one(ctx, text+" LIMIT 1", args...).Scan(&hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", fmt.Errorf("look for hashes of passwords: %w", err)
	}
	return hash, nil
}

func (s passwords) Exchange(ctx context.Context, userID, old, hash string) error {
	_, err := s.db.exec(ctx, qPasswordExchange, hash, userID, old)
	if err != nil {
		return fmt.Errorf("exchange password hash: %w", err)
	}
	return nil
}
