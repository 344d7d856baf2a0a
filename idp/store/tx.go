package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"
)

// txKey is per database, so that a context of one never reaches another.
type txKey struct{ db *DB }

// transaction is what InTx puts into the context.
type transaction struct {
	tx *sql.Tx
	// woke is true once an event was appended: readers are woken after commit.
	woke bool
}

// InTx runs do in one immediate transaction; see audit.Journal.
func (db *DB) InTx(ctx context.Context, do func(ctx context.Context) error) error {
	if db.current(ctx) != nil {
		return do(ctx)
	}
	// What is written to a file that is gone is lost: a sign-out that was not.
	if err := db.inPlace(); err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	t := &transaction{tx: tx}
	// After a commit this does nothing; it also covers a panic in do.
	defer tx.Rollback()
	if err := do(context.WithValue(ctx, txKey{db}, t)); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit transaction: %w", err)
	}
	if t.woke {
		db.wake()
	}
	return nil
}

func (db *DB) current(ctx context.Context) *transaction {
	t, _ := ctx.Value(txKey{db}).(*transaction)
	return t
}

// runner is *sql.DB or *sql.Tx.
type runner interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// reader is where a SELECT goes, writer where everything else goes.
func (db *DB) reader(ctx context.Context) runner {
	if t := db.current(ctx); t != nil {
		return t.tx
	}
	return db.read
}

func (db *DB) writer(ctx context.Context) runner {
	if t := db.current(ctx); t != nil {
		return t.tx
	}
	return db.write
}

// exec runs a statement and returns how many rows it touched.
func (db *DB) exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := db.writer(ctx).ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// one reads one row; returning runs a writing statement with RETURNING.
func (db *DB) one(ctx context.Context, query string, args ...any) *sql.Row {
	return db.reader(ctx).QueryRowContext(ctx, query, args...)
}

func (db *DB) returning(ctx context.Context, query string, args ...any) *sql.Row {
	return db.writer(ctx).QueryRowContext(ctx, query, args...)
}

// scanner is *sql.Row or *sql.Rows.
type scanner interface{ Scan(dest ...any) error }

// collect reads all rows of a query.
func collect[T any](ctx context.Context, from runner, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := from.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// millis is how a time is stored; the zero time is 0.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// at is the reverse of millis, in UTC.
func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// list is how a list of strings is stored; nil and empty are the same.
func list(items []string) string {
	if len(items) == 0 {
		return "[]"
	}
	text, err := json.Marshal(items)
	if err != nil {
		// A list of strings always has a JSON form.
		panic(fmt.Sprintf("store: marshal list: %v", err))
	}
	return string(text)
}

// items is the reverse of list; nil for an empty one.
func items(text string) ([]string, error) {
	var out []string
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("read stored list: %w", err)
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

// object is how texts by name are stored; nil and empty are the same.
func object(members map[string]string) string {
	if len(members) == 0 {
		return "{}"
	}
	text, err := json.Marshal(members)
	if err != nil {
		// Texts by name always have a JSON form.
		panic(fmt.Sprintf("store: marshal object: %v", err))
	}
	return string(text)
}

// members is the reverse of object; nil for an empty one.
func members(text string) (map[string]string, error) {
	var out map[string]string
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, fmt.Errorf("read stored object: %w", err)
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}
