package store

import (
	"context"
	"database/sql"
	"fmt"

	"gatehouse/idp/pool"
)

const (
	groupColumns = `name, description, precedence, role_arn`

	qGroupAdd  = `INSERT INTO pool_group (name, description, precedence, role_arn) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`
	qGroupSet  = `UPDATE pool_group SET description = $1, precedence = $2, role_arn = $3 WHERE name = $4`
	qGroupGet  = `SELECT ` + groupColumns + ` FROM pool_group WHERE name = $1`
	qGroupList = `SELECT ` + groupColumns + ` FROM pool_group ORDER BY name`
	qGroupDrop = `DELETE FROM pool_group WHERE name = $1`

	qJoin     = `INSERT INTO pool_member (user_id, group_name) VALUES ($1, $2) ON CONFLICT DO NOTHING`
	qLeave    = `DELETE FROM pool_member WHERE user_id = $1 AND group_name = $2`
	qGroupsOf = `SELECT ` + groupColumns + ` FROM pool_group WHERE name IN (SELECT group_name FROM pool_member WHERE user_id = $1) ORDER BY name`
	qUsersIn  = `SELECT ` + userColumns + ` FROM pool_user WHERE id IN (SELECT user_id FROM pool_member WHERE group_name = $1) ORDER BY username_key`
)

type groups struct{ db *DB }

// Groups returns the groups.
func (db *DB) Groups() pool.Groups { return groups{db} }

// Members returns who is in which group.
func (db *DB) Members() pool.Members { return groups{db} }

func (s groups) Insert(ctx context.Context, g pool.Group) error {
	n, err := s.db.exec(ctx, qGroupAdd, g.Name, g.Description, nullable(g.Precedence), g.RoleARN)
	if err != nil {
		return fmt.Errorf("insert group: %w", err)
	}
	if n == 0 {
		return pool.ErrExists
	}
	return nil
}

func (s groups) Update(ctx context.Context, g pool.Group) error {
	return gone(s.db.exec(ctx, qGroupSet, g.Description, nullable(g.Precedence), g.RoleARN, g.Name))
}

func (s groups) Find(ctx context.Context, name string) (pool.Group, error) {
	return found(scanGroup(s.db.one(ctx, qGroupGet, name)))
}

func (s groups) Delete(ctx context.Context, name string) error {
	return gone(s.db.exec(ctx, qGroupDrop, name))
}

func (s groups) List(ctx context.Context) ([]pool.Group, error) {
	return collect(ctx, s.db.reader(ctx), scanGroup, qGroupList)
}

func (s groups) Join(ctx context.Context, userID, group string) (bool, error) {
	n, err := s.db.exec(ctx, qJoin, userID, group)
	if err != nil {
		return false, fmt.Errorf("insert membership: %w", err)
	}
	return n > 0, nil
}

func (s groups) Leave(ctx context.Context, userID, group string) (bool, error) {
	n, err := s.db.exec(ctx, qLeave, userID, group)
	if err != nil {
		return false, fmt.Errorf("delete membership: %w", err)
	}
	return n > 0, nil
}

func (s groups) GroupsOf(ctx context.Context, userID string) ([]pool.Group, error) {
	return collect(ctx, s.db.reader(ctx), scanGroup, qGroupsOf, userID)
}

func (s groups) UsersIn(ctx context.Context, group string) ([]pool.User, error) {
	return collect(ctx, s.db.reader(ctx), scanUser, qUsersIn, group)
}

func scanGroup(row scanner) (pool.Group, error) {
	var g pool.Group
	var precedence sql.NullInt64
	err := row.Scan(&g.Name, &g.Description, &precedence, &g.RoleARN)
	if precedence.Valid {
		n := int(precedence.Int64)
		g.Precedence = &n
	}
	return g, err
}

// nullable is how an optional number is stored.
func nullable[T ~int | ~int64](n *T) any {
	if n == nil {
		return nil
	}
	return int64(*n)
}
