package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gatehouse/idp/pool"
	"gatehouse/idp/pool/transfer"
)

// Statements for one, of which many makes those for several.
const (
	qNameOwners  = `SELECT name_key, user_id FROM pool_name WHERE name_key IN ($1)`
	qUsersHeld   = `SELECT id FROM pool_user WHERE id IN ($1)`
	qMemberships = `SELECT user_id, group_name FROM pool_member WHERE user_id IN ($1)`

	qMarkSwap = `UPDATE meta SET value = $1 WHERE name = $2 AND value = $3`
	qMarkDrop = `DELETE FROM meta WHERE name = $1 AND value = $2`
)

// manyParameters is how many a statement has at most. SQLite looks for each of
// them among those before it, so that longer statements are slower than several.
const manyParameters = 240

type bulk struct{ db *DB }

// Bulk returns many users at once.
func (db *DB) Bulk() transfer.Rows { return bulk{db} }

// Marks returns how far imports have come.
func (db *DB) Marks() transfer.Marks { return bulk{db} }

func (s bulk) Owners(ctx context.Context, names []string) (map[string]string, error) {
	owners := map[string]string{}
	err := s.pairs(ctx, qNameOwners, names, func(name, id string) { owners[name] = id })
	return owners, err
}

func (s bulk) Memberships(ctx context.Context, ids []string) (map[string][]string, error) {
	groups := map[string][]string{}
	err := s.pairs(ctx, qMemberships, ids, func(id, group string) { groups[id] = append(groups[id], group) })
	for _, names := range groups {
		slices.Sort(names) // byte by byte, as no collation of a server does
	}
	return groups, err
}

func (s bulk) Held(ctx context.Context, ids []string) ([]string, error) {
	var held []string
	for part := range parts(ids) {
		some, err := collect(ctx, s.db.reader(ctx), scanText, many(qUsersHeld, 1, len(part)), anys(part)...)
		if err != nil {
			return nil, fmt.Errorf("look for users: %w", err)
		}
		held = append(held, some...)
	}
	return held, nil
}

// pairs reads the two columns of query for all of in.
func (s bulk) pairs(ctx context.Context, query string, in []string, take func(a, b string)) error {
	for part := range parts(in) {
		some, err := collect(ctx, s.db.reader(ctx), scanPair, many(query, 1, len(part)), anys(part)...)
		if err != nil {
			return fmt.Errorf("look for users: %w", err)
		}
		for _, p := range some {
			take(p[0], p[1])
		}
	}
	return nil
}

func (s bulk) Insert(ctx context.Context, all []pool.Draft) error {
	return s.db.InTx(ctx, func(ctx context.Context) error {
		var people, names, members [][]any
		for _, d := range all {
			if len(d.Keys) == 0 || d.Keys[0] == "" {
				return errors.New("user has no name")
			}
			u := d.User
			people = append(people, []any{
				u.ID, u.Username, d.Keys[0], u.Email, flag(u.EmailVerified), u.Phone, flag(u.PhoneVerified), u.Name,
				object(u.Attributes), flag(u.Enabled), string(u.Status), u.PasswordHash, millis(u.PasswordSet), millis(u.Created), millis(u.Updated),
			})
			for _, key := range d.Keys {
				names = append(names, []any{key, u.ID})
			}
			for _, group := range d.Groups {
				members = append(members, []any{u.ID, group})
			}
		}
		for _, t := range []struct {
			query string
			rows  [][]any
		}{{qUserAdd, people}, {qNameAdd, names}} {
			n, err := s.insert(ctx, t.query, t.rows)
			if err != nil {
				return fmt.Errorf("insert users: %w", err)
			}
			if n < int64(len(t.rows)) {
				return pool.ErrExists
			}
		}
		// A group that a row names twice is joined once.
		if _, err := s.insert(ctx, qJoin, members); err != nil {
			return fmt.Errorf("insert memberships: %w", err)
		}
		return nil
	})
}

// insert adds rows and returns how many were added: those in nobody's way.
func (s bulk) insert(ctx context.Context, query string, rows [][]any) (int64, error) {
	var n int64
	for len(rows) > 0 {
		part := rows[:min(manyParameters/len(rows[0]), len(rows))]
		rows = rows[len(part):]
		var args []any
		for _, row := range part {
			args = append(args, row...)
		}
		added, err := s.db.exec(ctx, many(query, len(part), len(part[0])), args...)
		if err != nil {
			return n, err
		}
		n += added
	}
	return n, nil
}

func (s bulk) Mark(ctx context.Context, key string) (string, error) {
	text, err := s.db.meta(ctx, markName(key))
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return text, err
}

func (s bulk) Swap(ctx context.Context, key, old, text string) (bool, error) {
	var n int64
	var err error
	switch {
	case old == "" && text == "":
		have, err := s.Mark(ctx, key)
		return have == "", err
	case old == "":
		n, err = s.db.exec(ctx, qMetaAdd, markName(key), text)
	case text == "":
		n, err = s.db.exec(ctx, qMarkDrop, markName(key), old)
	default:
		n, err = s.db.exec(ctx, qMarkSwap, text, markName(key), old)
	}
	return n > 0, err
}

// markName keeps marks apart from what else is known of the database.
func markName(key string) string { return "import/" + key }

// many puts n lists of m parameters in the place of the one that query has.
func many(query string, n, m int) string {
	before, rest, _ := strings.Cut(query, "($1")
	_, after, _ := strings.Cut(rest, ")")
	return before + lists(n, m) + after
}

// lists writes n lists of m parameters: ($1, $2), ($3, $4).
func lists(n, m int) string {
	var b strings.Builder
	for i := range n * m {
		switch {
		case i%m > 0:
			b.WriteString(", ")
		case i > 0:
			b.WriteString("), (")
		default:
			b.WriteByte('(')
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(i + 1))
	}
	b.WriteByte(')')
	return b.String()
}

// parts yields items in pieces that fit a statement.
func parts(items []string) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for len(items) > 0 {
			part := items[:min(manyParameters, len(items))]
			items = items[len(part):]
			if !yield(part) {
				return
			}
		}
	}
}

func anys(items []string) []any {
	out := make([]any, len(items))
	for i, item := range items {
		out[i] = item
	}
	return out
}

func scanText(row scanner) (string, error) {
	var text string
	return text, row.Scan(&text)
}

func scanPair(row scanner) ([2]string, error) {
	var p [2]string
	return p, row.Scan(&p[0], &p[1])
}
