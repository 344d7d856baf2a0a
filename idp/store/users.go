package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"gatehouse/idp/pool"
)

const (
	userColumns = `id, username, email, email_verified, phone, phone_verified, name, attributes, enabled, status,
		password_hash, password_set, created, updated`

	qUserAdd = `INSERT INTO pool_user (id, username, username_key, email, email_verified, phone, phone_verified, name, attributes,
		enabled, status, password_hash, password_set, created, updated)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) ON CONFLICT DO NOTHING`
	qUserSet = `UPDATE pool_user SET username = $1, username_key = $2, email = $3, email_verified = $4, phone = $5, phone_verified = $6,
		name = $7, attributes = $8, enabled = $9, status = $10, password_hash = $11, password_set = $12, updated = $13 WHERE id = $14`
	qUserGet  = `SELECT ` + userColumns + ` FROM pool_user WHERE id = $1`
	qUserFind = `SELECT ` + userColumns + ` FROM pool_user WHERE id = (SELECT user_id FROM pool_name WHERE name_key = $1)`
	qUserList = `SELECT ` + userColumns + ` FROM pool_user WHERE username_key > $1 ORDER BY username_key LIMIT $2`
	qUserDrop = `DELETE FROM pool_user WHERE id = $1`

	qNameOwner = `SELECT user_id FROM pool_name WHERE name_key = $1`
	qNameAdd   = `INSERT INTO pool_name (name_key, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING`
	qNamesDrop = `DELETE FROM pool_name WHERE user_id = $1`

	qBury   = `INSERT INTO pool_tombstone (name_key) VALUES ($1) ON CONFLICT DO NOTHING`
	qBuried = `SELECT COUNT(*) FROM pool_tombstone WHERE name_key = $1`
)

type users struct{ db *DB }

// Users returns the users.
func (db *DB) Users() pool.Users { return users{db} }

// Tombstones returns the names of deleted users.
func (db *DB) Tombstones() pool.Tombstones { return users{db} }

func (s users) Insert(ctx context.Context, u pool.User, keys []string) error {
	return s.db.InTx(ctx, func(ctx context.Context) error {
		if err := s.free(ctx, u.ID, keys); err != nil {
			return err
		}
		n, err := s.db.exec(ctx, qUserAdd, u.ID, u.Username, keys[0], u.Email, flag(u.EmailVerified), u.Phone, flag(u.PhoneVerified),
			u.Name, object(u.Attributes), flag(u.Enabled), string(u.Status), u.PasswordHash, millis(u.PasswordSet),
			millis(u.Created), millis(u.Updated))
		if err != nil {
			return fmt.Errorf("insert user: %w", err)
		}
		if n == 0 {
			return pool.ErrExists
		}
		return s.names(ctx, u.ID, keys)
	})
}

// free returns ErrExists when somebody else has one of keys. It is looked at
// before anything is written, so that a caller who goes on has lost nothing.
func (s users) free(ctx context.Context, id string, keys []string) error {
	if len(keys) == 0 || keys[0] == "" {
		return errors.New("user has no name")
	}
	for _, key := range keys {
		var owner string
		err := s.db.one(ctx, qNameOwner, key).Scan(&owner)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("look for name: %w", err)
		}
		if err == nil && owner != id {
			return pool.ErrExists
		}
	}
	return nil
}

func (s users) names(ctx context.Context, id string, keys []string) error {
	if _, err := s.db.exec(ctx, qNamesDrop, id); err != nil {
		return fmt.Errorf("replace names: %w", err)
	}
	for _, key := range keys {
		n, err := s.db.exec(ctx, qNameAdd, key, id)
		if err != nil {
			return fmt.Errorf("insert name: %w", err)
		}
		if n == 0 {
			return pool.ErrExists
		}
	}
	return nil
}

func (s users) Find(ctx context.Context, key string) (pool.User, error) {
	return found(scanUser(s.db.one(ctx, qUserFind, key)))
}

func (s users) Get(ctx context.Context, id string) (pool.User, error) {
	return found(scanUser(s.db.one(ctx, qUserGet, id)))
}

func (s users) Update(ctx context.Context, u pool.User, keys []string) error {
	return s.db.InTx(ctx, func(ctx context.Context) error {
		if err := s.free(ctx, u.ID, keys); err != nil {
			return err
		}
		n, err := s.db.exec(ctx, qUserSet, u.Username, keys[0], u.Email, flag(u.EmailVerified), u.Phone, flag(u.PhoneVerified),
			u.Name, object(u.Attributes), flag(u.Enabled), string(u.Status), u.PasswordHash, millis(u.PasswordSet),
			millis(u.Updated), u.ID)
		if err != nil {
			return fmt.Errorf("update user: %w", err)
		}
		if n == 0 {
			return pool.ErrNotFound
		}
		return s.names(ctx, u.ID, keys)
	})
}

func (s users) Delete(ctx context.Context, id string) error {
	return gone(s.db.exec(ctx, qUserDrop, id))
}

func (s users) List(ctx context.Context, after string, limit int) ([]pool.User, error) {
	all, err := collect(ctx, s.db.reader(ctx), scanUser, qUserList, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return all, nil
}

func (s users) Bury(ctx context.Context, key string) error {
	_, err := s.db.exec(ctx, qBury, key)
	return err
}

func (s users) Buried(ctx context.Context, key string) (bool, error) {
	var n int64
	err := s.db.one(ctx, qBuried, key).Scan(&n)
	return n > 0, err
}

func scanUser(row scanner) (pool.User, error) {
	var u pool.User
	var verified, phone, enabled, set, created, updated int64
	var attributes string
	err := row.Scan(&u.ID, &u.Username, &u.Email, &verified, &u.Phone, &phone, &u.Name, &attributes, &enabled, &u.Status,
		&u.PasswordHash, &set, &created, &updated)
	if err != nil {
		return u, err
	}
	u.EmailVerified, u.PhoneVerified, u.Enabled = verified == 1, phone == 1, enabled == 1
	u.PasswordSet, u.Created, u.Updated = at(set), at(created), at(updated)
	u.Attributes, err = members(attributes)
	return u, err
}

// found turns a missing row of the pool into its word for it.
func found[T any](v T, err error) (T, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return v, pool.ErrNotFound
	}
	if err != nil {
		return v, fmt.Errorf("read user pool: %w", err)
	}
	return v, nil
}

// gone turns a deletion of nothing into the pool's word for it.
func gone(n int64, err error) error {
	if err != nil {
		return fmt.Errorf("change user pool: %w", err)
	}
	if n == 0 {
		return pool.ErrNotFound
	}
	return nil
}
