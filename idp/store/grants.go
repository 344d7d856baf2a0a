package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gatehouse/idp/token"
)

const (
	qCodeAdd = `INSERT INTO grant_code (hash, client_id, user_id, session_id, scopes, nonce, auth_time, acr, amr, redirect_uri, challenge, family, created, expires)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`
	qCodeConsume = `DELETE FROM grant_code WHERE hash = $1
		RETURNING client_id, user_id, session_id, scopes, nonce, auth_time, acr, amr, redirect_uri, challenge, family, created, expires`
	qCodeUsedAdd = `INSERT INTO grant_code_used (hash, family, expires) VALUES ($1, $2, $3)`
	qCodeUsedGet = `SELECT family FROM grant_code_used WHERE hash = $1`

	qFamilyAdd = `INSERT INTO grant_family (id, client_id, user_id, session_id, scopes, auth_time, acr, amr, created, expires)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
	qFamilyFind = `SELECT f.id, f.client_id, f.user_id, f.session_id, f.scopes, f.auth_time, f.acr, f.amr, f.created, f.expires,
		t.hash, t.rotated, t.successor FROM grant_token t JOIN grant_family f ON f.id = t.family WHERE t.hash = $1`
	qFamilyDrop = `DELETE FROM grant_family WHERE id = $1`

	qTokenAdd    = `INSERT INTO grant_token (hash, family, rotated, successor) VALUES ($1, $2, 0, '')`
	qTokenRotate = `UPDATE grant_token SET rotated = $1, successor = $2 WHERE hash = $3 AND rotated = 0 RETURNING family`

	qFamiliesOfSession = `DELETE FROM grant_family WHERE session_id = $1 RETURNING id`
	qCodesOfSession    = `DELETE FROM grant_code WHERE session_id = $1`
	qFamiliesOfUser    = `DELETE FROM grant_family WHERE user_id = $1`
	qCodesOfUser       = `DELETE FROM grant_code WHERE user_id = $1`
	qFamiliesOfClient  = `DELETE FROM grant_family WHERE client_id = $1`
	qCodesOfClient     = `DELETE FROM grant_code WHERE client_id = $1`
)

type codes struct{ db *DB }

// Codes returns the authorization codes.
func (db *DB) Codes() token.Codes { return codes{db} }

func (s codes) Insert(ctx context.Context, c token.Code) error {
	_, err := s.db.exec(ctx, qCodeAdd, base(c.Hash), c.ClientID, c.UserID, c.SessionID, list(c.Scopes), c.Nonce, millis(c.AuthTime),
		c.ACR, list(c.AMR), c.RedirectURI, c.Challenge, c.Family, millis(c.Created), millis(c.Expires))
	return err
}

func (s codes) Consume(ctx context.Context, hash []byte, keep time.Time) (token.Code, error) {
	var c token.Code
	err := s.db.InTx(ctx, func(ctx context.Context) error {
		var scopes, amr string
		var authTime, created, expires int64
		err := s.db.returning(ctx, qCodeConsume, base(hash)).Scan(&c.ClientID, &c.UserID, &c.SessionID, &scopes, &c.Nonce, &authTime,
			&c.ACR, &amr, &c.RedirectURI, &c.Challenge, &c.Family, &created, &expires)
		if err != nil {
			return err
		}
		c.Hash, c.AuthTime, c.Created, c.Expires = hash, at(authTime), at(created), at(expires)
		if _, err := s.db.exec(ctx, qCodeUsedAdd, base(hash), c.Family, millis(keep)); err != nil {
			return err
		}
		c.Scopes, c.AMR, err = twoLists(scopes, amr)
		return err
	})
	return c, grantError("consume code", err)
}

func (s codes) Consumed(ctx context.Context, hash []byte) (string, error) {
	var family string
	err := s.db.one(ctx, qCodeUsedGet, base(hash)).Scan(&family)
	return family, grantError("find used code", err)
}

type families struct{ db *DB }

// Families returns the refresh families.
func (db *DB) Families() token.Families { return families{db} }

func (s families) Insert(ctx context.Context, f token.Family, first []byte) error {
	return s.db.InTx(ctx, func(ctx context.Context) error {
		_, err := s.db.exec(ctx, qFamilyAdd, f.ID, f.ClientID, f.UserID, f.SessionID, list(f.Scopes), millis(f.AuthTime), f.ACR,
			list(f.AMR), millis(f.Created), millis(f.Expires))
		if err != nil || first == nil {
			return err
		}
		_, err = s.db.exec(ctx, qTokenAdd, base(first), f.ID)
		return err
	})
}

func (s families) Find(ctx context.Context, hash []byte) (token.Family, token.Refresh, error) {
	var f token.Family
	var r token.Refresh
	var scopes, amr, own, next string
	var authTime, created, expires, rotated int64
	err := s.db.one(ctx, qFamilyFind, base(hash)).Scan(&f.ID, &f.ClientID, &f.UserID, &f.SessionID, &scopes, &authTime, &f.ACR, &amr,
		&created, &expires, &own, &rotated, &next)
	if err == nil {
		f.Scopes, f.AMR, err = twoLists(scopes, amr)
	}
	f.AuthTime, f.Created, f.Expires = at(authTime), at(created), at(expires)
	r.Hash, r.Rotated, r.Successor = unbase(own), at(rotated), unbase(next)
	return f, r, grantError("find refresh token", err)
}

func (s families) Rotate(ctx context.Context, hash, successor []byte, now time.Time) (bool, error) {
	rotated := false
	err := s.db.InTx(ctx, func(ctx context.Context) error {
		var family string
		err := s.db.returning(ctx, qTokenRotate, millis(now), base(successor), base(hash)).Scan(&family)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		rotated = true
		_, err = s.db.exec(ctx, qTokenAdd, base(successor), family)
		return err
	})
	return rotated, err
}

func (s families) End(ctx context.Context, id string) (bool, error) {
	n, err := s.db.exec(ctx, qFamilyDrop, id)
	return n > 0, err
}

// endSession ends a provider session with its codes and refresh families, and
// returns the ids of the families. It needs a transaction.
func (db *DB) endSession(ctx context.Context, id string) ([]string, error) {
	if err := db.all(ctx, id, qSessionDrop, qCodesOfSession); err != nil {
		return nil, err
	}
	families, err := collect(ctx, db.writer(ctx), func(row scanner) (string, error) {
		var family string
		return family, row.Scan(&family)
	}, qFamiliesOfSession, id)
	if err != nil {
		return nil, fmt.Errorf("end sessions and grants: %w", err)
	}
	return families, nil
}

// EndUser ends a user's sessions, codes and refresh families, and forgets the
// user's devices; see pool.Ender and mfa.Ender.
func (db *DB) EndUser(ctx context.Context, userID string) error {
	return db.all(ctx, userID, qSessionDropUser, qCodesOfUser, qFamiliesOfUser, qDevicesOfOne)
}

// EndClient ends a client's codes and refresh families; see client.Ender.
func (db *DB) EndClient(ctx context.Context, clientID string) error {
	return db.all(ctx, clientID, qCodesOfClient, qFamiliesOfClient)
}

// all runs queries of one argument in one transaction.
func (db *DB) all(ctx context.Context, arg any, queries ...string) error {
	return db.InTx(ctx, func(ctx context.Context) error {
		for _, q := range queries {
			if _, err := db.exec(ctx, q, arg); err != nil {
				return fmt.Errorf("end sessions and grants: %w", err)
			}
		}
		return nil
	})
}

func twoLists(a, b string) (first, second []string, err error) {
	if first, err = items(a); err != nil {
		return nil, nil, err
	}
	second, err = items(b)
	return first, second, err
}

// grantError turns a missing row into the token package's word for it.
func grantError(what string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return token.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
