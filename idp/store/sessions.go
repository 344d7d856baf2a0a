package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gatehouse/idp/sso"
)

const (
	qSessionAdd = `INSERT INTO sso_session (id, ticket_hash, user_id, auth_time, created, seen, expires, amr, ip, user_agent)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
	sessionNotRevoked = `NOT EXISTS
		(SELECT 1 FROM revocation r WHERE r.value = sso_session.id AND r.kind = 'issuer_sid' AND r.issuer = '')`
	sessionColumns = `id, ticket_hash, user_id, auth_time, created, seen, expires, amr, ip, user_agent`
	qSessionFind   = `SELECT ` + sessionColumns + ` FROM sso_session WHERE ticket_hash = $1 AND ` + sessionNotRevoked
	qSessionOfUser = `SELECT ` + sessionColumns + ` FROM sso_session WHERE user_id = $1 AND ` + sessionNotRevoked + `
		ORDER BY created DESC, id`
	qSessionTouch    = `UPDATE sso_session SET seen = CASE WHEN seen < $1 THEN $1 ELSE seen END WHERE id = $2`
	qSessionDrop     = `DELETE FROM sso_session WHERE id = $1`
	qSessionDropUser = `DELETE FROM sso_session WHERE user_id = $1`
)

type sessions struct{ db *DB }

// Sessions returns the provider's sessions.
func (db *DB) Sessions() sso.Sessions { return sessions{db} }

func (s sessions) Insert(ctx context.Context, v sso.Session) error {
	if len(v.TicketHash) == 0 {
		return errors.New("insert provider session: no ticket hash")
	}
	_, err := s.db.exec(ctx, qSessionAdd, v.ID, base(v.TicketHash), v.UserID, millis(v.AuthTime), millis(v.Created),
		millis(v.Seen), millis(v.Expires), list(v.AMR), v.IP, v.UserAgent)
	if err != nil {
		return fmt.Errorf("insert provider session: %w", err)
	}
	return nil
}

func (s sessions) FindByTicket(ctx context.Context, ticketHash []byte) (sso.Session, error) {
	v, err := scanSession(s.db.one(ctx, qSessionFind, base(ticketHash)))
	if errors.Is(err, sql.ErrNoRows) {
		return sso.Session{}, sso.ErrNotFound
	}
	if err != nil {
		return sso.Session{}, fmt.Errorf("find provider session: %w", err)
	}
	return v, nil
}

func (s sessions) OfUser(ctx context.Context, userID string) ([]sso.Session, error) {
	all, err := collect(ctx, s.db.reader(ctx), scanSession, qSessionOfUser, userID)
	if err != nil {
		return nil, fmt.Errorf("list provider sessions: %w", err)
	}
	return all, nil
}

func scanSession(row scanner) (sso.Session, error) {
	var v sso.Session
	var ticket, amr string
	var authTime, created, seen, expires int64
	err := row.Scan(&v.ID, &ticket, &v.UserID, &authTime, &created, &seen, &expires, &amr, &v.IP, &v.UserAgent)
	if err != nil {
		return sso.Session{}, err
	}
	v.TicketHash, v.AuthTime, v.Created, v.Seen, v.Expires = unbase(ticket), at(authTime), at(created), at(seen), at(expires)
	v.AMR, err = items(amr)
	return v, err
}

func (s sessions) Touch(ctx context.Context, id string, seen time.Time) error {
	n, err := s.db.exec(ctx, qSessionTouch, millis(seen), id)
	if err != nil {
		return fmt.Errorf("touch provider session: %w", err)
	}
	if n == 0 {
		return sso.ErrNotFound
	}
	return nil
}

func (s sessions) Delete(ctx context.Context, id string) error {
	_, err := s.db.exec(ctx, qSessionDrop, id)
	return err
}

func (s sessions) DeleteForUser(ctx context.Context, userID string) error {
	_, err := s.db.exec(ctx, qSessionDropUser, userID)
	return err
}
