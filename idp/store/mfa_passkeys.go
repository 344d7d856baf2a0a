package store

import (
	"context"

	"gatehouse/idp/mfa"
)

const (
	qPasskeyAdd = `INSERT INTO mfa_passkey (id, user_id, name, data, signs, created, used)
		VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING`
	qPasskeyList = `SELECT id, user_id, name, data, signs, created, used FROM mfa_passkey
		WHERE user_id = $1 ORDER BY created, id`
	qPasskeyAdvance = `UPDATE mfa_passkey SET data = $1, signs = $2, used = $3
		WHERE id = $4 AND user_id = $5 AND (signs < $2 OR (signs = 0 AND $2 = 0))`
	qPasskeyRename = `UPDATE mfa_passkey SET name = $1 WHERE id = $2 AND user_id = $3`
	qPasskeyDrop   = `DELETE FROM mfa_passkey WHERE id = $1 AND user_id = $2`
)

type passkeys struct{ db *DB }

// MFAPasskeys returns the passkeys.
func (db *DB) MFAPasskeys() mfa.Passkeys { return passkeys{db} }

func (s passkeys) Insert(ctx context.Context, c mfa.Credential) error {
	made, err := s.did(ctx, qPasskeyAdd, c.ID, c.UserID, c.Name, string(c.Data), int64(c.Counter), millis(c.Created), millis(c.Used))
	if err == nil && !made {
		return mfa.ErrExists
	}
	return err
}

func (s passkeys) List(ctx context.Context, userID string) ([]mfa.Credential, error) {
	all, err := collect(ctx, s.db.reader(ctx), func(row scanner) (mfa.Credential, error) {
		var c mfa.Credential
		var data string
		var created, used int64
		err := row.Scan(&c.ID, &c.UserID, &c.Name, &data, &c.Counter, &created, &used)
		c.Data, c.Created, c.Used = []byte(data), at(created), at(used)
		return c, err
	}, qPasskeyList, userID)
	return all, mfaError("list passkeys", err)
}

func (s passkeys) Advance(ctx context.Context, c mfa.Credential) (bool, error) {
	return s.did(ctx, qPasskeyAdvance, string(c.Data), int64(c.Counter), millis(c.Used), c.ID, c.UserID)
}

func (s passkeys) Rename(ctx context.Context, userID, id, name string) (bool, error) {
	return s.did(ctx, qPasskeyRename, name, id, userID)
}

func (s passkeys) Delete(ctx context.Context, userID, id string) (bool, error) {
	return s.did(ctx, qPasskeyDrop, id, userID)
}

func (s passkeys) did(ctx context.Context, query string, args ...any) (bool, error) {
	n, err := s.db.exec(ctx, query, args...)
	return n > 0, mfaError("change passkey", err)
}
