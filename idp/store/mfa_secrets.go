package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"gatehouse/idp/mfa"
)

const (
	// The update changes nothing and takes the row's lock until the transaction
	// ends.
	qMFALock = `INSERT INTO mfa_state (user_id, handle, preferred) VALUES ($1, $2, $3)
		ON CONFLICT (user_id) DO UPDATE SET user_id = excluded.user_id
		RETURNING user_id, handle, preferred`
	qMFAState    = `SELECT user_id, handle, preferred FROM mfa_state WHERE user_id = $1`
	qMFAByHandle = `SELECT user_id, handle, preferred FROM mfa_state WHERE handle = $1`
	qMFAPrefer   = `UPDATE mfa_state SET preferred = $1 WHERE user_id = $2`

	secretColumns = `user_id, kind, sealed, name, last_step, created, used`

	qSecretPut = `INSERT INTO mfa_secret (user_id, kind, sealed, name, last_step, created, used)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (user_id, kind) DO UPDATE SET sealed = excluded.sealed, name = excluded.name,
			last_step = excluded.last_step, created = excluded.created, used = excluded.used`
	qSecretAdd = `INSERT INTO mfa_secret (user_id, kind, sealed, name, last_step, created, used)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`
	qSecretsOf     = `SELECT ` + secretColumns + ` FROM mfa_secret WHERE user_id IN ($1)`
	qSecretList    = `SELECT ` + secretColumns + ` FROM mfa_secret WHERE user_id = $1`
	qSecretDrop    = `DELETE FROM mfa_secret WHERE user_id = $1 AND kind = $2`
	qSecretAdvance = `UPDATE mfa_secret SET last_step = $1, used = $2
		WHERE user_id = $3 AND kind = $4 AND sealed = $5 AND last_step < $1`
	qSecretTouch  = `UPDATE mfa_secret SET used = $1 WHERE user_id = $2 AND kind = $3`
	qSecretSealed = `SELECT ` + secretColumns + ` FROM mfa_secret
		WHERE sealed <> '' AND (user_id > $1 OR (user_id = $1 AND kind > $2)) ORDER BY user_id, kind LIMIT $3`
	qSecretReseal = `UPDATE mfa_secret SET sealed = $1 WHERE user_id = $2 AND kind = $3 AND sealed = $4`
)

type mfaPeople struct{ db *DB }

// MFAPeople returns what is kept of people besides their factors.
func (db *DB) MFAPeople() mfa.People { return mfaPeople{db} }

func (s mfaPeople) Lock(ctx context.Context, st mfa.State) (mfa.State, error) {
	return scanState(s.db.returning(ctx, qMFALock, st.UserID, st.Handle, string(st.Preferred)))
}

func (s mfaPeople) State(ctx context.Context, userID string) (mfa.State, error) {
	st, err := scanState(s.db.one(ctx, qMFAState, userID))
	if errors.Is(err, mfa.ErrNotFound) {
		return mfa.State{UserID: userID}, nil
	}
	return st, err
}

func (s mfaPeople) ByHandle(ctx context.Context, handle string) (mfa.State, error) {
	return scanState(s.db.one(ctx, qMFAByHandle, handle))
}

func (s mfaPeople) Prefer(ctx context.Context, userID string, k mfa.Kind) error {
	n, err := s.db.exec(ctx, qMFAPrefer, string(k), userID)
	return mfaGone(n > 0, err)
}

func scanState(row scanner) (mfa.State, error) {
	var st mfa.State
	err := row.Scan(&st.UserID, &st.Handle, (*string)(&st.Preferred))
	return st, mfaError("read factors", err)
}

type mfaSecrets struct{ db *DB }

// MFASecrets returns the factors that are not passkeys.
func (db *DB) MFASecrets() mfa.Secrets { return mfaSecrets{db} }

// MFASeals returns what is sealed in them.
func (db *DB) MFASeals() mfa.Seals { return mfaSecrets{db} }

func (s mfaSecrets) Put(ctx context.Context, x mfa.Secret) error {
	_, err := s.db.exec(ctx, qSecretPut, x.UserID, string(x.Kind), base(x.Sealed), x.Name, x.Step, millis(x.Created), millis(x.Used))
	return mfaError("store factor", err)
}

func (s mfaSecrets) List(ctx context.Context, userID string) ([]mfa.Secret, error) {
	all, err := collect(ctx, s.db.reader(ctx), scanSecret, qSecretList, userID)
	return all, mfaError("list factors", err)
}

func (s mfaSecrets) Delete(ctx context.Context, userID string, k mfa.Kind) (bool, error) {
	return s.did(ctx, qSecretDrop, userID, string(k))
}

func (s mfaSecrets) Advance(ctx context.Context, x mfa.Secret, step int64) (bool, error) {
	return s.did(ctx, qSecretAdvance, step, millis(x.Used), x.UserID, string(x.Kind), base(x.Sealed))
}

func (s mfaSecrets) Touch(ctx context.Context, userID string, k mfa.Kind, now time.Time) error {
	_, err := s.did(ctx, qSecretTouch, millis(now), userID, string(k))
	return err
}

func (s mfaSecrets) Sealed(ctx context.Context, after mfa.Secret, limit int) ([]mfa.Secret, error) {
	all, err := collect(ctx, s.db.reader(ctx), scanSecret, qSecretSealed, after.UserID, string(after.Kind), limit)
	return all, mfaError("list sealed factors", err)
}

func (s mfaSecrets) Reseal(ctx context.Context, was mfa.Secret, sealed []byte) error {
	_, err := s.did(ctx, qSecretReseal, base(sealed), was.UserID, string(was.Kind), base(was.Sealed))
	return err
}

func (s mfaSecrets) Add(ctx context.Context, all []mfa.Secret) error {
	rows := make([][]any, len(all))
	for i, x := range all {
		rows[i] = []any{x.UserID, string(x.Kind), base(x.Sealed), x.Name, x.Step, millis(x.Created), millis(x.Used)}
	}
	return s.db.InTx(ctx, func(ctx context.Context) error {
		n, err := bulk(s).insert(ctx, qSecretAdd, rows)
		if err == nil && n < int64(len(rows)) {
			return mfa.ErrExists
		}
		return mfaError("add factors", err)
	})
}

func (s mfaSecrets) Of(ctx context.Context, k mfa.Kind, userIDs []string) ([]mfa.Secret, error) {
	var all []mfa.Secret
	for part := range parts(userIDs) {
		some, err := collect(ctx, s.db.reader(ctx), scanSecret, many(qSecretsOf, 1, len(part)), anys(part)...)
		if err != nil {
			return nil, mfaError("list factors", err)
		}
		for _, x := range some {
			if x.Kind == k {
				all = append(all, x)
			}
		}
	}
	return all, nil
}

func (s mfaSecrets) did(ctx context.Context, query string, args ...any) (bool, error) {
	n, err := s.db.exec(ctx, query, args...)
	return n > 0, mfaError("change factor", err)
}

func scanSecret(row scanner) (mfa.Secret, error) {
	var x mfa.Secret
	var sealed string
	var created, used int64
	err := row.Scan(&x.UserID, (*string)(&x.Kind), &sealed, &x.Name, &x.Step, &created, &used)
	x.Sealed, x.Created, x.Used = unbase(sealed), at(created), at(used)
	return x, err
}

// mfaGone returns ErrNotFound for what was not there.
func mfaGone(was bool, err error) error {
	if err == nil && !was {
		return mfa.ErrNotFound
	}
	return mfaError("change factor", err)
}

// mfaError turns a missing row into the mfa package's word for it.
func mfaError(what string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return mfa.ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
