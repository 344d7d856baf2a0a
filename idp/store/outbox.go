package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"gatehouse/idp/notify"
)

const (
	outboxColumns = `id, kind, channel, user_id, sealed, created, due, expires, tries`
	qOutboxAdd    = `INSERT INTO outbox (` + outboxColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	// Whoever comes second finds the row due later, and gets nothing.
	qOutboxClaim = `UPDATE outbox SET due = $1, tries = tries + 1
		WHERE id = (SELECT id FROM outbox WHERE channel = $2 AND due <= $3 AND expires > $3 ORDER BY due, id LIMIT 1)
		AND due <= $3 RETURNING ` + outboxColumns
	qOutboxPostpone = `UPDATE outbox SET due = $1 WHERE id = $2 AND tries = $3`
	qOutboxDrop     = `DELETE FROM outbox WHERE id = $1`
	qOutboxExpire   = `DELETE FROM outbox WHERE expires <= $1 RETURNING ` + outboxColumns
	qOutboxWaiting  = `SELECT COUNT(*), COALESCE(MIN(due), 0) FROM outbox WHERE channel = $1 AND expires > $2`
)

type outbox struct{ db *DB }

// Outbox returns the messages that wait to be sent, sealed.
func (db *DB) Outbox() notify.Rows { return outbox{db} }

func (s outbox) Insert(ctx context.Context, r notify.Row) error {
	_, err := s.db.exec(ctx, qOutboxAdd, r.ID, string(r.Kind), string(r.Channel), r.UserID, base(r.Sealed),
		millis(r.Created), millis(r.Due), millis(r.Expires), r.Tries)
	return err
}

func (s outbox) Claim(ctx context.Context, c notify.Channel, now, until time.Time) (notify.Row, error) {
	r, err := scanMessage(s.db.returning(ctx, qOutboxClaim, millis(until), string(c), millis(now)))
	if errors.Is(err, sql.ErrNoRows) {
		return notify.Row{}, notify.ErrEmpty
	}
	return r, err
}

func (s outbox) Postpone(ctx context.Context, id string, tries int64, due time.Time) error {
	_, err := s.db.exec(ctx, qOutboxPostpone, millis(due), id, tries)
	return err
}

func (s outbox) Delete(ctx context.Context, id string) (bool, error) {
	n, err := s.db.exec(ctx, qOutboxDrop, id)
	return n > 0, err
}

func (s outbox) Expire(ctx context.Context, now time.Time) ([]notify.Row, error) {
	return collect(ctx, s.db.writer(ctx), scanMessage, qOutboxExpire, millis(now))
}

func (s outbox) Waiting(ctx context.Context, c notify.Channel, now time.Time) (notify.Waiting, error) {
	var w notify.Waiting
	var due int64
	err := s.db.one(ctx, qOutboxWaiting, string(c), millis(now)).Scan(&w.Messages, &due)
	w.Due = at(due)
	return w, err
}

func scanMessage(row scanner) (notify.Row, error) {
	var r notify.Row
	var sealed string
	var created, due, expires int64
	err := row.Scan(&r.ID, &r.Kind, &r.Channel, &r.UserID, &sealed, &created, &due, &expires, &r.Tries)
	r.Sealed, r.Created, r.Due, r.Expires = unbase(sealed), at(created), at(due), at(expires)
	return r, err
}
