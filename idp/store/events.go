package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"gatehouse/idp/token"
	"gatehouse/internal/audit"
)

const (
	qCount    = `UPDATE counter SET n = n + 1 WHERE name = $1 RETURNING n`
	qCounter  = `SELECT n FROM counter WHERE name = $1`
	qEventAdd = `INSERT INTO event (seq, at, type, actor, actor_ip, target, client, detail)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
	qRevokeAdd = `INSERT INTO revocation (seq, event_seq, kind, issuer, value, not_before, expires)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`
	qEvents = `SELECT seq, at, type, actor, actor_ip, target, client, detail FROM event
		WHERE seq > $1 ORDER BY seq LIMIT $2`
	qEventRevokes = `SELECT seq, kind, issuer, value, not_before, expires FROM revocation
		WHERE event_seq = $1 ORDER BY seq`
	qRevokesSince = `SELECT seq, kind, issuer, value, not_before, expires FROM revocation
		WHERE seq > $1 AND expires > $2 ORDER BY seq`
	// A not-before is compared with whole seconds of iat, so that what was
	// issued in the second of the revocation is dead: doubt is a refusal.
	qRevoked = `SELECT COUNT(*) FROM revocation WHERE issuer = '' AND (
		(kind = 'jti' AND value = $1) OR (kind = 'origin_jti' AND value = $2) OR
		(kind = 'issuer_sid' AND value = $3) OR
		(kind = 'sub' AND value = $4 AND not_before >= $5) OR
		(kind = 'client' AND value = $6 AND not_before >= $5))`
)

// Append records e; see audit.Journal. It refuses an event without a type and a
// revocation without a kind or a value, which would end nothing or everything.
//
// With the sid of one of our own sessions (audit.KindIssuerSID without an
// issuer) the session itself ends too, in the same transaction: its row, its
// codes and its refresh families. Each family is revoked along with it, because
// access tokens carry no sid. So it does not matter who says that a session is
// over: the provider, a gateway or the command line.
func (db *DB) Append(ctx context.Context, e audit.Event) error {
	if err := db.InTx(ctx, func(ctx context.Context) error { return db.append(ctx, e) }); err != nil {
		return fmt.Errorf("append event %s: %w", e.Type, err)
	}
	return nil
}

func (db *DB) append(ctx context.Context, e audit.Event) error {
	if e.Type == "" {
		return errors.New("event has no type")
	}
	actor := audit.ActorOf(ctx)
	if e.Actor == "" {
		e.Actor = actor.Name
	}
	if e.ActorIP == "" {
		e.ActorIP = actor.IP
	}
	if e.At.IsZero() {
		e.At = db.now()
	}
	detail, err := json.Marshal(e.Detail)
	if err != nil {
		return err
	}
	var seq int64
	if err := db.returning(ctx, qCount, "event").Scan(&seq); err != nil {
		return err
	}
	if _, err := db.exec(ctx, qEventAdd, seq, millis(e.At), e.Type, e.Actor, e.ActorIP, e.Target, e.Client, string(detail)); err != nil {
		return err
	}
	families, err := db.endSessions(ctx, e.Revoke)
	if err != nil {
		return err
	}
	for _, r := range slices.Concat(e.Revoke, families) {
		if err := db.revoke(ctx, seq, e, r); err != nil {
			return err
		}
	}
	db.current(ctx).woke = true
	return nil
}

// endSessions ends the sessions whose sid is among revoked, and returns the
// revocations of the families that ended with them.
func (db *DB) endSessions(ctx context.Context, revoked []audit.Revoke) ([]audit.Revoke, error) {
	var more []audit.Revoke
	for _, r := range revoked {
		if r.Kind != audit.KindIssuerSID || r.Issuer != "" || r.Value == "" {
			continue
		}
		ids, err := db.endSession(ctx, r.Value)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			more = append(more, audit.Revoke{Kind: audit.KindOriginJTI, Value: id})
		}
	}
	return more, nil
}

func (db *DB) revoke(ctx context.Context, event int64, e audit.Event, r audit.Revoke) error {
	if r.Kind == "" || r.Value == "" {
		return errors.New("revocation has no kind or no value")
	}
	if r.NotBefore.IsZero() {
		r.NotBefore = e.At
	}
	if r.Expires.IsZero() {
		r.Expires = e.At.Add(db.life)
	}
	var seq int64
	if err := db.returning(ctx, qCount, "revocation").Scan(&seq); err != nil {
		return err
	}
	_, err := db.exec(ctx, qRevokeAdd, seq, event, r.Kind, r.Issuer, r.Value, millis(r.NotBefore), millis(r.Expires))
	return err
}

// EventsSince returns up to limit events with a Seq above seq, in order, each
// with what it revoked, expired or not.
func (db *DB) EventsSince(ctx context.Context, seq int64, limit int) ([]audit.Event, error) {
	events, err := collect(ctx, db.reader(ctx), scanEvent, qEvents, seq, limit)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	for i := range events {
		events[i].Revoke, err = collect(ctx, db.reader(ctx), scanRevoke, qEventRevokes, events[i].Seq)
		if err != nil {
			return nil, fmt.Errorf("read events: %w", err)
		}
	}
	return events, nil
}

// RevocationsSince returns the revocations with a Seq above seq that have not
// expired, in order, and the highest Seq assigned so far. A reader begins with 0
// and goes on with what it was given. It returns ErrReplaced when nobody else
// writes to the open file any more: what it does not say means nothing then.
func (db *DB) RevocationsSince(ctx context.Context, seq int64) ([]audit.Revoke, int64, error) {
	if err := db.engine.inPlace(); err != nil {
		return nil, 0, fmt.Errorf("read revocations: %w", err)
	}
	// The counter is read first: what it counts is committed, and what is
	// committed after it comes with the rows.
	var highest int64
	if err := db.one(ctx, qCounter, "revocation").Scan(&highest); err != nil {
		return nil, 0, fmt.Errorf("read revocations: %w", err)
	}
	rows, err := collect(ctx, db.reader(ctx), scanRevoke, qRevokesSince, seq, millis(db.now()))
	if err != nil {
		return nil, 0, fmt.Errorf("read revocations: %w", err)
	}
	if len(rows) > 0 {
		highest = max(highest, rows[len(rows)-1].Seq)
	}
	return rows, highest, nil
}

// Revoked reports whether one of the handles has been revoked; see
// token.Revocations. It asks the database, not a snapshot.
func (db *DB) Revoked(ctx context.Context, h token.Handles) (bool, error) {
	var n int64
	err := db.one(ctx, qRevoked, h.JTI, h.OriginJTI, h.SessionID, h.Subject, millis(h.IssuedAt), h.ClientID).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("read revocations: %w", err)
	}
	return n > 0, nil
}

// Changed returns a channel that is closed when this process next commits an
// event. Other processes are noticed by polling EventsSince.
func (db *DB) Changed() <-chan struct{} {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.changed
}

func (db *DB) wake() {
	db.mu.Lock()
	defer db.mu.Unlock()
	close(db.changed)
	db.changed = make(chan struct{})
}

func scanEvent(row scanner) (audit.Event, error) {
	var e audit.Event
	var when int64
	var detail string
	err := row.Scan(&e.Seq, &when, &e.Type, &e.Actor, &e.ActorIP, &e.Target, &e.Client, &detail)
	if err != nil {
		return e, err
	}
	e.At = at(when)
	return e, json.Unmarshal([]byte(detail), &e.Detail)
}

func scanRevoke(row scanner) (audit.Revoke, error) {
	var r audit.Revoke
	var notBefore, expires int64
	err := row.Scan(&r.Seq, &r.Kind, &r.Issuer, &r.Value, &notBefore, &expires)
	r.NotBefore, r.Expires = at(notBefore), at(expires)
	return r, err
}
